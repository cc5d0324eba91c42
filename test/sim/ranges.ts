// Which numbers of a row are there: disjoint ranges, in order. For streams that begin at 0.

export class Ranges {
  /** Left and right edges alternate. */
  private readonly edges: number[] = [];

  /** How far it goes from 0 on without a gap. */
  get contiguous(): number {
    return this.edges[0] === 0 ? this.edges[1]! : 0;
  }

  /** Are all of [from, to) there? */
  covers(from: number, to: number): boolean {
    const { edges } = this;
    for (let i = 0; i < edges.length; i += 2) {
      if (edges[i]! <= from && to <= edges[i + 1]!) return true;
    }
    return from >= to;
  }

  add(from: number, to: number): void {
    if (from >= to) return;
    const { edges } = this;
    let i = 0;
    while (i < edges.length && edges[i + 1]! < from) i += 2;
    let j = i;
    let left = from;
    let right = to;
    for (; j < edges.length && edges[j]! <= to; j += 2) {
      left = Math.min(left, edges[j]!);
      right = Math.max(right, edges[j + 1]!);
    }
    edges.splice(i, j - i, left, right);
  }
}
