// UDP of a world in memory: sockets of the engine on one side, the test's on the other, and who is bound where.

import { type Endpoint, formatEndpoint, isIpv4 } from '../base/addr.ts';
import type { HostContext, HostDatagramEvents, HostDatagrams, HostError } from './host-network.ts';
import { endpointOf } from './memory-places.ts';

/** The longest payload over IPv4. */
export const MAX_DATAGRAM = 65507;
/** Datagrams of one socket of the engine that have not arrived: then its queue is full. */
const MAX_PENDING = 256;

/** What came for a server. */
export interface MemoryDatagram {
  /** Given, not lent. */
  readonly data: Uint8Array;
  readonly from: Endpoint;
  /** Sends a copy of `data` back, from where this one was sent to. */
  reply(data: Uint8Array): void;
}

/** What the sockets of both sides need of their world. */
export interface UdpWorld {
  readonly context: HostContext;
  /** Why nothing arrives at `to`: null where it does. */
  obstacle(to: Endpoint): 'silent' | 'unreachable' | null;
  /** The test's socket at `to`. */
  outside(to: Endpoint): MemoryUdp | undefined;
  /** The engine's socket at `to`. */
  inside(to: Endpoint): MemoryDatagrams | undefined;
  /** What the engine's socket on `port` looks like to `to`. */
  sourceFor(to: Endpoint, port: number): Endpoint;
  /** In a turn. */
  later(what: () => void): void;
  /** Code of the test, outside of turns. */
  soon(what: () => void): void;
  closedInside(socket: MemoryDatagrams): void;
  closedOutside(socket: MemoryUdp): void;
}

/** A socket of the engine. Errors as real ones have them: of a port that is closed it hears while it has one remote. */
export class MemoryDatagrams implements HostDatagrams {
  /** Where it is bound; the address 0.0.0.0 where it is at all of them. */
  readonly at: Endpoint;
  private readonly world: UdpWorld;
  private readonly events: HostDatagramEvents;
  private remote: string | null = null;
  private hasOneRemote = true;
  private pending = 0;
  private closed = false;

  constructor(world: UdpWorld, at: Endpoint, events: HostDatagramEvents) {
    this.world = world;
    this.at = at;
    this.events = events;
  }

  send(off: number, len: number, to: Endpoint): boolean {
    const { world } = this;
    if (this.closed || !isIpv4(to.addr) || this.pending >= MAX_PENDING) return false;
    const remote = formatEndpoint(to);
    this.remote ??= remote;
    if (this.remote !== remote) this.hasOneRemote = false;
    const obstacle = world.obstacle(to);
    if (obstacle === 'silent') return true;
    if (obstacle === 'unreachable') return this.failed('host-unreachable');
    const data = new Uint8Array(world.context.arena.memory.bytes.subarray(off, off + len));
    const from = world.sourceFor(to, this.at.port);
    this.pending++;
    world.soon(() => {
      this.pending--;
      const socket = world.outside(to);
      if (socket !== undefined) socket.heard(data, from);
      else this.failed('refused');
    });
    return true;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.world.closedInside(this);
  }

  /** A datagram for the engine, which keeps `data`. */
  heard(data: Uint8Array, from: Endpoint): void {
    this.world.later(() => {
      if (!this.closed) this.events.onDatagram(data, from);
    });
  }

  private failed(error: HostError): true {
    if (!this.hasOneRemote) return true;
    this.world.later(() => {
      if (this.closed || !this.hasOneRemote) return;
      if (error !== 'refused') this.close();
      this.events.onError(error);
    });
    return true;
  }
}

/** A UDP port of the world outside, the test's. */
export class MemoryUdp {
  readonly at: Endpoint;
  private readonly world: UdpWorld;
  private readonly onDatagram: (datagram: MemoryDatagram) => void;
  private closed = false;

  constructor(world: UdpWorld, at: Endpoint, onDatagram: (datagram: MemoryDatagram) => void) {
    this.world = world;
    this.at = at;
    this.onDatagram = onDatagram;
  }

  /** Sends a copy of `data`, 0 to 65507 bytes, to a port that the network has bound. Lost where there is none. */
  send(data: Uint8Array, address: string, port: number): void {
    this.sendTo(data, endpointOf({ address, port }));
  }

  /** The same. */
  sendTo(data: Uint8Array, to: Endpoint): void {
    if (this.closed) throw new Error(`udp ${formatEndpoint(this.at)} is closed`);
    if (data.length > MAX_DATAGRAM)
      throw new Error(`a datagram of ${data.length} bytes, ${MAX_DATAGRAM} is the most`);
    const copy = Uint8Array.from(data);
    this.world.soon(() => this.world.inside(to)?.heard(copy, this.at));
  }

  /** The port is free, and what is sent to it from now on is lost. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.world.closedOutside(this);
  }

  /** A datagram for the test. */
  heard(data: Uint8Array, from: Endpoint): void {
    if (this.closed) return;
    this.onDatagram({ data, from, reply: (answer) => this.sendTo(answer, from) });
  }
}
