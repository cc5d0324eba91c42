// Our engine for the raw-frame guest: a link that is this process, and a host that takes and gives everything at once.

import { Region } from '../../../src/base/region.ts';
import type { HostContext, HostStream, HostStreamEvents } from '../../../src/host/host-network.ts';
import { PREFIX_LEN } from '../../../src/link/framing.ts';
import { createNetwork, type Network } from '../../../src/network/network.ts';
import { NodeClock } from '../../../src/node/clock.ts';
import { NodeRandom } from '../../../src/node/random.ts';
import { BATCH, BenchHost, BenchLink } from '../../engine.ts';
import { PIECE, type RawEngine, type ToGuest } from './engine.ts';

export class RawUsernet implements RawEngine {
  readonly name = 'usernet';
  readonly incoming: Uint8Array;
  toGuest: ToGuest = () => {};
  private readonly network: Network;
  private readonly link: RawLink;
  private readonly host = new RawHost();
  private len = 0;

  constructor() {
    const makeView = (buffer: ArrayBuffer): Uint8Array => Buffer.from(buffer);
    const parts = { clock: new NodeClock(), random: new NodeRandom(), host: this.host, makeView };
    this.network = createNetwork({ mtu: 1500 }, parts);
    this.link = new RawLink((bytes, from, to) => this.toGuest(bytes, from, to));
    this.network.attach(this.link);
    const { memory } = this.network.arena;
    this.incoming = memory.bytes.subarray(this.link.incoming, this.link.incoming + BATCH);
  }

  get hostReceived(): number {
    return this.host.received;
  }

  take(len: number): void {
    this.len = len;
    this.network.turn.run(this.input);
  }

  give(): void {
    this.host.newest?.reads();
  }

  private readonly input = (): void => {
    const { incoming } = this.link;
    this.link.pass(incoming, incoming + this.len);
  };
}

/** Hands frames over when the turn flushes, in one piece, each with its length in front. */
class RawLink extends BenchLink {
  private readonly toGuest: ToGuest;

  constructor(toGuest: ToGuest) {
    super();
    this.toGuest = toGuest;
  }

  override reserve(maxLen: number): number {
    if (this.used + PREFIX_LEN + maxLen > BATCH) this.flush();
    return super.reserve(maxLen);
  }

  /** The guest only writes down what it has seen and calls nothing back. */
  override flush(): void {
    this.toGuest(this.host.arena.memory.bytes, this.batch, this.batch + this.used);
    super.flush();
  }
}

class RawStream implements HostStream {
  private readonly context: HostContext;
  private readonly events: HostStreamEvents;
  private readonly host: RawHost;
  private readonly pad: number;
  private readonly region = new Region();
  private isReading = false;
  private hasEnded = false;

  constructor(context: HostContext, events: HostStreamEvents, host: RawHost, pad: number) {
    this.context = context;
    this.events = events;
    this.host = host;
    this.pad = pad;
    context.clock.soon(() => context.turn.run(() => events.onOpen()));
  }

  write(_off: number, len: number): boolean {
    this.host.received += len;
    return true;
  }

  /** One read, as the kernel would have made it; what the bytes are does not matter. */
  reads(): void {
    if (!this.isReading || this.hasEnded) return;
    this.region.len = 0;
    this.events.reserveRead(this.region);
    this.context.turn.run(this.read);
  }

  end(): void {}

  reset(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.context.clock.soon(() => this.context.turn.run(() => this.events.onClose(null)));
  }

  resume(): void {
    this.isReading = true;
  }

  pause(): void {
    this.isReading = false;
  }

  private readonly read = (): void => {
    const { region } = this;
    const isReserved = region.len > 0;
    const len = isReserved ? Math.min(region.len, PIECE) : PIECE;
    if (!this.events.onRead(isReserved ? region.off : this.pad, len)) this.isReading = false;
  };
}

class RawHost extends BenchHost {
  newest: RawStream | null = null;
  received = 0;

  override connectTcp(_to: unknown, events: HostStreamEvents): HostStream {
    this.newest = new RawStream(this.context, events, this, this.pad);
    return this.newest;
  }
}
