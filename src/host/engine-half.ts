// The engine's half of a TCP connection whose other half somebody plays: what host-network.ts promises to the engine is
// kept here, and what it asks of it is held against it. One write at a time, none after end(); a read lands where the engine
// has reserved room before; nothing is told from inside a call; onClose is the last call, and comes once.

import type { Endpoint } from '../base/addr.ts';
import { Region } from '../base/region.ts';
import type { HostError, HostStream, HostStreamEvents } from './host-network.ts';

/** What a connection needs of its host: to run `what` later, in a turn. */
export interface LaterHost {
  later(what: () => void): void;
}

export abstract class EngineHalf<Host extends LaterHost> implements HostStream {
  readonly to: Endpoint;
  state: 'connecting' | 'open' | 'closed';
  /** The engine has called end(), or reset(). */
  ended = false;
  wasReset = false;
  /** The engine wants to read. */
  reading = false;
  /** True: a write is not taken at once but held until letGo(). */
  holdWrites = false;
  protected readonly host: Host;
  /** null: nobody listens. */
  protected events: HostStreamEvents | null = null;
  /** Where the next read lands, asked for ahead as Node does; without a length: on the host's pad. */
  protected readonly region = new Region();
  protected remoteEnded = false;
  private held: Region | null = null;
  private pumping = false;

  constructor(host: Host, to: Endpoint, state: 'connecting' | 'open') {
    this.host = host;
    this.to = to;
    this.state = state;
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
    this.took(off, len);
    return true;
  }

  end(): void {
    this.ended = true;
    this.host.later(() => this.closeIfDone());
  }

  reset(): void {
    if (this.wasReset || this.state === 'closed') return;
    this.wasReset = true;
    this.loseArrivals();
    this.host.later(() => this.finish(null));
  }

  resume(): void {
    this.reading = true;
    this.schedule();
  }

  pause(): void {
    this.reading = false;
  }

  // What the other half calls.

  /** The connection is made. */
  open(): this {
    this.host.later(() => {
      if (this.wasReset || this.state !== 'connecting') return;
      this.state = 'open';
      this.events?.onOpen();
      this.opened();
    });
    return this;
  }

  /** The connection is refused, or ends with an error; 'reset' is the remote's RST. */
  fail(error: HostError): void {
    this.loseArrivals();
    this.host.later(() => this.finish(error));
  }

  get isHolding(): boolean {
    return this.held !== null;
  }

  /** A held write, if there is one, is done: its bytes are read now. */
  letGo(): void {
    const { held } = this;
    if (held === null) return;
    this.held = null;
    this.took(held.off, held.len);
    this.host.later(() => {
      if (this.state === 'open' && !this.wasReset) this.events?.onWritten();
      this.closeIfDone();
    });
  }

  /** Calls pump() soon, in a turn of its own. */
  protected schedule(): void {
    if (this.pumping || !this.hasArrivals) return;
    this.pumping = true;
    this.host.later(() => {
      this.pumping = false;
      if (this.reading && this.state === 'open' && !this.wasReset && !this.remoteEnded) this.pump();
    });
  }

  /** Asks where the next read shall land, right after each read and never before the next. */
  protected reserve(): void {
    this.region.off = 0;
    this.region.len = 0;
    this.events?.reserveRead(this.region);
  }

  /** FIN from the remote. */
  protected endRemote(): void {
    this.remoteEnded = true;
    this.events?.onEnd();
    this.closeIfDone();
  }

  protected closeIfDone(): void {
    if (this.ended && this.remoteEnded && this.held === null) this.finish(null);
  }

  protected finish(error: HostError | null): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.held = null;
    this.left();
    this.events?.onClose(this.wasReset ? null : error);
  }

  // What whoever plays the other half says of it.

  /** The engine's bytes at [off, off+len) of the arena, lent. */
  protected abstract took(off: number, len: number): void;

  /** The engine wants to read: one read, or the end. */
  protected abstract pump(): void;

  /** Is there anything to pump? */
  protected get hasArrivals(): boolean {
    return true;
  }

  /** What is on its way to the engine is lost. */
  protected loseArrivals(): void {}

  /** The engine has heard that the connection is open. */
  protected opened(): void {}

  /** The connection is over, and the engine hears of it next. */
  protected left(): void {}
}
