// One TCP connection of a host that is played by hand, see played-host.ts.

import type { Endpoint } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import { Region } from '../base/region.ts';
import type { HostError, HostStream, HostStreamEvents } from './host-network.ts';

/** The longest read that lands on the pad. */
export const PAD_LEN = 16384;
const SPOILED = 0xee;

/** What a stream needs of its host. */
export interface StreamHost {
  readonly arena: Arena;
  /** Where a read lands for which no region was reserved: PAD_LEN bytes of the arena. */
  readonly pad: number;
  onWrite(stream: PlayedStream): void;
  later(what: () => void): void;
}

/** What waits to be told to the engine about a stream. */
type Arrival = { readonly data: Uint8Array } | 'end';

export class PlayedStream implements HostStream {
  readonly to: Endpoint;
  state: 'connecting' | 'open' | 'closed' = 'open';
  /** The engine has called end(), or reset(). */
  ended = false;
  wasReset = false;
  /** The engine wants to read. */
  reading = false;
  /** True: a write is not taken at once but held until letGo(). */
  holdWrites = false;
  /** Bytes that the engine has written, as they came. */
  readonly chunks: Uint8Array[] = [];
  private readonly host: StreamHost;
  private events: HostStreamEvents | null;
  /** Where the next read lands, asked for ahead as Node does. */
  private readonly region = new Region();
  private readonly arrivals: Arrival[] = [];
  private held: Region | null = null;
  private pumping = false;
  private remoteEnded = false;

  constructor(host: StreamHost, to: Endpoint, events: HostStreamEvents | null, state: 'connecting' | 'open') {
    this.host = host;
    this.to = to;
    this.events = events;
    this.state = state;
    if (events !== null) this.reserve();
  }

  // What the engine calls.

  write(off: number, len: number): boolean {
    if (this.state !== 'open') throw new Error(`write to a stream that is ${this.state}`);
    if (this.held !== null) throw new Error('one write at a time');
    if (this.ended) throw new Error('write after end');
    if (this.holdWrites) {
      this.held = Object.assign(new Region(), { off, len });
      return false;
    }
    this.take(off, len);
    return true;
  }

  end(): void {
    this.ended = true;
    this.host.later(() => this.closeIfDone());
  }

  reset(): void {
    if (this.wasReset || this.state === 'closed') return;
    this.wasReset = true;
    this.arrivals.length = 0;
    this.host.later(() => this.finish(null));
  }

  resume(): void {
    this.reading = true;
    this.schedule();
  }

  pause(): void {
    this.reading = false;
  }

  // What the test calls: the other side.

  /** The connection is made. */
  open(): this {
    this.host.later(() => {
      if (this.wasReset || this.state !== 'connecting') return;
      this.state = 'open';
      this.events?.onOpen();
    });
    return this;
  }

  /** The connection is refused, or ends with an error; 'reset' is the remote's RST. Data on its way is lost. */
  fail(error: HostError): void {
    this.arrivals.length = 0;
    this.host.later(() => this.finish(error));
  }

  /** Data from the remote. */
  gives(data: Uint8Array | string): this {
    const bytes = typeof data === 'string' ? Uint8Array.from(data, (c) => c.charCodeAt(0)) : data;
    this.arrivals.push({ data: bytes });
    this.schedule();
    return this;
  }

  /** FIN from the remote, behind its data. */
  ends(): this {
    this.arrivals.push('end');
    this.schedule();
    return this;
  }

  /** A held write is done: its bytes are read now. */
  letGo(): void {
    const { held } = this;
    if (held === null) throw new Error('no write is held');
    this.held = null;
    this.take(held.off, held.len);
    this.host.later(() => {
      if (this.state === 'open' && !this.wasReset) this.events?.onWritten();
    });
  }

  get isHolding(): boolean {
    return this.held !== null;
  }

  /** Bytes that have not reached the engine. */
  get undelivered(): number {
    return this.arrivals.reduce((sum, one) => sum + (one === 'end' ? 0 : one.data.length), 0);
  }

  /** All that the engine has written. */
  get written(): Uint8Array {
    const all = new Uint8Array(this.chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  /** The same as text, a character a byte. */
  get text(): string {
    return Array.from(this.written, (byte) => String.fromCharCode(byte)).join('');
  }

  accepted(events: HostStreamEvents | null): void {
    this.events = events;
    if (events === null) {
      this.wasReset = true;
      this.state = 'closed';
    } else this.reserve();
  }

  private take(off: number, len: number): void {
    this.chunks.push(Uint8Array.from(this.host.arena.memory.bytes.subarray(off, off + len)));
    this.host.onWrite(this);
  }

  private schedule(): void {
    if (this.pumping || this.arrivals.length === 0) return;
    this.pumping = true;
    this.host.later(() => {
      this.pumping = false;
      this.pump();
    });
  }

  /** One read or the end, then a turn for the next. */
  private pump(): void {
    const next = this.arrivals[0];
    if (next === undefined || !this.reading || this.state !== 'open' || this.wasReset) return;
    if (next === 'end') {
      this.arrivals.shift();
      this.remoteEnded = true;
      this.events?.onEnd();
      this.closeIfDone();
      return;
    }
    const { len } = this.region;
    const part = next.data.subarray(0, Math.min(len > 0 ? len : PAD_LEN, next.data.length));
    this.arrivals.shift();
    if (part.length < next.data.length) this.arrivals.unshift({ data: next.data.subarray(part.length) });
    this.deliver(part);
    this.schedule();
  }

  private deliver(part: Uint8Array): void {
    const { bytes } = this.host.arena.memory;
    const onPad = this.region.len === 0;
    const at = onPad ? this.host.pad : this.region.off;
    bytes.set(part, at);
    if (this.events?.onRead(at, part.length) === false) this.reading = false;
    if (onPad) bytes.fill(SPOILED, at, at + part.length);
    this.reserve();
  }

  /** Node asks right after each read and never before the next. */
  private reserve(): void {
    this.region.off = 0;
    this.region.len = 0;
    this.events?.reserveRead(this.region);
  }

  private closeIfDone(): void {
    if (this.ended && this.remoteEnded && this.held === null) this.finish(null);
  }

  private finish(error: HostError | null): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.held = null;
    this.events?.onClose(this.wasReset ? null : error);
  }
}
