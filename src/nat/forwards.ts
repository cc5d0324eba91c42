// Host ports that lead to a guest: QEMU's hostfwd. The guest sees the client's real address and port, or the gateway's
// address for a client on the host's loopback.
//
// TCP: the host's kernel has completed the client's handshake before we can decide. So no byte of the client is read
// before the guest's SYN-ACK, and a guest that refuses, or is not there, makes the client see a reset.
// UDP: one host socket for each forward; the guest's answers leave by it, so that the client gets them from the port it
// has sent to. A client is remembered while it is in use, MAX_CLIENTS of each forward, the idlest goes first.

import { type Endpoint, formatEndpoint, ipv4Addr, sameEndpoint } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import { Drop, Loss } from '../base/drop.ts';
import type { ForwardSettings } from '../base/settings.ts';
import { Timer } from '../base/timers.ts';
import type {
  HostDatagramEvents,
  HostDatagrams,
  HostError,
  HostListener,
  HostStream,
  HostStreamEvents,
} from '../host/host-network.ts';
import type { Neighbour } from '../ip/neighbours.ts';
import { Route, TcpRoute } from '../ip/output.ts';
import type { Packet } from '../ip/packet.ts';
import { sendUdp } from '../ip/udp-ports.ts';
import { Protocol } from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import type { NatContext } from './context.ts';
import { KEY_WORDS, setKey } from './flow-table.ts';
import type { Flows } from './flows.ts';
import type { UdpForwards } from './input.ts';

const MAX_CLIENTS = 256;
/** Connections that wait for the guest's address to be found. */
const MAX_PENDING = 256;

/** A client of a UDP forward. */
interface Client {
  readonly host: Endpoint;
  /** What the guest knows it as. */
  readonly address: number;
  readonly port: number;
  /** The switch port of the guest that was sent to. */
  ingress: number;
  lastActiveAt: Ms;
}

interface UdpForward {
  readonly settings: ForwardSettings;
  readonly socket: HostDatagrams;
  /** By the guest's name for them. */
  readonly clients: Map<number, Client>;
}

export class Forwards implements UdpForwards {
  private readonly context: NatContext;
  private readonly flows: Flows;
  private readonly onLost: (message: string) => void;
  private readonly listeners: HostListener[] = [];
  private readonly udp: UdpForward[] = [];
  private readonly key = new Int32Array(KEY_WORDS);
  private pending = 0;
  private readonly timer = new Timer((now) => this.expire(now));

  /** `onLost` hears of a forward whose socket ended by itself, in one line. */
  constructor(context: NatContext, flows: Flows, onLost: (message: string) => void) {
    this.context = context;
    this.flows = flows;
    this.onLost = onLost;
  }

  get hasUdp(): boolean {
    return this.udp.length > 0;
  }

  /** Where the TCP forwards are bound. */
  bound(): readonly Endpoint[] {
    return this.listeners.map((listener) => listener.at);
  }

  /** Binds one. Rejects with a HostBindError. */
  async open(settings: ForwardSettings): Promise<void> {
    const { host } = this.context;
    if (settings.proto === 'tcp') {
      const onAccept = (stream: HostStream, from: Endpoint): HostStreamEvents | null =>
        this.accept(settings, stream, from);
      this.listeners.push(await host.listenTcp(settings.host, onAccept));
      return;
    }
    const clients = new Map<number, Client>();
    const events: HostDatagramEvents = {
      onDatagram: (data, from) => this.fromClient(forward, data, from),
      onError: (error) => this.lost(forward, error),
    };
    const forward: UdpForward = { settings, socket: await host.bindUdp(settings.host, events), clients };
    this.udp.push(forward);
  }

  close(): void {
    for (const listener of this.listeners) listener.close();
    for (const forward of this.udp) forward.socket.close();
    this.listeners.length = 0;
    this.udp.length = 0;
    this.context.timers.disarm(this.timer);
  }

