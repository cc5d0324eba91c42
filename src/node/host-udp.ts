// One UDP socket of the host, over dgram.
//
// A flow's socket is bound to a port that we choose, not the kernel: a port that the kernel chose is lost again on
// disconnect. While it talks to one remote it is connected, because Node reports an ICMP port unreachable on connected
// sockets only; at the second remote it is disconnected and stays so. With a `lookup` that answers at once, dgram binds,
// connects and sends in the call itself; should a Node not, what is sent meanwhile waits, up to QUEUE_LEN datagrams.
//
// Datagrams are sent from send-scratch.ts. Where the kernel did not take one at once (an address that nobody has keeps its
// datagrams in the kernel until ARP gives up), libuv still reads from there, and what comes behind it is copied to a buffer
// of its own. The queue is bounded in bytes and in datagrams.

import type { RemoteInfo, Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import type { Endpoint, IpAddr } from '../base/addr.ts';
import { formatEndpoint, formatIp, isIpv4, parseIp, sameAddr, sameEndpoint } from '../base/addr.ts';
import type { Random } from '../base/random.ts';
import { randomBelow } from '../base/random.ts';
import type { HostContext, HostDatagramEvents, HostDatagrams, HostError } from '../host/host-network.ts';
import { HostBindError } from '../host/host-network.ts';
import { errorCode, toHostError } from './host-errors.ts';
import type { OpenSockets } from './open-sockets.ts';
import { copyOf, type SendScratch } from './send-scratch.ts';

/** Bytes that libuv may hold for one socket before send() says no. */
const SEND_QUEUE_LIMIT = 262144;
const SEND_QUEUE_DATAGRAMS = 256;
/** Datagrams that wait for a socket to be bound. */
const QUEUE_LEN = 64;
/** A burst must not be lost while a turn runs. The kernel gives as much of it as the system allows. */
const RECEIVE_BUFFER = 2 << 20;
/** Where Linux has its own ephemeral ports: no service is expected there. */
const FIRST_PORT = 32768;
const PORTS = 28232;
const BIND_ATTEMPTS = 16;
const TOLD_PER_TURN = 2;

/** Errors of one datagram, not of the socket: too long for the path, no buffer at the moment. */
const DATAGRAM_ERRORS: ReadonlySet<string> = new Set(['EMSGSIZE', 'ENOBUFS', 'ENOMEM', 'EAGAIN', 'EINVAL']);

/** Errors of one destination. Where a flow has one remote, nothing else is left of it; else the others do not mind. */
const DESTINATION_ERRORS: ReadonlySet<string> = new Set([
  ...['EACCES', 'EPERM', 'EADDRNOTAVAIL'],
  ...['ENETUNREACH', 'ENETDOWN', 'ENONET', 'EHOSTUNREACH', 'EHOSTDOWN'],
]);

/** What the sockets of one NodeHost have in common. */
export interface UdpShared {
  readonly context: HostContext;
  readonly random: Random;
  readonly sockets: OpenSockets<UdpSocket>;
  readonly scratch: SendScratch;
}

type LookupDone = (error: Error | null, address: string, family: number) => void;

/** Addresses are literal: there is nothing to look up, and nothing to wait for. */
function literalLookup(address: string, ...rest: unknown[]): void {
  const done = rest.at(-1) as LookupDone;
  done(null, address, address.includes(':') ? 6 : 4);
}

export class UdpSocket implements HostDatagrams {
  at: Endpoint | undefined = undefined;
  private readonly shared: UdpShared;
  private readonly events: HostDatagramEvents;
  private socket: Socket | null = null;
  private isV4 = true;
  private bound = false;
  private closed = false;
  private failure: HostError | null = null;
  private attempts = 0;
  /** The first remote, and whether it is the only one. */
  private remote: Endpoint | null = null;
  private oneRemote = true;
  private connected = false;
  private queue: { data: Buffer; to: Endpoint }[] = [];
  /** Datagrams that were still with libuv after the last one. */
  private waiting = 0;
  private toldIn = -1;
  private told = 0;

  private data: Uint8Array = new Uint8Array(0);
  private from: Endpoint | null = null;
  /** The address that `fromAddr` was parsed from: most datagrams come from the same one as the last. */
  private fromText = '';
  private fromAddr: IpAddr | null = null;
  private toText = '';
  private toAddr: IpAddr | null = null;

  constructor(shared: UdpShared, events: HostDatagramEvents) {
    this.shared = shared;
    this.events = events;
  }

  /** Binds to `at`; rejects with a HostBindError. */
  bindTo(at: Endpoint): Promise<this> {
    return new Promise((resolve, reject) => {
      if (!this.shared.sockets.reserve()) {
        reject(new HostBindError(`${formatEndpoint(at)}: too many open sockets`));
        return;
      }
      const socket = this.create(isIpv4(at.addr));
      const onError = (error: Error): void => {
        reject(new HostBindError(`${formatEndpoint(at)}: ${error.message}`));
        this.close();
      };
      socket.once('error', onError);
      socket.bind({ port: at.port, address: formatIp(at.addr), exclusive: true }, () => {
        socket.off('error', onError);
        this.at = { addr: at.addr, port: socket.address().port };
        this.onBound();
        resolve(this);
      });
    });
  }

  /** Where it is bound; port 0 before it is. */
  get port(): number {
    return this.bound && this.socket !== null ? this.socket.address().port : 0;
  }

  send(off: number, len: number, to: Endpoint): boolean {
    if (this.closed) return false;
    if (this.socket === null && !this.open(to)) return true;
    // One socket speaks one family; a guest behind IPv4 never asks for the other.
    if (isIpv4(to.addr) !== this.isV4 || this.socket === null) return false;
    if (!this.bound) {
      if (this.queue.length >= QUEUE_LEN) return false;
      this.queue.push({ data: copyOf(this.shared.context.arena.memory, off, len), to });
      return true;
    }
    // Only what is sent here can wait: where nothing did after the last one, nothing does now.
    if (this.waiting > 0) this.waiting = this.socket.getSendQueueCount();
    if (this.waiting > 0) return this.sendBehind(this.socket, off, len, to);
    const { scratch } = this.shared;
    const data = scratch.copy(off, len);
    this.sendNow(data, to);
    const { socket } = this;
    this.waiting = socket?.getSendQueueCount() ?? 0;
    if (this.waiting > 0 && socket !== null) scratch.hold(data, socket);
    return true;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.queue = [];
    if (this.socket === null) return;
    this.socket.close();
  }

  private sendBehind(socket: Socket, off: number, len: number, to: Endpoint): boolean {
    if (this.waiting >= SEND_QUEUE_DATAGRAMS || socket.getSendQueueSize() + len > SEND_QUEUE_LIMIT)
      return false;
    this.sendNow(copyOf(this.shared.context.arena.memory, off, len), to);
    return true;
  }

  /** Makes the flow's socket at its first datagram. False when it failed at once; onError follows. */
  private open(to: Endpoint): boolean {
    if (!this.shared.sockets.reserve()) {
      this.fail('exhausted');
      return false;
    }
    this.create(isIpv4(to.addr)).on('error', this.onBindError);
    this.tryBind();
    return !this.closed;
  }

  private create(isV4: boolean): Socket {
    const type = isV4 ? 'udp4' : 'udp6';
    const socket = createSocket({
      type,
      ipv6Only: !isV4,
      lookup: literalLookup,
      recvBufferSize: RECEIVE_BUFFER,
    });
    this.isV4 = isV4;
    this.socket = socket;
    this.shared.sockets.add(this);
    socket.on('close', this.onGone);
    return socket;
  }

  private tryBind(): void {
    this.attempts++;
    // The last attempt leaves the choice to the kernel.
    const port = this.attempts < BIND_ATTEMPTS ? FIRST_PORT + randomBelow(this.shared.random, PORTS) : 0;
    this.socket?.bind({ port, exclusive: true }, this.onBound);
  }

  private readonly onBindError = (error: Error): void => {
    if (this.bound || this.closed) return;
    if (errorCode(error) === 'EADDRINUSE' && this.attempts < BIND_ATTEMPTS) this.tryBind();
    else this.fail(toHostError(error));
  };

  private readonly onBound = (): void => {
    const { socket } = this;
    if (this.closed || this.bound || socket === null) return;
    this.bound = true;
    socket.off('error', this.onBindError);
    socket.on('error', this.onError);
    socket.on('message', this.onMessage);
    const waiting = this.queue;
    this.queue = [];
    for (const { data, to } of waiting) this.sendNow(data, to);
  };

  private sendNow(data: Buffer, to: Endpoint): void {
    const { socket } = this;
    if (socket === null || this.closed) return;
    try {
      if (this.attempts > 0) this.chooseMode(socket, to);
      const told = this.whenSent();
      if (this.connected) socket.send(data, told);
      else socket.send(data, to.port, this.textOf(to.addr), told);
    } catch (error) {
      // dgram throws where disconnect(2) fails or the socket is not what it was: this one is of no more use.
      this.fail(toHostError(error as Error));
    }
  }

  /**
   * What is told of a datagram that was sent, if anything: Node plans a tick for each that it tells of, a tenth of what a
   * small one costs. Of two in a turn: an error that waits in the socket is taken by the next call and not said
   * again. On loopback it is there before the second send; from farther off it comes when a burst is over, and a read or
   * the first of the next burst takes it.
   */
  private whenSent(): ((error: Error | null) => void) | undefined {
    const { count } = this.shared.context.turn;
    if (count !== this.toldIn) {
      this.toldIn = count;
      this.told = 0;
    }
    return this.told++ < TOLD_PER_TURN ? this.onSent : undefined;
  }

  /** Connects to the first remote, and disconnects for good at the second. */
  private chooseMode(socket: Socket, to: Endpoint): void {
    if (this.remote === null) {
      this.remote = to;
      socket.on('connect', this.onConnect);
      socket.connect(to.port, formatIp(to.addr));
      this.connected = isConnected(socket);
    } else if (this.oneRemote && !sameEndpoint(this.remote, to)) {
      this.oneRemote = false;
      if (this.connected) socket.disconnect();
      this.connected = false;
    }
  }

  private readonly onConnect = (): void => {
    if (this.closed || this.socket === null || !isConnected(this.socket)) return;
    this.connected = this.oneRemote;
    if (!this.oneRemote) this.socket.disconnect();
  };

  private readonly onSent = (error: Error | null): void => {
    if (error !== null) this.onError(error);
  };

  private readonly onError = (error: Error): void => {
    if (this.closed || this.isOfOneDatagram(errorCode(error))) return;
    const reason = toHostError(error);
    if (reason !== 'refused') this.fail(reason);
    else this.shared.context.turn.run(this.tellRefused);
  };

  private isOfOneDatagram(code: string): boolean {
    const hasOneRemote = this.remote !== null && this.oneRemote;
    return DATAGRAM_ERRORS.has(code) || (!hasOneRemote && DESTINATION_ERRORS.has(code));
  }

  private readonly tellRefused = (): void => {
    if (!this.closed) this.events.onError('refused');
  };

  /** The socket is of no more use: onError follows in a turn of its own, and it closes. */
  private fail(reason: HostError): void {
    if (this.failure !== null) return;
    this.failure = reason;
    this.shared.context.clock.soon(this.failSoon);
  }

  private readonly failSoon = (): void => {
    if (this.closed) return;
    this.close();
    this.shared.context.turn.run(this.tellFailure);
  };

  private readonly tellFailure = (): void => {
    if (this.failure !== null) this.events.onError(this.failure);
  };

  private readonly onMessage = (data: Buffer, info: RemoteInfo): void => {
    if (this.closed) return;
    if (info.address !== this.fromText) {
      this.fromAddr = parseIp(info.address.split('%', 1)[0]!);
      this.fromText = info.address;
    }
    if (this.fromAddr === null) return;
    if (this.from === null || this.from.port !== info.port || this.from.addr !== this.fromAddr) {
      this.from = { addr: this.fromAddr, port: info.port };
    }
    this.data = data;
    this.shared.context.turn.run(this.tellDatagram);
  };

  private readonly tellDatagram = (): void => {
    if (!this.closed && this.from !== null) this.events.onDatagram(this.data, this.from);
  };

  private readonly onGone = (): void => {
    this.socket = null;
    this.shared.sockets.gone(this);
  };

  private textOf(addr: IpAddr): string {
    if (this.toAddr === null || !sameAddr(addr, this.toAddr)) {
      this.toAddr = addr;
      this.toText = formatIp(addr);
    }
    return this.toText;
  }
}

function isConnected(socket: Socket): boolean {
  try {
    return socket.remoteAddress().port > 0;
  } catch {
    // dgram's way to say that it is not.
    return false;
  }
}
