// Host ports that lead to a guest: QEMU's hostfwd. The guest sees the client's real address and port, or the gateway's
// address for a client on the host's loopback.
//
// TCP: the host's kernel has completed the client's handshake before we can decide; dial.ts does what is left.
// UDP: one host socket for each forward; the guest's answers leave by it, so that the client gets them from the port it
// has sent to. A client is remembered while it is in use, MAX_CLIENTS of each forward, the idlest goes first.

import { type Endpoint, formatEndpoint, sameEndpoint } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import { Drop, Loss } from '../base/drop.ts';
import type { ForwardSettings } from '../base/settings.ts';
import { Timer } from '../base/timers.ts';
import {
  HostBindError,
  type HostDatagramEvents,
  type HostDatagrams,
  type HostError,
  type HostListener,
  type HostStream,
} from '../host/host-network.ts';
import { Route } from '../ip/output.ts';
import type { Packet } from '../ip/packet.ts';
import { sendUdp } from '../ip/udp-ports.ts';
import * as udp from '../wire/udp.ts';
import type { NatContext } from './context.ts';
import type { DialedClient, GuestDialer } from './dial.ts';
import type { Flows } from './flows.ts';
import type { UdpForwards } from './input.ts';

const MAX_CLIENTS = 256;

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

/** A forward that is bound. */
export interface Forward {
  readonly settings: ForwardSettings;
  /** Where it is bound: the port is the real one where 0 was asked for. */
  readonly at: Endpoint;
}

interface TcpForward extends Forward {
  readonly listener: HostListener;
}

interface UdpForward extends Forward {
  readonly socket: HostDatagrams;
  /** By the guest's name for them. */
  readonly clients: Map<number, Client>;
}

export class Forwards implements UdpForwards {
  private readonly context: NatContext;
  private readonly flows: Flows;
  private readonly onLost: (message: string) => void;
  private readonly dialer: GuestDialer;
  private readonly tcp: TcpForward[] = [];
  private readonly udp: UdpForward[] = [];
  private closed = false;
  private readonly timer = new Timer((now) => this.expire(now));

  /** `onLost` hears of a forward whose socket ended by itself, in one line. */
  constructor(context: NatContext, flows: Flows, dialer: GuestDialer, onLost: (message: string) => void) {
    this.context = context;
    this.flows = flows;
    this.dialer = dialer;
    this.onLost = onLost;
  }

  get hasUdp(): boolean {
    return this.udp.length > 0;
  }

  list(): readonly Forward[] {
    return [...this.tcp, ...this.udp];
  }

  /** Binds one. Rejects with a HostBindError. */
  async open(settings: ForwardSettings): Promise<Forward> {
    if (this.closed) throw new HostBindError('the network is closed');
    return settings.proto === 'tcp' ? await this.openTcp(settings) : await this.openUdp(settings);
  }

  /** No new connections, and nothing more for UDP; what is open stays. False when it is not there. */
  remove(forward: Forward): boolean {
    return (
      remove(this.tcp, forward, (one) => one.listener.close()) ||
      remove(this.udp, forward, (one) => one.socket.close())
    );
  }

  close(): void {
    this.closed = true;
    for (const forward of this.list()) this.remove(forward);
    this.context.timers.disarm(this.timer);
  }

  private async openTcp(settings: ForwardSettings): Promise<Forward> {
    const onAccept = (stream: HostStream, from: Endpoint): DialedClient | null => {
      const { guestAddress, guestPort } = settings;
      const clientAddress = this.context.policy.toGuest(from.addr);
      return this.dialer.dial({ guestAddress, guestPort, clientAddress, clientPort: from.port }, stream);
    };
    const listener = await this.context.host.listenTcp(settings.host, onAccept);
    const forward = { settings, listener, at: listener.at };
    if (this.closed) listener.close();
    else this.tcp.push(forward);
    return forward;
  }

  private async openUdp(settings: ForwardSettings): Promise<Forward> {
    const clients = new Map<number, Client>();
    const events: HostDatagramEvents = {
      onDatagram: (data, from) => this.fromClient(forward, data, from),
      onError: (error) => this.lost(forward, error),
    };
    const socket = await this.context.host.bindUdp(settings.host, events);
    const forward: UdpForward = { settings, socket, clients, at: socket.at ?? settings.host };
    if (this.closed) {
      socket.close();
      throw new HostBindError(`${formatEndpoint(forward.at)}: the network is closed`);
    }
    this.udp.push(forward);
    return forward;
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

/** Takes `forward` out of `list`, and closes it. False when it is not there. */
function remove<T extends Forward>(list: T[], forward: Forward, close: (one: T) => void): boolean {
  const at = list.findIndex((one) => (one as Forward) === forward);
  for (const one of at < 0 ? [] : list.splice(at, 1)) close(one);
  return at >= 0;
}

function leadToOne(a: ForwardSettings, b: ForwardSettings): boolean {
  return a.guestAddress === b.guestAddress && a.guestPort === b.guestPort;
}

function clientKey(address: number, port: number): number {
  return (address >>> 0) * 65536 + port;
}