  reply(p: Packet, off: number, len: number, now: Ms): Drop | null {
    const v = this.context.arena.memory.view;
    for (const forward of this.udp) {
      const { settings } = forward;
      if (settings.guestAddress !== p.src || settings.guestPort !== udp.srcPort(v, p.l4)) continue;
      const client = forward.clients.get(clientKey(p.dst, udp.dstPort(v, p.l4)));
      // Only the guest that was sent to may answer: another on the switch may say that it has the same address.
      if (client === undefined || client.ingress !== p.ingress) continue;
      client.lastActiveAt = now;
      return forward.socket.send(off, len, client.host) ? Drop.None : Drop.UdpHostQueueFull;
    }
    return null;
  }

  private accept(settings: ForwardSettings, stream: HostStream, from: Endpoint): HostStreamEvents | null {
    if (this.pending >= MAX_PENDING) {
      this.context.drops.lose(Loss.ForwardUnreachable);
      return null;
    }
    const waiting = new WaitingClient(stream);
    this.pending++;
    this.context.neighbours.find(settings.guestAddress, this.context.turn.now, (neighbour) => {
      this.pending--;
      if (!waiting.closed) this.join(settings, waiting, from, neighbour);
    });
    return waiting;
  }

  private join(
    settings: ForwardSettings,
    waiting: WaitingClient,
    from: Endpoint,
    neighbour: Neighbour | null,
  ): void {
    const { context } = this;
    const port = neighbour === null ? undefined : context.ports.port(neighbour.ingress);
    const peer = neighbour === null ? undefined : this.flows.guest(neighbour.ingress);
    const address = context.policy.toGuest(from.addr);
    if (neighbour === null || port === undefined || peer === undefined || !this.flows.mayOpenTcp(peer)) {
      this.refuse(waiting);
      return;
    }
    const clientPort = this.freePort(settings, address, from.port, neighbour.ingress);
    if (clientPort === 0) {
      this.refuse(waiting);
      return;
    }
    const { now } = context.turn;
    const guest = { addr: ipv4Addr(settings.guestAddress), port: settings.guestPort };
    const remote = { addr: ipv4Addr(address), port: clientPort };
    const route = new TcpRoute(
      context.output,
      port,
      context.addresses.macOf(address),
      address,
      neighbour.mac,
      settings.guestAddress,
    );
    const flow = this.flows.openTcp(neighbour.ingress, this.key, { guest, remote, route }, now);
    waiting.events = flow;
    flow.startForward(waiting.stream, now);
  }

  private refuse(waiting: WaitingClient): void {
    this.context.drops.lose(Loss.ForwardUnreachable);
    waiting.stream.reset();
  }

  /** The client's own port where that is free, else another: this.key is set for it. 0: none. */
  private freePort(settings: ForwardSettings, address: number, wanted: number, ingress: number): number {
    const isFree = (port: number): boolean => {
      setKey(this.key, settings.guestAddress, settings.guestPort, address, port, Protocol.Tcp, ingress);
      return this.flows.tcp.find(this.key) === undefined;
    };
    return isFree(wanted) ? wanted : this.flows.ephemeralPort(isFree);
  }

  private fromClient(forward: UdpForward, data: Uint8Array, from: Endpoint): void {
    const { context } = this;
    const { now } = context.turn;
    const client = this.clientAt(forward, from);
    if (client === null) {
      context.drops.lose(Loss.ForwardUnreachable);
      return;
    }
    client.lastActiveAt = now;
    const { address, port: clientPort } = client;
    const { guestAddress, guestPort } = forward.settings;
    context.neighbours.find(guestAddress, now, (neighbour) => {
      const port = neighbour === null ? undefined : context.ports.port(neighbour.ingress);
      if (neighbour === null || port === undefined) {
        context.drops.lose(Loss.ForwardUnreachable);
        return;
      }
      client.ingress = neighbour.ingress;
      const route = new Route(port, context.addresses.macOf(address), address, neighbour.mac, guestAddress);
      sendUdp(context.arena, context.output, context.drops, route, clientPort, guestPort, data);
    });
  }

