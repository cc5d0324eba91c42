// One TCP connection of a host that is played by hand, see played-host.ts.

import type { Endpoint } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import { EngineHalf, type LaterHost } from './engine-half.ts';
import type { HostStreamEvents } from './host-network.ts';

/** The longest read that lands on the pad. */
export const PAD_LEN = 16384;
const SPOILED = 0xee;

/** What a stream needs of its host. */
export interface StreamHost extends LaterHost {
  readonly arena: Arena;
  /** Where a read lands for which no region was reserved: PAD_LEN bytes of the arena. */
  readonly pad: number;
  onWrite(stream: PlayedStream): void;
}

/** What waits to be told to the engine about a stream. */
type Arrival = { readonly data: Uint8Array } | 'end';

export class PlayedStream extends EngineHalf<StreamHost> {
  /** Bytes that the engine has written, as they came. */
  readonly chunks: Uint8Array[] = [];
  private readonly arrivals: Arrival[] = [];

  constructor(host: StreamHost, to: Endpoint, events: HostStreamEvents | null, state: 'connecting' | 'open') {
    super(host, to, state);
    this.events = events;
    if (events !== null) this.reserve();
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
  override letGo(): void {
    if (!this.isHolding) throw new Error('no write is held');
    super.letGo();
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

  /** The engine has taken the client in, or has not. */
  accepted(events: HostStreamEvents | null): void {
    this.events = events;
    if (events === null) {
      this.wasReset = true;
      this.state = 'closed';
    } else this.reserve();
  }

  protected took(off: number, len: number): void {
    this.chunks.push(Uint8Array.from(this.host.arena.memory.bytes.subarray(off, off + len)));
    this.host.onWrite(this);
  }

  protected override get hasArrivals(): boolean {
    return this.arrivals.length > 0;
  }

  protected override loseArrivals(): void {
    this.arrivals.length = 0;
  }

  protected pump(): void {
    const next = this.arrivals.shift();
    if (next === undefined) return;
    if (next === 'end') {
      this.endRemote();
      return;
    }
    const { len } = this.region;
    const part = next.data.subarray(0, Math.min(len > 0 ? len : PAD_LEN, next.data.length));
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
}
