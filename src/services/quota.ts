/** Counts what is in use, in all and behind each switch port, against a limit for each. */
export class Quota {
  private readonly limit: number;
  private readonly perPort: number;
  private total = 0;
  /** By ingress; a port without any has no entry. */
  private readonly counts = new Map<number, number>();

  constructor(limit: number, perPort: number) {
    this.limit = limit;
    this.perPort = perPort;
  }

  /** False, and nothing counted, when a limit is reached. */
  take(ingress: number): boolean {
    const count = this.counts.get(ingress) ?? 0;
    if (this.total >= this.limit || count >= this.perPort) return false;
    this.total++;
    this.counts.set(ingress, count + 1);
    return true;
  }

  /** Takes back what take() counted. */
  give(ingress: number): void {
    const count = this.counts.get(ingress) ?? 0;
    this.total--;
    if (count <= 1) this.counts.delete(ingress);
    else this.counts.set(ingress, count - 1);
  }
}
