// A table of limited size that all switch ports share: entries by number, each of one port. Where it is full, the oldest
// entry of the port that has the most of them goes: so a guest that makes entries up pushes out its own.
//
// The entries of a port are a list, the oldest first, linked through them; a Map alone, whose first key is deleted again
// and again, searches for the next first one.

interface Entry<V> {
  readonly key: number;
  port: number;
  value: V;
  older: Entry<V> | null;
  newer: Entry<V> | null;
}

interface List<V> {
  oldest: Entry<V> | null;
  newest: Entry<V> | null;
  size: number;
}

export class PortTable<V> {
  private readonly limit: number;
  private readonly entries = new Map<number, Entry<V>>();
  /** Only of ports that have an entry. */
  private readonly lists = new Map<number, List<V>>();

  /** At least one entry. */
  constructor(limit: number) {
    this.limit = limit;
  }

  get size(): number {
    return this.entries.size;
  }

  get(key: number): V | undefined {
    return this.entries.get(key)?.value;
  }

  /** Makes the entry the newest one of `port`, new or not. True: another one had to go. */
  set(key: number, port: number, value: V): boolean {
    const known = this.entries.get(key);
    if (known !== undefined) {
      this.unlink(known);
      known.port = port;
      known.value = value;
      this.link(known);
      return false;
    }
    const full = this.entries.size >= this.limit;
    if (full) this.delete(this.lists.get(this.biggest(port))!.oldest!);
    const entry: Entry<V> = { key, port, value, older: null, newer: null };
    this.entries.set(key, entry);
    this.link(entry);
    return full;
  }

  forgetPort(port: number): void {
    for (let list = this.lists.get(port); list !== undefined; list = this.lists.get(port))
      this.delete(list.oldest!);
  }

  clear(): void {
    this.entries.clear();
    this.lists.clear();
  }

  /** The port that has the most, `asking` where no other has more. */
  private biggest(asking: number): number {
    let port = asking;
    let most = this.lists.get(asking)?.size ?? 0;
    for (const [one, { size }] of this.lists) {
      if (size <= most) continue;
      port = one;
      most = size;
    }
    return port;
  }

  private delete(entry: Entry<V>): void {
    this.entries.delete(entry.key);
    this.unlink(entry);
  }

  private link(entry: Entry<V>): void {
    let list = this.lists.get(entry.port);
    if (list === undefined) {
      list = { oldest: null, newest: null, size: 0 };
      this.lists.set(entry.port, list);
    }
    entry.older = list.newest;
    entry.newer = null;
    if (list.newest === null) list.oldest = entry;
    else list.newest.newer = entry;
    list.newest = entry;
    list.size++;
  }

  private unlink(entry: Entry<V>): void {
    const list = this.lists.get(entry.port)!;
    if (entry.older === null) list.oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === null) list.newest = entry.older;
    else entry.newer.older = entry.older;
    list.size--;
    if (list.size === 0) this.lists.delete(entry.port);
  }
}
