// The cable of a replayed guest: what it is told to send goes to the network in a turn of its own, and every frame that
// passes, in either direction, is shown to the replay.

import { Account } from '../base/arena.ts';
import type { Link, LinkHost, LinkSink } from '../link/link.ts';
import { ConfigError } from '../network/config.ts';

/** Enough for the longest frame, either way. */
const ROOM = 131_072;

/** A frame that has passed; its bytes are given. */
export type Watch = (guest: string, bytes: Uint8Array, fromGuest: boolean) => void;

export class GuestLink implements Link {
  readonly name: string;
  readonly maxFrame: number;
  private readonly watch: Watch;
  private sink: LinkSink | null = null;
  private host: LinkHost | null = null;
  private inAt = -1;
  private outAt = -1;
  private readonly account = new Account();

  /** `name` is the guest's MAC. */
  constructor(name: string, maxFrame: number, watch: Watch) {
    this.name = name;
    this.maxFrame = maxFrame;
    this.watch = watch;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    this.inAt = host.arena.take(ROOM, this.account);
    this.outAt = host.arena.take(ROOM, this.account);
    if (this.inAt < 0 || this.outAt < 0)
      throw new ConfigError('limits.arenaBytes', 'has no room for all guests of the capture');
    this.sink = sink;
    this.host = host;
  }

  /** The guest sends `frame`. */
  sends(frame: Uint8Array): void {
    const { host, sink } = this;
    if (host === null || sink === null) return;
    this.watch(this.name, frame, true);
    host.turn.run(() => {
      host.arena.memory.bytes.set(frame, this.inAt);
      sink.onFrame(this.inAt, frame.length);
    });
  }

  reserve(maxLen: number): number {
    return maxLen > ROOM ? -1 : this.outAt;
  }

  commit(len: number): void {
    this.show(this.outAt, len);
  }

  send(off: number, len: number): boolean {
    this.show(off, len);
    return true;
  }

  flush(): void {}

  close(): Promise<void> {
    const { host } = this;
    this.sink = null;
    this.host = null;
    if (host !== null) {
      host.arena.give(this.inAt, ROOM, this.account);
      host.arena.give(this.outAt, ROOM, this.account);
    }
    return Promise.resolve();
  }

  private show(off: number, len: number): void {
    if (this.host === null) return;
    this.watch(this.name, Uint8Array.from(this.host.arena.memory.bytes.subarray(off, off + len)), false);
  }
}
