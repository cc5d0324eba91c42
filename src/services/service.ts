// What the gateway answers itself: DHCP, the name service. A service knows messages, not packets.

import type { IpAddr, Mac } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import type { Clock, Ms } from '../base/clock.ts';
import type { Drop } from '../base/drop.ts';
import type { Timers } from '../base/timers.ts';
import type { Turn } from '../base/turn.ts';
import type { HostStream, HostStreamEvents } from '../host/host-network.ts';

/** The other side of a message: enough to answer it, now or later, the way it came. Never changed; may be kept. */
export interface Peer {
  readonly addr: IpAddr;
  readonly port: number;
  readonly mac: Mac;
  /** The switch port it is behind. */
  readonly ingress: number;
}

export interface Service {
  readonly name: string;
  /** Called once, before the first frame. Claims its ports here. */
  start(ports: GatewayPorts): void;
  /** The link of a guest is gone. */
  forgetPort(ingress: number): void;
  /** Gives up its ports, timers and host sockets. */
  stop(): void;
}

export interface GatewayPorts {
  readonly arena: Arena;
  readonly clock: Clock;
  readonly turn: Turn;
  readonly timers: Timers;
  /**
   * Datagrams to `port` of `address`, one of the gateway's own addresses as an IPv4 word, or (DHCP) to the broadcast
   * addresses where `address` is the gateway's. Throws when the port is taken.
   */
  bindUdp(address: number, port: number, onDatagram: DatagramHandler): BoundPort;
  /**
   * Connections of guests to `port` of `address`. The returned stream is the service's end: what the guest sends is
   * written to it, what the service has to say it puts into the arena and hands to `events.onRead`. Open from the start.
   */
  bindTcp(address: number, port: number, accept: (events: HostStreamEvents, from: Peer) => HostStream): void;
}

/** One datagram at [off, off+len) of the arena, lent for the call. Bad input is a Drop, never an exception. */
export type DatagramHandler = (off: number, len: number, from: Peer, now: Ms) => Drop;

export interface BoundPort {
  /** Sends `payload`, copied, from the bound address and port. Nothing happens when the peer's link has gone. */
  send(payload: Uint8Array, to: Peer): void;
  close(): void;
}
