// A host with a few servers that keeps nothing of what comes, so that millions of frames leave no trace in the memory of the
// test. Connections to PORTS.open are taken, to PORTS.refusing refused, to PORTS.sink and PORTS.source the well-behaved
// guest's; all others hang. Datagrams to PORTS.echo come back, those to PORTS.refusing meet a closed port, the resolver
// does not know any name.

import type { Endpoint } from '../../src/base/addr.ts';
import { Account } from '../../src/base/arena.ts';
import { EngineHalf } from '../../src/host/engine-half.ts';
import type {
  HostContext,
  HostDatagramEvents,
  HostDatagrams,
  HostNetwork,
  HostStream,
  HostStreamEvents,
} from '../../src/host/host-network.ts';
import { to as endpointOf } from '../support/guest-bench.ts';

export const PORTS = {
  sink: 5001,
  source: 5002,
  open: 5100,
  refusing: 5101,
  hanging: 5102,
  echo: 7,
} as const;
export const RESOLVER = endpointOf('192.0.2.53', 53);
/** What the host itself holds of the arena. */
export const PAD_LEN = 65536;

export class CrowdHost implements HostNetwork {
  readonly streams = new Set<CrowdStream>();
  readonly sockets = new Set<HostDatagrams>();
  /** The latest connections of the well-behaved guest. */
  sink: CrowdStream | null = null;
  source: CrowdStream | null = null;
  private context!: HostContext;
  private pad = -1;

  start(context: HostContext): void {
    this.context = context;
    this.pad = context.arena.take(PAD_LEN, new Account());
  }

  connectTcp(to: Endpoint, events: HostStreamEvents): HostStream {
    const { port } = to;
    const stream = new CrowdStream(this, to, events, this.pad);
    this.streams.add(stream);
    if (port === PORTS.sink) this.sink = stream;
    if (port === PORTS.source) this.source = stream;
    if (port === PORTS.refusing) stream.fail('refused');
    else if (port === PORTS.open || port === PORTS.sink || port === PORTS.source) stream.open();
    return stream;
  }

  openUdp(events: HostDatagramEvents): HostDatagrams {
    const socket: HostDatagrams = {
      send: (off, len, at) => {
        this.answer(events, this.context.arena.memory.bytes.subarray(off, off + len), at, socket);
        return true;
      },
      close: () => void this.sockets.delete(socket),
    };
    this.sockets.add(socket);
    return socket;
  }

  listenTcp(): Promise<never> {
    return Promise.reject(new Error('no listeners here'));
  }

  bindUdp(): Promise<never> {
    return Promise.reject(new Error('no listeners here'));
  }

  resolvers(): readonly Endpoint[] {
    return [RESOLVER];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** In a turn of its own. */
  later(what: () => void): void {
    const { clock, turn } = this.context;
    clock.soon(() => turn.run(what));
  }

  private answer(events: HostDatagramEvents, lent: Uint8Array, at: Endpoint, socket: HostDatagrams): void {
    if (![PORTS.echo, PORTS.refusing, RESOLVER.port].includes(at.port)) return;
    const data = Uint8Array.from(lent);
    // QR, RD, RA and NXDOMAIN.
    if (at.port === RESOLVER.port) data.set([0x81, 0x83], 2);
    this.later(() => {
      if (!this.sockets.has(socket)) return;
      if (at.port === PORTS.refusing) events.onError('refused');
      else events.onDatagram(data, at);
    });
  }
}

/** A connection whose other side takes what comes and gives as many bytes as it is told to. */
export class CrowdStream extends EngineHalf<CrowdHost> {
  /** Bytes that the engine has written. */
  taken = 0;
  private readonly pad: number;
  private remaining = 0;

  constructor(host: CrowdHost, to: Endpoint, events: HostStreamEvents, pad: number) {
    super(host, to, 'connecting');
    this.pad = pad;
    this.events = events;
    this.reserve();
  }

  /** The other side sends `bytes` more. */
  gives(bytes: number): void {
    this.remaining += bytes;
    this.schedule();
  }

  override end(): void {
    this.ended = true;
    this.host.later(() => {
      if (this.state === 'open' && !this.wasReset) this.endRemote();
    });
  }

  protected took(_off: number, len: number): void {
    this.taken += len;
  }

  protected override get hasArrivals(): boolean {
    return this.remaining > 0;
  }

  protected pump(): void {
    const { off, len } = this.region;
    const part = Math.min(this.remaining, len > 0 ? len : PAD_LEN);
    this.remaining -= part;
    if (this.events?.onRead(len > 0 ? off : this.pad, part) === false) this.reading = false;
    this.reserve();
    this.schedule();
  }

  protected override left(): void {
    this.host.streams.delete(this);
  }
}
