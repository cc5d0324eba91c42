// A TCP connection between the engine and code in the same process, without a socket: the engine has a HostStream, the
// code a ByteStream. The engine's half keeps what host-network.ts promises (engine-half.ts).
//
// To the code: a write of the engine is held where it lies until the code gets a copy of it, so a code that has paused
// holds the engine back, and through it the peer's window, and nothing piles up. From the code: what it writes is copied
// into a list and read from there by the engine as it has room; write() says when that list is long.
//
// Code is called outside of turns, so it may do anything, close the network included. What it throws goes to `threw`.

import type { Endpoint } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import { onRejection } from '../base/rejection.ts';
import { EngineHalf, type LaterHost } from './engine-half.ts';
import type { HostError, HostStreamEvents } from './host-network.ts';

/** The longest read that lands on the pad. */
export const PAD_LEN = 16384;
/** From so many bytes on that the engine has not read, write() says false. */
const HIGH_WATER = 262144;

/** What a stream needs of whoever makes it. */
export interface ByteStreamHost extends LaterHost {
  readonly arena: Arena;
  /** PAD_LEN bytes of the arena, used during calls only. */
  readonly pad: number;
  /** Runs `what` soon, outside of any turn. */
  soon(what: () => void): void;
  /** A callback of the code has thrown. */
  threw(error: unknown): void;
}

/** What the code hears. Each in a call of its own, outside of turns. */
export interface ByteStreamEvents {
  /** The connection is made. Never for one that was accepted, which is. */
  onOpen?(): void;
  /** `data` is given, not lent. */
  onData?(data: Uint8Array): void;
  /** After write() has said false: the engine has read everything. */
  onDrain?(): void;
  /** FIN from the peer, after its last byte. */
  onEnd?(): void;
  /** The last call, always and once: null when both sides ended in order, or the code itself reset it. */
  onClose?(error: HostError | null): void;
}

/** The code's end of a connection. Nothing is read before listen(). */
export class ByteStream {
  /** The peer's address and port. */
  readonly remote: Endpoint;
  private readonly half: ByteHalf;

  constructor(half: ByteHalf, remote: Endpoint) {
    this.half = half;
    this.remote = remote;
  }

  /** Who hears of it from now on, instead of whoever did before; null: nobody, until the next call, and all of it waits. */
  listen(events: ByteStreamEvents | null): void {
    this.half.listen(events);
  }

  /**
   * Sends a copy of `data`. False when so much waits that the code should wait for onDrain; it is taken all the same.
   * Without effect after end() or when the connection is closed. Throws a TypeError for what is no Uint8Array.
   */
  write(data: Uint8Array): boolean {
    if (!ArrayBuffer.isView(data) || data.BYTES_PER_ELEMENT !== 1)
      throw new TypeError('write: what is given is no Uint8Array');
    return this.half.give(data);
  }

  /** FIN behind what was written. Reading goes on. */
  end(): void {
    this.half.giveEnd();
  }

  /** RST behind what the peer is being sent, or when for 30 s it takes none of that; the rest is lost. onClose follows. */
  reset(): void {
    this.half.abandon();
  }

  /** No onData until resume(). */
  pause(): void {
    this.half.hold(true);
  }

  /** Takes back pause(): what has been held back comes. */
  resume(): void {
    this.half.hold(false);
  }

  get isClosed(): boolean {
    return this.half.state === 'closed';
  }
}

/** The engine's half of it. */
export class ByteHalf extends EngineHalf<ByteStreamHost> {
  private listener: ByteStreamEvents | null = null;
  private paused = false;
  /** What the code has written. */
  private readonly waiting: Uint8Array[] = [];
  /** The first that is waiting, and how much of it the engine has read. */
  private first = 0;
  private readOfFirst = 0;
  private waitingBytes = 0;
  private codeEnded = false;
  private drainWanted = false;
  private told = { open: false, end: false, close: false };
  private closedWith: HostError | null = null;
  private abandoned = false;
  private unread = false;
  private why: () => HostError = () => 'reset';
  private asked = false;

  constructor(
    host: ByteStreamHost,
    to: Endpoint,
    state: 'connecting' | 'open',
    events: HostStreamEvents | null,
  ) {
    super(host, to, state);
    this.holdWrites = true;
    this.told.open = state === 'open';
    if (events !== null) this.join(events);
  }

  /** The engine listens from now on. */
  join(events: HostStreamEvents): void {
    this.events = events;
    this.reserve();
  }

  /**
   * It leads to a guest that `events` is about to ask: to the code it is open when the engine reads for the first time,
   * and `why` says why the engine has reset it.
   */
  dialed(events: HostStreamEvents, why: () => HostError): void {
    this.told.open = false;
    this.unread = true;
    this.why = why;
    this.join(events);
  }

