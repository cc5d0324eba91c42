// Sockets that code of the embedder has on the virtual network itself: connections to guests, ports that guests connect
// to, datagrams. Their other side is a guest; no port of the host is involved. To the engine each is a stream of a host
// (host/byte-stream.ts); towards the guest the code has the gateway's address, or whatever address it listens at.
//
// Code runs outside of turns, and what it calls here begins one of its own.

import { type Endpoint, formatEndpoint, ipv4Addr } from '../base/addr.ts';
import { Account } from '../base/arena.ts';
import { Drop, Loss } from '../base/drop.ts';
import { onRejection } from '../base/rejection.ts';
import { ByteHalf, ByteStream, type ByteStreamHost, PAD_LEN } from '../host/byte-stream.ts';
import { HostBindError } from '../host/host-network.ts';
import { Route } from '../ip/output.ts';
import { sendUdp, type UdpPorts } from '../ip/udp-ports.ts';
import type { NatContext } from './context.ts';
import type { GuestDialer } from './dial.ts';
import type { NatInput } from './input.ts';

/** What code hears of a UDP port. `data` is given; outside of turns. */
export type OnDatagram = (data: Uint8Array, from: Endpoint) => void;

/** Something that is bound until it is closed. */
export interface Bound {
  /** Idempotent. */
  close(): void;
}

/** A UDP port of the gateway's address that code has. */
export interface DatagramPort extends Bound {
  /** Sends a copy of `data`, 0 to 65507 bytes. Lost, and counted, where no guest has that address. Nothing after close(). */
  send(data: Uint8Array, to: Endpoint): void;
}

const MAX_DATAGRAM = 65507;

export class CodeSockets implements ByteStreamHost {
  readonly arena: NatContext['arena'];
  private readonly context: NatContext;
  private readonly nat: NatInput;
  private readonly udpPorts: UdpPorts;
  private readonly dialer: GuestDialer;
  private readonly onThrow: (error: unknown) => void;
  private readonly account = new Account();
  /** Connections to guests that have no flow yet. */
  private readonly dialing = new Set<ByteHalf>();
  private padAt = -1;

  /** `onThrow` hears of what callbacks throw. */
  constructor(
    context: NatContext,
    nat: NatInput,
    udpPorts: UdpPorts,
    dialer: GuestDialer,
    onThrow: (error: unknown) => void,
  ) {
    this.arena = context.arena;
    this.context = context;
    this.nat = nat;
    this.udpPorts = udpPorts;
    this.dialer = dialer;
    this.onThrow = onThrow;
  }

  /** Connects to a guest's address, an IPv4 word. onOpen or onClose follows. */
  connectTcp(address: number, port: number): ByteStream {
    const to = { addr: ipv4Addr(address), port };
    const half = new ByteHalf(this.takePad(), to, 'open', null);
    this.dialing.add(half);
    this.later(() => {
      if (!this.dialing.has(half)) return;
      const clientAddress = this.context.addresses.gateway;
      const ends = { guestAddress: address, guestPort: port, clientAddress, clientPort: 0 };
      const client = this.dialer.dial(ends, half, () => this.dialing.delete(half));
      if (client === null) {
        this.dialing.delete(half);
        half.fail('exhausted');
      } else half.dialed(client, () => client.why);
    });
    return new ByteStream(half, to);
  }

  /** Guests' connections to `port` of `address`, also one outside of their network. Throws a HostBindError. */
  listenTcp(address: number, port: number, onConnection: (stream: ByteStream) => void): Bound {
    const host = this.takePad();
    const at = formatEndpoint({ addr: ipv4Addr(address), port });
    const bound = this.nat.bindTcp(address, port, (events, from) => {
      const remote = { addr: from.addr, port: from.port };
      const half = new ByteHalf(host, remote, 'open', events);
      this.soon(() =>
        this.guarded(
          () => onConnection(new ByteStream(half, remote)),
          () => half.abandon(),
        ),
      );
      return half;
    });
    if (!bound) throw new HostBindError(`${at}: tcp port ${port} is taken`);
    let closed = false;
    return {
      close: () => {
        // The place may be somebody else's by now.
        if (!closed) this.nat.unbindTcp(address, port);
        closed = true;
      },
    };
  }

  /** Datagrams to `port` of `address`, one of the gateway's own. Throws a HostBindError. */
  openUdp(address: number, port: number, onDatagram: OnDatagram): DatagramPort {
    const bound = this.udpPorts.bind(address, port, (off, len, from) => {
      // Given, and outside of the arena. Of Node's Buffer slice() would not be a copy.
      const data = new Uint8Array(len);
      data.set(this.arena.memory.bytes.subarray(off, off + len));
      const { addr, port: fromPort } = from;
      this.soon(() => this.guarded(() => onDatagram(data, { addr, port: fromPort })));
      this.context.neighbours.notice(addr.w3, from.mac.hi, from.mac.lo, from.ingress);
      return Drop.None;
    });
    if (!bound) throw new HostBindError(`udp port ${port} of the gateway is taken`);
    let closed = false;
    return {
      send: (data, to) => {
        if (!closed) this.sendUdp(address, port, data, to);
      },
      close: () => {
        if (!closed) this.udpPorts.unbind(address, port);
        closed = true;
      },
    };
  }

  /** Connections that are being made fail. Those that are made end with their flows. */
  stop(): void {
    for (const half of this.dialing) half.fail('failed');
    this.dialing.clear();
  }

  /** The pad goes back. Call when every flow has ended. */
  close(): void {
    if (this.padAt >= 0) this.arena.give(this.padAt, PAD_LEN, this.account);
    this.padAt = -1;
  }

  // ByteStreamHost

  get pad(): number {
    return this.padAt;
  }

  later(what: () => void): void {
    const { timers, turn } = this.context;
    timers.clock.soon(() => turn.run(what));
  }

  soon(what: () => void): void {
    this.context.timers.clock.soon(what);
  }

  threw(error: unknown): void {
    this.onThrow(error);
  }

  private takePad(): this {
    if (this.padAt < 0) this.padAt = this.arena.take(PAD_LEN, this.account);
    if (this.padAt < 0) throw new Error('the arena has no room for sockets of the embedder');
    return this;
  }

  private sendUdp(address: number, port: number, data: Uint8Array, to: Endpoint): void {
    if (data.length > MAX_DATAGRAM)
      throw new RangeError(`a datagram of ${data.length} bytes: at most ${MAX_DATAGRAM}`);
    const copy = new Uint8Array(data);
    const { context } = this;
    this.later(() => {
      context.neighbours.find(to.addr.w3, context.turn.now, (neighbour) => {
        const out = neighbour === null ? undefined : context.ports.port(neighbour.ingress);
        if (neighbour === null || out === undefined) {
          context.drops.lose(Loss.ForwardUnreachable);
          return;
        }
        const mac = context.addresses.macOf(address);
        const route = new Route(out, mac, address, neighbour.mac, to.addr.w3);
        sendUdp(this.arena, context.output, context.drops, route, port, to.port, copy);
      });
    });
  }

  /** `onThrow` besides what hears of all throws. */
  private guarded(call: () => unknown, onThrow: () => void = () => {}): void {
    const threw = (error: unknown): void => {
      onThrow();
      this.onThrow(error);
    };
    try {
      onRejection(call(), threw);
    } catch (error) {
      threw(error);
    }
  }
}
