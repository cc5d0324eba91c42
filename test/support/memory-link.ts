import { Account } from '../../src/base/arena.ts';
import type { Link, LinkHost, LinkSink } from '../../src/link/link.ts';

/** A link whose frames a test gives by hand and reads as bytes: no queue of its own, room for `room` frames a turn. */
export class MemoryLink implements Link {
  readonly name: string;
  readonly maxFrame: number;
  /** Frames for the guest, copied, oldest first. */
  readonly sent: Uint8Array[] = [];
  /** How many more frames fit before reserve() says no. */
  room = Number.POSITIVE_INFINITY;
  closed = false;
  private sink: LinkSink | null = null;
  private host: LinkHost | null = null;
  private readonly account = new Account();
  private incoming = 0;
  private outgoing = 0;

  constructor(name: string, maxFrame = 1514) {
    this.name = name;
    this.maxFrame = maxFrame;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    this.sink = sink;
    this.host = host;
    this.incoming = host.arena.take(65536, this.account);
    this.outgoing = host.arena.take(65536 * 2, this.account);
  }

  /** One turn with these frames from the guest. */
  gives(...frames: Uint8Array[]): void {
    const { host, sink } = this;
    host!.turn.run(() => {
      for (const frame of frames) {
        host!.arena.memory.bytes.set(frame, this.incoming);
        sink!.onFrame(this.incoming, frame.length);
      }
    });
  }

  /** There is room again. */
  becomesWritable(): void {
    this.room = Number.POSITIVE_INFINITY;
    this.host!.turn.run(() => this.sink!.onLinkWritable());
  }

  /** The guest pulls the cable out. */
  goesDown(reason = 'unplugged'): void {
    this.free();
    this.host!.turn.run(() => this.sink!.onLinkDown(reason));
  }

  /** The frames sent so far, forgotten by asking. */
  takes(): Uint8Array[] {
    return this.sent.splice(0);
  }

  reserve(_maxLen: number): number {
    return this.room > 0 ? this.outgoing : -1;
  }

  commit(len: number): void {
    this.room--;
    const from = this.outgoing;
    this.sent.push(Uint8Array.from(this.host!.arena.memory.bytes.subarray(from, from + len)));
    this.host!.turn.wantFlush(this);
  }

  send(off: number, len: number): boolean {
    const at = this.reserve(len);
    if (at < 0) return false;
    this.host!.arena.memory.copy(at, off, len);
    this.commit(len);
    return true;
  }

  flush(): void {}

  close(): Promise<void> {
    this.free();
    return Promise.resolve();
  }

  private free(): void {
    if (this.closed) return;
    this.closed = true;
    this.host!.arena.give(this.incoming, 65536, this.account);
    this.host!.arena.give(this.outgoing, 65536 * 2, this.account);
  }
}