  /** The client at `from`, made when it is new; null where there is no port left to tell it from another. */
  private clientAt(forward: UdpForward, from: Endpoint): Client | null {
    const { context, flows } = this;
    const { clients } = forward;
    const address = context.policy.toGuest(from.addr);
    const usual = clients.get(clientKey(address, from.port));
    if (usual !== undefined && sameEndpoint(usual.host, from)) return usual;
    for (const client of clients.values()) if (sameEndpoint(client.host, from)) return client;
    if (clients.size >= MAX_CLIENTS) this.dropIdlest(forward);
    // Everyone on loopback, and every client over IPv6, has the gateway's address: two may have the same port. And one
    // client may have sent to two forwards that lead to the same place.
    const rivals = this.udp.filter((one) => leadToOne(one.settings, forward.settings));
    const isFree = (port: number): boolean =>
      rivals.every((one) => !one.clients.has(clientKey(address, port)));
    const port = isFree(from.port) ? from.port : flows.ephemeralPort(isFree);
    if (port === 0) return null;
    const { now } = context.turn;
    const client = { host: from, address, port, ingress: 0, lastActiveAt: now };
    clients.set(clientKey(address, port), client);
    if (this.timer.index < 0) context.timers.arm(this.timer, now + context.settings.timeouts.udpIdle);
    return client;
  }

  /** A client whose port is closed is its own business; anything else has ended the socket. */
  private lost(forward: UdpForward, error: HostError): void {
    const at = this.udp.indexOf(forward);
    if (error === 'refused' || at < 0) return;
    this.udp.splice(at, 1);
    this.onLost(`forward udp ${formatEndpoint(forward.settings.host)} has ended: ${error}`);
  }

  private dropIdlest(forward: UdpForward): void {
    let idlest: [number, Client] | null = null;
    for (const entry of forward.clients) {
      if (idlest === null || entry[1].lastActiveAt < idlest[1].lastActiveAt) idlest = entry;
    }
    if (idlest === null) return;
    forward.clients.delete(idlest[0]);
    this.context.drops.lose(Loss.ForwardClientEvicted);
  }

  private expire(now: Ms): void {
    const idle = this.context.settings.timeouts.udpIdle;
    let left = 0;
    for (const { clients } of this.udp) {
      for (const [key, client] of clients) if (now - client.lastActiveAt >= idle) clients.delete(key);
      left += clients.size;
    }
    if (left > 0) this.context.timers.arm(this.timer, now + idle);
  }
}

/** A client whose guest is being looked for: hears its stream's events until a flow does. */
class WaitingClient implements HostStreamEvents {
  readonly stream: HostStream;
  closed = false;
  events: HostStreamEvents | null = null;

  constructor(stream: HostStream) {
    this.stream = stream;
  }

  onOpen(): void {
    this.events?.onOpen();
  }

  reserveRead(region: Parameters<HostStreamEvents['reserveRead']>[0]): void {
    if (this.events === null) region.len = 0;
    else this.events.reserveRead(region);
  }

  onRead(off: number, len: number): boolean {
    return this.events?.onRead(off, len) ?? false;
  }

  onWritten(): void {
    this.events?.onWritten();
  }

  onEnd(): void {
    this.events?.onEnd();
  }

  onClose(error: Parameters<HostStreamEvents['onClose']>[0]): void {
    this.closed = true;
    this.events?.onClose(error);
  }
}

function leadToOne(a: ForwardSettings, b: ForwardSettings): boolean {
  return a.guestAddress === b.guestAddress && a.guestPort === b.guestPort;
}

function clientKey(address: number, port: number): number {
  return (address >>> 0) * 65536 + port;
}
