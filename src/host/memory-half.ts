// The engine's half of a connection of a world in memory, see memory-host.ts.

import type { Endpoint } from '../base/addr.ts';
import { ByteHalf, type ByteStreamHost } from './byte-stream.ts';
import type { HostStream, HostStreamEvents } from './host-network.ts';

/** The engine's half of a connection of this world. */
export class MemoryHalf extends ByteHalf {
  /** The engine has heard that it is open. */
  onOpened: () => void = () => {};
  /** The connection is over. */
  onLeft: () => void = () => {};
  private gaveUp = false;

  constructor(host: ByteStreamHost, to: Endpoint, events: HostStreamEvents | null) {
    super(host, to, 'connecting', events);
  }

  /** A client's handshake with a listener of the engine is over; null: there is none. In a turn. */
  connectTo(accept: ((stream: HostStream) => HostStreamEvents | null) | null): void {
    if (this.state !== 'connecting' || this.gaveUp) return;
    if (accept === null) {
      this.fail('refused');
      return;
    }
    this.state = 'open';
    const events = accept(this);
    if (events === null) this.fail('reset');
    else {
      this.join(events);
      this.opened();
    }
  }

  override abandon(): void {
    this.gaveUp = true;
    super.abandon();
  }

  protected override opened(): void {
    super.opened();
    this.onOpened();
  }

  protected override left(): void {
    super.left();
    this.onLeft();
  }
}
