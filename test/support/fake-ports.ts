import { ipv4Addr, parseIpv4Word, parseMac } from '../../src/base/addr.ts';
import { Account, Arena } from '../../src/base/arena.ts';
import type { Drop } from '../../src/base/drop.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { createMemory } from '../../src/base/memory.ts';
import type { Region } from '../../src/base/region.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import type { HostError, HostStream, HostStreamEvents } from '../../src/host/host-network.ts';
import type { BoundPort, DatagramHandler, GatewayPorts, Peer } from '../../src/services/service.ts';

/** A datagram that a service sent. */
export interface Sent {
  readonly payload: Uint8Array;
  readonly to: Peer;
}

type Accept = (events: HostStreamEvents, from: Peer) => HostStream;

/** `peer('10.0.2.15', 40000)`: a guest behind switch port 1 with a MAC of QEMU's. */
export function peer(address: string, port: number, mac = '52:54:00:12:34:56', ingress = 1): Peer {
  return { addr: ipv4Addr(parseIpv4Word(address)!), port, mac: parseMac(mac)!, ingress };
}

/** The gateway as a service sees it, with a guest that the test plays. */
export class FakePorts implements GatewayPorts {
  readonly clock = new ManualClock();
  readonly arena = new Arena(createMemory(4 << 20, (buffer) => Buffer.from(buffer), 'js'));
  readonly turn = new Turn(this.clock);
  readonly timers = new Timers(this.clock, this.turn);
  /** What services sent over UDP, oldest first. */
  readonly sent: Sent[] = [];
  private readonly udp = new Map<string, DatagramHandler>();
  private readonly tcp = new Map<string, Accept>();
  private readonly account = new Account();
  private readonly inbox = this.arena.take(65536, this.account);

  bindUdp(address: number, port: number, onDatagram: DatagramHandler): BoundPort {
    const key = `${address}:${port}`;
    if (this.udp.has(key)) throw new Error(`port ${port} is taken`);
    this.udp.set(key, onDatagram);
    return {
      send: (payload, to) => void this.sent.push({ payload: Uint8Array.from(payload), to }),
      close: () => void this.udp.delete(key),
    };
  }

  bindTcp(address: number, port: number, accept: Accept): void {
    this.tcp.set(`${address}:${port}`, accept);
  }

  /** Ports bound now. */
  get boundUdp(): number {
    return this.udp.size;
  }

  get boundTcp(): number {
    return this.tcp.size;
  }

  /** A datagram from a guest, in a turn; the bytes are spoiled afterwards, because they were only lent. */
  deliver(address: string, port: number, payload: Uint8Array, from: Peer): Drop {
    const handler = this.udp.get(`${parseIpv4Word(address)}:${port}`);
    if (handler === undefined) throw new Error(`nothing is bound to ${address}:${port}`);
    const { bytes } = this.arena.memory;
    bytes.set(payload, this.inbox);
    let drop: Drop = 0;
    this.turn.run(() => {
      drop = handler(this.inbox, payload.length, from, this.turn.now);
    });
    bytes.fill(0xdd, this.inbox, this.inbox + payload.length);
    return drop;
  }

  /** A connection from a guest. */
  connect(address: string, port: number, from: Peer): FakeConnection {
    const accept = this.tcp.get(`${parseIpv4Word(address)}:${port}`);
    if (accept === undefined) throw new Error(`nothing is bound to ${address}:${port}`);
    return new FakeConnection(this, accept, from);
  }
}

/** The NAT's end of a guest's connection to a service. */
export class FakeConnection implements HostStreamEvents {
  /** What the service has said so far. */
  received: number[] = [];
  /** Calls in order, without reserveRead: 'read', 'written', 'end', 'close'. */
  readonly calls: string[] = [];
  closed: HostError | null | undefined;
  ended = false;
  /** Bytes it takes before it says stop; each resume() of the test sets it anew. */
  takes = Number.POSITIVE_INFINITY;
  /** Bytes of the region that it reserves for reading; 0: none, the service has a pad. */
  regionLen = 0;
  /** The write that was not taken at once. */
  pendingWrite = false;
  private readonly ports: FakePorts;
  private readonly account = new Account();
  private readonly outbox: number;
  private readonly region: number;
  private readonly stream: HostStream;
  /** Inside one of the stream's functions, where no event may come. */
  private inside = false;

  constructor(ports: FakePorts, accept: Accept, from: Peer) {
    this.ports = ports;
    this.outbox = ports.arena.take(65536, this.account);
    this.region = ports.arena.take(65536, this.account);
    let stream: HostStream | null = null;
    ports.turn.run(() => {
      stream = this.call(() => accept(this, from));
    });
    this.stream = stream!;
    this.call(() => this.stream.resume());
  }

  /** The guest sends; true when the service took all of it at once. At most 65536 bytes. */
  write(data: Uint8Array): boolean {
    if (this.pendingWrite) throw new Error('one write at a time');
    this.ports.arena.memory.bytes.set(data, this.outbox);
    const taken = this.call(() => this.stream.write(this.outbox, data.length));
    this.pendingWrite = !taken;
    if (taken) this.ports.arena.memory.bytes.fill(0xdd, this.outbox, this.outbox + data.length);
    return taken;
  }

  end(): void {
    this.call(() => this.stream.end());
  }

  reset(): void {
    this.call(() => this.stream.reset());
  }

  pause(): void {
    this.call(() => this.stream.pause());
  }

  resume(takes = Number.POSITIVE_INFINITY): void {
    this.takes = takes;
    this.call(() => this.stream.resume());
  }

  onOpen(): void {
    throw new Error('a stream of a service is open from the start');
  }

  reserveRead(region: Region): void {
    region.off = this.region;
    region.len = this.regionLen;
  }

  onRead(off: number, len: number): boolean {
    this.event('read');
    if (this.regionLen > 0 && (off !== this.region || len > this.regionLen)) {
      throw new Error('not the region that was reserved');
    }
    const { bytes } = this.ports.arena.memory;
    this.received.push(...bytes.subarray(off, off + len));
    this.takes -= len;
    return this.takes > 0;
  }

  onWritten(): void {
    this.event('written');
    if (!this.pendingWrite) throw new Error('nothing was being written');
    this.pendingWrite = false;
  }

  onEnd(): void {
    this.event('end');
    this.ended = true;
  }

  onClose(error: HostError | null): void {
    this.event('close');
    this.closed = error;
  }

  private event(name: string): void {
    if (this.inside) throw new Error(`${name} from inside a call`);
    if (this.closed !== undefined) throw new Error(`${name} after close`);
    this.calls.push(name);
  }

  private call<T>(what: () => T): T {
    this.inside = true;
    try {
      return what();
    } finally {
      this.inside = false;
    }
  }
}
