// Our engine for the raw-frame guest: a link that is this process, and a host that takes and gives everything at once.

import { Account } from '../../../src/base/arena.ts';
import { Region } from '../../../src/base/region.ts';
import type {
  HostContext,
  HostDatagrams,
  HostNetwork,
  HostStream,
  HostStreamEvents,
} from '../../../src/host/host-network.ts';
import { eachFrame, PREFIX_LEN } from '../../../src/link/framing.ts';
import type { Link, LinkHost, LinkSink } from '../../../src/link/link.ts';
import { createNetwork, type Network } from '../../../src/network/network.ts';
import { NodeClock } from '../../../src/node/clock.ts';
import { NodeRandom } from '../../../src/node/random.ts';
import { PIECE, type RawEngine, type ToGuest } from './engine.ts';

const BATCH = 262144;

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
    const { incoming, sink } = this.link;
    eachFrame(this.network.arena.memory, incoming, incoming + this.len, sink.onFrame.bind(sink));
  };
}

/** Hands frames over when the turn flushes, in one piece. */
class RawLink implements Link {
  readonly name = 'raw';
  readonly maxFrame = 65549;
  incoming = 0;
  sink!: LinkSink;
  private host!: LinkHost;
  private readonly toGuest: ToGuest;
  private batch = 0;
  private used = 0;

  constructor(toGuest: ToGuest) {
    this.toGuest = toGuest;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    const account = new Account();
    this.sink = sink;
    this.host = host;
    this.incoming = host.arena.take(BATCH, account);
    this.batch = host.arena.take(BATCH, account);
  }

  reserve(maxLen: number): number {
    if (this.used + PREFIX_LEN + maxLen > BATCH) this.flush();
    return this.batch + this.used + PREFIX_LEN;
  }

  commit(len: number): void {
    this.host.arena.memory.view.setUint32(this.batch + this.used, len);
    this.used += PREFIX_LEN + len;
    this.host.turn.wantFlush(this);
  }

  send(off: number, len: number): boolean {
    this.host.arena.memory.copy(this.reserve(len), off, len);
    this.commit(len);
    return true;
  }

  /** The guest only writes down what it has seen and calls nothing back. */
  flush(): void {
    this.toGuest(this.host.arena.memory.bytes, this.batch, this.batch + this.used);
    this.used = 0;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class RawStream implements HostStream {
  private readonly context: HostContext;
  private readonly events: HostStreamEvents;
  private readonly host: RawHost;
  private readonly region = new Region();
  private isReading = false;
  private hasEnded = false;

  constructor(context: HostContext, events: HostStreamEvents, host: RawHost) {
    this.context = context;
    this.events = events;
    this.host = host;
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
    if (!this.events.onRead(isReserved ? region.off : this.host.pad, len)) this.isReading = false;
  };
}

class RawHost implements HostNetwork {
  newest: RawStream | null = null;
  received = 0;
  pad = 0;
  private context!: HostContext;

  start(context: HostContext): void {
    this.context = context;
    this.pad = context.arena.take(PIECE, new Account());
  }

  connectTcp(_to: unknown, events: HostStreamEvents): HostStream {
    this.newest = new RawStream(this.context, events, this);
    return this.newest;
  }

  openUdp(): HostDatagrams {
    return { send: () => true, close: () => {} };
  }

  listenTcp(): Promise<never> {
    return Promise.reject(new Error('no listeners here'));
  }

  bindUdp(): Promise<never> {
    return Promise.reject(new Error('no listeners here'));
  }

  resolvers(): readonly [] {
    return [];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
