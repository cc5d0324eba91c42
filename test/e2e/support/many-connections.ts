// A guest of which nothing is there but its TCP connections: segments with the right numbers over QEMU's stream, no stack
// behind them. A connection is one small object, a segment costs microseconds, so that thousands of them weigh on the
// engine alone. It sends nothing twice: the link loses nothing.

import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { memoryOver } from '../../../src/base/memory.ts';
import { finish, pseudoSumIpv4 } from '../../../src/wire/checksum.ts';
import * as ethernet from '../../../src/wire/ethernet.ts';
import * as ipv4 from '../../../src/wire/ipv4.ts';
import * as tcp from '../../../src/wire/tcp.ts';
import { Flag } from '../../../src/wire/tcp.ts';
import * as options from '../../../src/wire/tcp-options.ts';

const GUEST = 0x0a00020f;
const GATEWAY = 0x0a000202;
const GUEST_MAC = { hi: 0x5254, lo: 0x00123456 };
const GATEWAY_MAC = { hi: 0x5255, lo: GATEWAY };
const PREFIX_LEN = 4;
const L4 = ethernet.HEADER_LEN + ipv4.MIN_HEADER_LEN;
const MAX_FRAME = 2048;
const FIRST_PORT = 1024;
/** Below the engine's limit of connects that the host has not answered. */
const MAX_AT_ONCE = 128;

/** One connection to the gateway, as Linux opens it: with window scaling, SACK and timestamps. */
export class Connection {
  readonly port: number;
  readonly to: number;
  state: 'connecting' | 'open' | 'ended' = 'connecting';
  seq: number;
  ack = 0;
  tsEcr = 0;
  finSent = false;
  finSeen = false;
  finAcked = false;
  /** Bytes that have come. */
  received = 0;

  constructor(port: number, to: number, iss: number) {
    this.port = port;
    this.to = to;
    this.seq = iss;
  }
}

