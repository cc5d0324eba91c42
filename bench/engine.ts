// An engine with nothing around it, for the path benchmarks: a link that throws frames away and a host whose kernel takes
// everything at once. What is left to measure is ours.

import type { Endpoint } from '../src/base/addr.ts';
import { Account } from '../src/base/arena.ts';
import { Region } from '../src/base/region.ts';
import type {
  HostContext,
  HostDatagramEvents,
  HostDatagrams,
  HostNetwork,
  HostStream,
  HostStreamEvents,
} from '../src/host/host-network.ts';
import { PREFIX_LEN } from '../src/link/framing.ts';
import type { Link, LinkHost, LinkSink } from '../src/link/link.ts';
import type { NetworkConfig } from '../src/network/config.ts';
import { createNetwork, type Network } from '../src/network/network.ts';
import { NodeClock } from '../src/node/clock.ts';
import { NodeRandom } from '../src/node/random.ts';

/** Bytes of what a guest sends at once, and of what it gets in a turn. */
export const BATCH = 262144;
/** More than any of these benchmarks gives a link. */
const FRAMES_OF_A_TURN = 4096;

/**
 * Frames from the guest are put at `incoming` and given by hand; frames to it are counted, the last one stays readable. A
 * length before each frame, as a link has it that reads from a socket and writes to one.
 */
export class BenchLink implements Link {
  readonly name = 'bench';
  readonly maxFrame = 65549;
  incoming = 0;
  /** Where the last frame to the guest begins. */
  lastFrame = 0;
  framesOut = 0;
  sink!: LinkSink;
  host!: LinkHost;
  protected batch = 0;
  protected used = 0;
  private readonly run = { at: 0, end: 0, most: 0 };

  attach(sink: LinkSink, host: LinkHost): void {
    const account = new Account();
    this.sink = sink;
    this.host = host;
    this.incoming = host.arena.take(BATCH, account);
    this.batch = host.arena.take(BATCH, account);
  }

  /** Within a turn: the frames in [at, end), their lengths before them, as a Deframer passes them on. */
  pass(at: number, end: number): void {
    const { run, sink } = this;
    const { view } = this.host.arena.memory;
    run.at = at;
    run.end = end;
    run.most = FRAMES_OF_A_TURN;
    while (run.at < end) {
      const frame = run.at + PREFIX_LEN;
      run.at = frame + view.getUint32(run.at);
      sink.onFrame(frame, run.at - frame);
      sink.onFrames?.(run);
    }
  }

  reserve(maxLen: number): number {
    if (this.used + PREFIX_LEN + maxLen > BATCH) this.used = 0;
    return this.batch + this.used + PREFIX_LEN;
  }

  commit(len: number): void {
    this.lastFrame = this.batch + this.used + PREFIX_LEN;
    this.host.arena.memory.view.setUint32(this.batch + this.used, len);
    this.used += PREFIX_LEN + len;
    this.framesOut++;
    this.host.turn.wantFlush(this);
  }

  extend(len: number, count: number): number {
    const fit = Math.min(count, Math.floor((BATCH - this.used) / (PREFIX_LEN + len)));
    this.used += fit * (PREFIX_LEN + len);
    this.lastFrame = this.batch + this.used - len;
    this.framesOut += fit;
    return fit;
  }

  send(off: number, len: number): boolean {
    this.host.arena.memory.copy(this.reserve(len), off, len);
    this.commit(len);
    return true;
  }

  flush(): void {
    this.used = 0;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A connection that is open at once and takes all that is written. */
export class BenchStream implements HostStream {
  readonly events: HostStreamEvents;
  private readonly context: HostContext;
  private readonly pad: number;
  private readonly region = new Region();
  private inRegion = false;
  private len = 0;

  constructor(context: HostContext, events: HostStreamEvents, pad: number) {
    this.context = context;
    this.events = events;
    this.pad = pad;
    context.clock.soon(() => context.turn.run(() => events.onOpen()));
  }

  write(): boolean {
    return true;
  }

  /** One read of `len` bytes, as the kernel would have put them there; what they are does not matter. */
  reads(len: number): void {
    this.len = len;
    this.context.turn.run(this.read);
    this.region.len = 0;
    this.events.reserveRead(this.region);
    this.inRegion = this.region.len > 0;
  }

  end(): void {}
  reset(): void {}
  resume(): void {}
  pause(): void {}

  private readonly read = (): void => {
    const len = this.inRegion ? Math.min(this.len, this.region.len) : this.len;
    this.events.onRead(this.inRegion ? this.region.off : this.pad, len);
  };
}

/** A socket that sends everything, and receives when it is told to. */
export class BenchDatagrams implements HostDatagrams {
  readonly events: HostDatagramEvents;
  sent = 0;
  /** Where the last datagram went. */
  lastTo: Endpoint | null = null;

  constructor(events: HostDatagramEvents) {
    this.events = events;
  }

  send(_off: number, _len: number, to: Endpoint): boolean {
    this.sent++;
    this.lastTo = to;
    return true;
  }

  close(): void {}
}

export class BenchHost implements HostNetwork {
  readonly streams: BenchStream[] = [];
  readonly sockets: BenchDatagrams[] = [];
  protected context!: HostContext;
  protected pad = 0;

  start(context: HostContext): void {
    this.context = context;
    this.pad = context.arena.take(65536, new Account());
  }

  connectTcp(_to: unknown, events: HostStreamEvents): HostStream {
    const stream = new BenchStream(this.context, events, this.pad);
    this.streams.push(stream);
    return stream;
  }

  openUdp(events: HostDatagramEvents): HostDatagrams {
    const socket = new BenchDatagrams(events);
    this.sockets.push(socket);
    return socket;
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

export type Kernel = 'wasm' | 'js';

export interface BenchEngine {
  readonly network: Network;
  readonly host: BenchHost;
}

export function benchEngine(mtu: number, kernel: Kernel, config: NetworkConfig = {}): BenchEngine {
  const host = new BenchHost();
  const clock = new NodeClock();
  const makeView = (buffer: ArrayBuffer): Uint8Array => Buffer.from(buffer);
  const network = createNetwork(
    { mtu, ...config },
    { clock, random: new NodeRandom(), host, makeView, kernel },
  );
  return { network, host };
}

/** Arena bytes of the bench's own. */
export function takeBlock({ network }: BenchEngine, len: number): number {
  const off = network.arena.take(len, new Account());
  if (off < 0) throw new Error(`the arena has no ${len} bytes left`);
  return off;
}

/** A frame that is dropped costs little: what was measured must have been used. */
export function expectNothingDropped({ network }: BenchEngine): void {
  const { drops, losses, tcp } = network.stats();
  const faults = { ...drops, ...losses };
  if (Object.keys(faults).length > 0 || tcp.retransmits > 0)
    throw new Error(`dropped ${JSON.stringify(faults)}, sent again ${tcp.retransmits}`);
}
