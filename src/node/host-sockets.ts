// The host's network through Node's sockets. TCP streams are in host-tcp.ts, UDP sockets in host-udp.ts; this is what they
// have in common: the pad where reads without a place of their own land, the budget of descriptors, listeners, the end.

import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Endpoint } from '../base/addr.ts';
import { formatEndpoint, formatIp, isIpv4, parseIp } from '../base/addr.ts';
import { Account } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import type { Random } from '../base/random.ts';
import type {
  HostContext,
  HostDatagramEvents,
  HostDatagrams,
  HostListener,
  HostNetwork,
  HostStream,
  HostStreamEvents,
} from '../host/host-network.ts';
import { HostBindError } from '../host/host-network.ts';
import { arenaView } from './arena-view.ts';
import type { DescriptorBudget } from './descriptors.ts';
import { processDescriptors } from './descriptors.ts';
import type { TcpShared } from './host-tcp.ts';
import { ExhaustedStream, PAD_LEN, TcpStream } from './host-tcp.ts';
import type { UdpShared } from './host-udp.ts';
import { UdpSocket } from './host-udp.ts';
import { OpenSockets } from './open-sockets.ts';
import { NodeRandom } from './random.ts';
import { Resolvers } from './resolvers.ts';
import { SCRATCH_LEN, SendScratch } from './send-scratch.ts';
import { takeOverWorks } from './take-over.ts';

type OnAccept = (stream: HostStream, from: Endpoint) => HostStreamEvents | null;

/** How they are made. */
export interface NodeHostOptions {
  readonly random?: Random;
  /** Default: the one of the process. */
  readonly descriptors?: DescriptorBudget;
  /** Default: /etc/resolv.conf. */
  readonly resolvConf?: string;
  /** False: accepted connections are read through 'data' events and a copy. Default: what a trial says. */
  readonly takeOver?: boolean;
}

/** Node's sockets as the host of a network. */
export class NodeHost implements HostNetwork {
  private readonly options: NodeHostOptions;
  private readonly descriptors: DescriptorBudget;
  private tcp: TcpShared | null = null;
  private udp: UdpShared | null = null;
  private resolvConf: Resolvers | null = null;
  private readonly account = new Account();
  private listeners: OpenSockets<Server> | null = null;
  private trial: Promise<boolean> | null = null;
  private closing: Promise<void> | null = null;

  constructor(options: NodeHostOptions = {}) {
    this.options = options;
    this.descriptors = options.descriptors ?? processDescriptors;
  }

  /** Throws when the arena has no room for what is read to and sent from. */
  start(context: HostContext): void {
    assert(this.tcp === null, 'a host is started once');
    const padOff = context.arena.take(PAD_LEN + SCRATCH_LEN, this.account);
    if (padOff < 0) throw new Error('the arena has no room for what the host reads to and sends from');
    const pad = arenaView(context.arena.memory, padOff, PAD_LEN);
    const { descriptors } = this;
    const random = this.options.random ?? new NodeRandom();
    const scratch = new SendScratch(context.arena.memory, padOff + PAD_LEN);
    this.tcp = { context, padOff, pad, streams: new OpenSockets(descriptors) };
    this.udp = { context, random, sockets: new OpenSockets(descriptors), scratch };
    this.listeners = new OpenSockets(descriptors);
    this.resolvConf = new Resolvers(context.clock, this.options.resolvConf);
  }

  connectTcp(to: Endpoint, events: HostStreamEvents): HostStream {
    const tcp = this.started();
    if (this.closing !== null || !tcp.streams.reserve()) return new ExhaustedStream(tcp.context, events);
    return TcpStream.connect(tcp, to, events);
  }

  async listenTcp(at: Endpoint, onAccept: OnAccept): Promise<HostListener> {
    this.started();
    this.trial ??=
      this.options.takeOver === undefined ? takeOverWorks() : Promise.resolve(this.options.takeOver);
    const canTakeOver = await this.trial;
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    server.on('connection', (socket) => this.accept(socket, canTakeOver, onAccept));
    await this.bind(server, at);
    const { port } = server.address() as AddressInfo;
    return { at: { addr: at.addr, port }, close: () => server.close() };
  }

  openUdp(events: HostDatagramEvents): HostDatagrams {
    return new UdpSocket(this.startedUdp(), events);
  }

  bindUdp(at: Endpoint, events: HostDatagramEvents): Promise<HostDatagrams> {
    if (this.closing !== null)
      return Promise.reject(new HostBindError(`${formatEndpoint(at)}: the host is closed`));
    return new UdpSocket(this.startedUdp(), events).bindTo(at);
  }

  spareSockets(): number {
    const { limit, used } = this.descriptors;
    return limit - used;
  }

  /** What resolv.conf names, on port 53. It does not know which of these a network of ours may have taken over. */
  resolvers(): readonly Endpoint[] {
    return this.resolvConf?.current() ?? [];
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private accept(socket: Socket, canTakeOver: boolean, onAccept: OnAccept): void {
    const tcp = this.started();
    socket.on('error', ignoreLateError);
    const addr = parseIp(socket.remoteAddress ?? '');
    const port = socket.remotePort;
    // No address: the client has reset the connection before we came to it.
    if (addr === null || port === undefined) {
      socket.destroy();
      return;
    }
    if (this.closing !== null || !tcp.streams.reserve()) {
      socket.resetAndDestroy();
      return;
    }
    const stream = TcpStream.accepted(tcp, socket, canTakeOver);
    if (stream === null) {
      tcp.streams.unreserve();
      return;
    }
    tcp.context.turn.run(() => {
      const events = onAccept(stream, { addr, port });
      if (events === null) stream.reset();
      else stream.listen(events);
    });
  }

  private bind(server: Server, at: Endpoint): Promise<void> {
    return new Promise((resolve, reject) => {
      const { listeners } = this;
      const refuse = (why: string): void => reject(new HostBindError(`${formatEndpoint(at)}: ${why}`));
      if (this.closing !== null || listeners === null) return refuse('the host is closed');
      if (!listeners.reserve()) return refuse('too many open sockets');
      const onError = (error: Error): void => {
        listeners.unreserve();
        refuse(error.message);
      };
      server.once('error', onError);
      server.once('close', () => listeners.gone(server));
      const options = { host: formatIp(at.addr), port: at.port, ipv6Only: !isIpv4(at.addr), exclusive: true };
      server.listen(options, () => {
        listeners.add(server);
        if (this.closing !== null) server.close();
        server.off('error', onError);
        server.on('error', ignoreLateError);
        resolve();
      });
    });
  }

  private async closeAll(): Promise<void> {
    const { tcp, udp, listeners } = this;
    if (tcp === null || udp === null || listeners === null) return;
    for (const server of listeners.all) server.close();
    for (const stream of tcp.streams.all) stream.reset();
    for (const socket of udp.sockets.all) socket.close();
    await Promise.all([listeners.empty(), tcp.streams.empty(), udp.sockets.empty()]);
    // Nothing reads or writes the arena any more.
    tcp.context.arena.give(tcp.padOff, PAD_LEN + SCRATCH_LEN, this.account);
  }

  private started(): TcpShared {
    assert(this.tcp !== null, 'a host is started before it is used');
    return this.tcp;
  }

  private startedUdp(): UdpShared {
    assert(this.udp !== null, 'a host is started before it is used');
    return this.udp;
  }
}

/** An accept(2) that failed leaves nothing to clean up: the client sees its connection closed. */
function ignoreLateError(): void {}
