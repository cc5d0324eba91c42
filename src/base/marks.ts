// Whoever asked to be called, each once, in the order in which they asked. Mostly one or two: those are compared one by one,
// which costs a tenth of what a Set does, and nothing is allocated. From the ninth on there is a Set.

const FEW = 8;

export class Marks<T> {
  private readonly items: (T | null)[] = [];
  private count = 0;
  private all: Set<T> | null = null;

  add(who: T): void {
    if (this.count < FEW) {
      for (let i = this.count - 1; i >= 0; i--) if (this.items[i] === who) return;
    } else {
      this.all ??= new Set(this.items.slice(0, this.count) as T[]);
      if (this.all.has(who)) return;
      this.all.add(who);
    }
    this.items[this.count++] = who;
  }

  /** Calls `each` with every one of them, but not with those that are added meanwhile. */
  each<A>(each: (who: T, argument: A) => void, argument: A): void {
    const { count } = this;
    for (let i = 0; i < count; i++) each(this.items[i]!, argument);
  }

  clear(): void {
    for (let i = 0; i < this.count; i++) this.items[i] = null;
    this.count = 0;
    this.all = null;
  }
}
