// A host with a few servers that keeps nothing of what comes, so that millions of frames leave no trace in the memory of the
// test. Connections to PORTS.open are taken, to PORTS.refusing refused, to PORTS.sink and PORTS.source the well-behaved
// guest's; all others hang. Datagrams to PORTS.echo come back, those to PORTS.refusing meet a closed port, the resolver
// does not know any name.

import type { Endpoint } from '../../src/base/addr.ts';
import { Account } from '../../src/base/arena.ts';
import { Region } from '../../src/base/region.ts';
import type {
  HostContext,
  HostDatagramEvents,
  HostDatagrams,
  HostError,
  HostNetwork,
  HostStream,
  HostStreamEvents,
} from '../../src/host/host-network.ts';
import { to } from '../support/guest-bench.ts';

export const PORTS = {
  sink: 5001,
  source: 5002,
  open: 5100,
  refusing: 5101,
  hanging: 5102,
  echo: 7,
} as const;
export const RESOLVER = to('192.0.2.53', 53);
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

  connectTcp({ port }: Endpoint, events: HostStreamEvents): HostStream {
    const stream = new CrowdStream(this, events, this.pad);
    this.streams.add(stream);
    if (port === PORTS.sink) this.sink = stream;
    if (port === PORTS.source) this.source = stream;
    if (port === PORTS.refusing) this.later(() => stream.close('refused'));
    else if (port === PORTS.open || port === PORTS.sink || port === PORTS.source) {
      this.later(() => stream.open());
    }
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
export class CrowdStream implements HostStream {
  /** Bytes that the engine has written. */
  taken = 0;
  private readonly host: CrowdHost;
  private readonly events: HostStreamEvents;
  private readonly pad: number;
  private readonly region = new Region();
  private state: 'connecting' | 'open' | 'closed' = 'connecting';
  private reading = false;
  private pumping = false;
  private left = 0;
  private wasReset = false;

  constructor(host: CrowdHost, events: HostStreamEvents, pad: number) {
    this.host = host;
    this.events = events;
    this.pad = pad;
    this.reserve();
  }

  /** The other side sends `bytes` more. */
  gives(bytes: number): void {
    this.left += bytes;
    this.pump();
  }

  open(): void {
    if (this.state !== 'connecting' || this.wasReset) return;
    this.state = 'open';
    this.events.onOpen();
  }

  close(error: HostError | null): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.host.streams.delete(this);
    this.events.onClose(this.wasReset ? null : error);
  }

  write(_off: number, len: number): boolean {
    this.taken += len;
    return true;
  }

  end(): void {
    this.host.later(() => {
      if (this.state !== 'open' || this.wasReset) return;
      this.events.onEnd();
      this.close(null);
    });
  }

  reset(): void {
    if (this.wasReset) return;
    this.wasReset = true;
    this.host.later(() => this.close(null));
  }

  resume(): void {
    this.reading = true;
    this.pump();
  }

  pause(): void {
    this.reading = false;
  }

  private pump(): void {
    if (this.pumping || !this.reading || this.left === 0) return;
    this.pumping = true;
    this.host.later(() => {
      this.pumping = false;
      if (this.state !== 'open' || this.wasReset || !this.reading) return;
      const { off, len } = this.region;
      const part = Math.min(this.left, len > 0 ? len : PAD_LEN);
      this.left -= part;
      if (!this.events.onRead(len > 0 ? off : this.pad, part)) this.reading = false;
      this.reserve();
      this.pump();
    });
  }

  private reserve(): void {
    this.region.off = 0;
    this.region.len = 0;
    this.events.reserveRead(this.region);
  }
}