  override resume(): void {
    this.unread = false;
    super.resume();
    if (!this.told.open) this.ask();
  }

  override write(off: number, len: number): boolean {
    const taken = super.write(off, len);
    this.ask();
    return taken;
  }

  override end(): void {
    super.end();
    this.ask();
  }

  // What the code does.

  listen(events: ByteStreamEvents | null): void {
    this.listener = events;
    this.ask();
  }

  give(data: Uint8Array): boolean {
    if (this.codeEnded || this.state === 'closed') return true;
    if (data.length > 0) {
      // Of a Buffer slice() would be no copy.
      this.waiting.push(new Uint8Array(data));
      this.waitingBytes += data.length;
      this.schedule();
    }
    if (this.waitingBytes < HIGH_WATER) return true;
    this.drainWanted = true;
    return false;
  }

  giveEnd(): void {
    if (this.codeEnded) return;
    this.codeEnded = true;
    this.schedule();
  }

  abandon(): void {
    if (this.state === 'closed') return;
    this.abandoned = true;
    this.codeEnded = true;
    this.fail('reset');
  }

  hold(paused: boolean): void {
    this.paused = paused;
    this.ask();
  }

  // EngineHalf

  protected override get hasArrivals(): boolean {
    return this.waitingBytes > 0 || (this.codeEnded && !this.remoteEnded);
  }

  protected override loseArrivals(): void {
    this.waiting.length = 0;
    this.first = 0;
    this.readOfFirst = 0;
    this.waitingBytes = 0;
  }

  protected override opened(): void {
    this.ask();
    this.schedule();
  }

  protected override finish(error: HostError | null): void {
    if (this.state !== 'closed') this.closedWith = this.wasReset ? this.why() : error;
    super.finish(error);
  }

  protected override left(): void {
    this.ask();
  }

  protected pump(): void {
    if (this.waitingBytes === 0) {
      if (this.codeEnded) this.endRemote();
      return;
    }
    const room = this.region.len > 0 ? this.region.len : PAD_LEN;
    const at = this.region.len > 0 ? this.region.off : this.host.pad;
    const len = this.fill(at, room);
    if (this.events?.onRead(at, len) === false) this.reading = false;
    this.reserve();
    if (this.waitingBytes === 0 && this.drainWanted) this.ask();
    this.schedule();
  }

  /** Moves at most `room` bytes of what waits to the arena at `at`; how many. */
  private fill(at: number, room: number): number {
    const { waiting } = this;
    let len = 0;
    while (len < room && this.first < waiting.length) {
      const chunk = waiting[this.first]!;
      const part = chunk.subarray(this.readOfFirst, this.readOfFirst + room - len);
      this.host.arena.memory.bytes.set(part, at + len);
      len += part.length;
      this.readOfFirst += part.length;
      if (this.readOfFirst < chunk.length) break;
      this.first++;
      this.readOfFirst = 0;
    }
    // Now and then, so that each chunk is moved about once.
    if (this.first * 2 > waiting.length) {
      waiting.splice(0, this.first);
      this.first = 0;
    }
    this.waitingBytes -= len;
    return len;
  }

  protected took(off: number, len: number): void {
    const data = new Uint8Array(len);
    data.set(this.host.arena.memory.bytes.subarray(off, off + len));
    this.tell((code) => code.onData?.(data));
  }

  // What the code hears.

  private ask(): void {
    if (this.asked || this.listener === null) return;
    this.asked = true;
    this.host.soon(this.tellAll);
  }

  /** Everything that there is to tell, in the order in which it happened. */
  private readonly tellAll = (): void => {
    this.asked = false;
    const { told } = this;
    if (!told.open && this.state === 'open' && !this.unread && this.listener !== null) {
      told.open = true;
      this.tell((code) => code.onOpen?.());
    }
    // Whoever has heard that it is open may not know yet who hears of the rest.
    if (this.listener === null) return;
    if (this.isHolding && !this.paused) this.letGo();
    if (this.drainWanted && this.waitingBytes === 0 && this.state !== 'closed') {
      this.drainWanted = false;
      this.tell((code) => code.onDrain?.());
    }
    if (this.ended && !this.isHolding && !told.end && !this.abandoned) {
      told.end = true;
      this.tell((code) => code.onEnd?.());
    }
    if (this.state === 'closed' && !told.close) {
      told.close = true;
      this.tell((code) => code.onClose?.(this.abandoned ? null : this.closedWith));
    }
  };

  private tell(how: (code: ByteStreamEvents) => unknown): void {
    if (this.listener === null) return;
    try {
      onRejection(how(this.listener), (error) => this.host.threw(error));
    } catch (error) {
      this.host.threw(error);
    }
  }
}