export class ManyConnections {
  private readonly socket: Socket;
  private readonly byPort: (Connection | undefined)[] = [];
  private nextPort = FIRST_PORT;
  private readonly frame = Buffer.alloc(PREFIX_LEN + MAX_FRAME);
  private readonly memory = memoryOver(this.frame);
  private readonly pseudo = pseudoSumIpv4(GUEST, GATEWAY, ipv4.Protocol.Tcp);
  private readonly parsed = new options.TcpOptions();
  private rest: Buffer = Buffer.alloc(0);
  private waiting: { readonly holds: () => boolean; readonly resolve: () => void }[] = [];
  /** Connections that ended with a reset of the engine. */
  resets = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.take(chunk));
  }

  /** Plugs the guest into the engine that listens at the unix socket `path`. */
  static plug(path: string): Promise<ManyConnections> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new ManyConnections(socket)));
    });
  }

  /** `count` connections, open, to each of `ports` in turn; a few at a time. */
  async open(count: number, ports: readonly number[]): Promise<Connection[]> {
    const opened: Connection[] = [];
    while (opened.length < count) {
      const batch: Connection[] = [];
      while (batch.length < MAX_AT_ONCE && opened.length + batch.length < count)
        batch.push(this.begin(ports[batch.length % ports.length]!));
      await this.until(() => batch.every((each) => each.state !== 'connecting'));
      opened.push(...batch);
    }
    if (opened.some((each) => each.state !== 'open')) throw new Error('a connection was refused');
    return opened;
  }

  /** As echo(), on all of `connections`, a few at a time. */
  async echoAll(connections: readonly Connection[], len: number): Promise<void> {
    for (const batch of batches(connections)) await Promise.all(batch.map((each) => this.echo(each, len)));
  }

  /** Sends `len` bytes on `connection` and waits for as many. */
  async echo(connection: Connection, len: number): Promise<void> {
    const due = connection.received + len;
    this.send(connection, Flag.Psh | Flag.Ack, len);
    await this.until(() => connection.received >= due);
  }

  /** Ends `connections` in order and waits until both sides have. */
  async close(connections: readonly Connection[]): Promise<void> {
    for (const batch of batches(connections)) {
      for (const each of batch) this.finish(each);
      await this.until(() => batch.every((each) => each.state === 'ended'));
    }
  }

  /** Waits until the other side has ended `connections`, and ends them too. */
  async closeAfterThem(connections: readonly Connection[]): Promise<void> {
    await this.until(() => connections.every((each) => each.finSeen));
    await this.close(connections);
  }

  reset(connections: readonly Connection[]): void {
    for (const each of connections) {
      this.send(each, Flag.Rst | Flag.Ack, 0);
      this.end(each);
    }
  }

  private begin(to: number): Connection {
    while (this.byPort[this.nextPort] !== undefined) this.movePort();
    const connection = new Connection(this.nextPort, to, (this.nextPort * 65539) | 0);
    this.byPort[connection.port] = connection;
    this.movePort();
    this.send(connection, Flag.Syn, 0);
    return connection;
  }

  private movePort(): void {
    this.nextPort = this.nextPort === 65535 ? FIRST_PORT : this.nextPort + 1;
  }

  private finish(connection: Connection): void {
    if (connection.finSent || connection.state === 'ended') return;
    connection.finSent = true;
    this.send(connection, Flag.Fin | Flag.Ack, 0);
  }

  private end(connection: Connection): void {
    connection.state = 'ended';
    this.byPort[connection.port] = undefined;
  }

  private send(connection: Connection, flags: number, payload: number): void {
    const { memory, frame } = this;
    const v = memory.view;
    const syn = (flags & Flag.Syn) !== 0;
    const eth = PREFIX_LEN;
    const l4 = eth + L4;
    let end = l4 + tcp.MIN_HEADER_LEN;
    if (syn) {
      end = options.writeMss(v, end, 1460);
      end = options.writeWindowScale(v, end, 7);
      end = options.writeSackPermitted(v, end);
    }
    end = options.writeTimestamps(v, end, Math.floor(performance.now()), connection.tsEcr);
    const header = end - l4;
    const len = header + payload;
    ethernet.write(v, eth, GATEWAY_MAC.hi, GATEWAY_MAC.lo, GUEST_MAC.hi, GUEST_MAC.lo, 0x0800);
    ipv4.write(v, eth + ethernet.HEADER_LEN, len, 1, ipv4.Protocol.Tcp, GUEST, GATEWAY);
    tcp.write(v, l4, connection.port, connection.to, connection.seq, connection.ack, header, flags, 65535);
    tcp.setChecksum(v, l4, finish(this.pseudo + len + memory.sum(l4, len)));
    connection.seq = (connection.seq + payload + ((flags & (Flag.Syn | Flag.Fin)) !== 0 ? 1 : 0)) | 0;
    v.setUint32(0, L4 + len);
    this.socket.write(Uint8Array.prototype.slice.call(frame, 0, PREFIX_LEN + L4 + len));
  }

  private take(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    let at = 0;
    while (bytes.length - at >= PREFIX_LEN) {
      const end = at + PREFIX_LEN + bytes.readUInt32BE(at);
      if (end > bytes.length) break;
      this.takeFrame(bytes, at + PREFIX_LEN, end);
      at = end;
    }
    this.rest = bytes.subarray(at);
    this.wake();
  }

  private takeFrame(bytes: Buffer, at: number, end: number): void {
    const v = new DataView(bytes.buffer, bytes.byteOffset + at, end - at);
    if (end - at < L4 + tcp.MIN_HEADER_LEN || ethernet.etherType(v, 0) !== ethernet.EtherType.Ipv4) return;
    const connection = this.byPort[tcp.dstPort(v, L4)];
    if (connection === undefined || ipv4.protocol(v, ethernet.HEADER_LEN) !== ipv4.Protocol.Tcp) return;
    const header = tcp.headerLen(v, L4);
    this.parsed.parse(v, L4 + tcp.MIN_HEADER_LEN, L4 + header);
    if (this.parsed.hasTimestamps) connection.tsEcr = this.parsed.tsVal;
    const len = ipv4.totalLen(v, ethernet.HEADER_LEN) - ipv4.MIN_HEADER_LEN - header;
    this.takeSegment(connection, tcp.flags(v, L4), tcp.seq(v, L4), tcp.ack(v, L4), len);
  }

  private takeSegment(connection: Connection, flags: number, seq: number, ack: number, len: number): void {
    const wasConnecting = connection.state === 'connecting';
    if ((flags & Flag.Rst) !== 0) {
      this.resets++;
      this.end(connection);
      return;
    }
    if (wasConnecting) {
      connection.state = 'open';
      connection.ack = (seq + 1) | 0;
      this.send(connection, Flag.Ack, 0);
      return;
    }
    connection.finAcked ||= connection.finSent && ack === connection.seq;
    connection.ack = (seq + len) | 0;
    connection.received += len;
    if ((flags & Flag.Fin) !== 0) {
      connection.finSeen = true;
      connection.ack = (connection.ack + 1) | 0;
    }
    if (len > 0 || (flags & Flag.Fin) !== 0) this.send(connection, Flag.Ack, 0);
    if (connection.finSeen && connection.finAcked) this.end(connection);
  }

  private until(holds: () => boolean): Promise<void> {
    return holds() ? Promise.resolve() : new Promise((resolve) => this.waiting.push({ holds, resolve }));
  }

  private wake(): void {
    if (this.waiting.length === 0) return;
    const { waiting } = this;
    this.waiting = waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true;
      resolve();
      return false;
    });
  }
}

function* batches<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < all.length; i += MAX_AT_ONCE) yield all.slice(i, i + MAX_AT_ONCE);
}
