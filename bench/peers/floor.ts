// What Node can: a relay with everything left out that a network needs and this load does not. Whatever is lost stays lost,
// what is out of order is dropped, there is no timer, no option but window scaling, no limit, no policy, no DHCP, and nothing
// is checked but checksums. What it costs is Node's sockets, the kernel, one copy and one checksum of each byte, and little
// JavaScript for each frame; so it says how much of a bound that usernet misses is Node and the machine.
//
//   node tools/run.mjs bench/peers/floor.ts SOCKET MTU

import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { createMemory } from '../../src/base/memory.ts';
import { arenaView } from '../../src/node/arena-view.ts';
import { QUICK_WRITES, writeQuickly } from '../../src/node/quick-write.ts';
import { takeOver } from '../../src/node/take-over.ts';
import * as arp from '../../src/wire/arp.ts';
import { finish, isValid, pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as options from '../../src/wire/tcp-options.ts';
import * as udp from '../../src/wire/udp.ts';

const [path, mtuText] = process.argv.slice(2);
if (path === undefined || mtuText === undefined) throw new Error('usage: floor.ts SOCKET MTU');
const MTU = Number(mtuText);

const GATEWAY = 0x0a000202;
const GUEST = 0x0a00020f;
const MAC = { hi: 0x5255, lo: GATEWAY };
const HEADERS = ethernet.HEADER_LEN + ipv4.MIN_HEADER_LEN;
const SHIFT = 7;
const RECEIVE = 1 << 20;
const RING = 1 << 19;
const BATCH = 1 << 18;
const LONGEST = 69636;

const memory = createMemory(1 << 28, (buffer) => Buffer.from(buffer));
const { view } = memory;
let free = 64;
const flowBlocks: number[] = [];

function take(len: number): number {
  free += len;
  return free - len;
}

function lent(off: number, len: number): Buffer {
  return arenaView(memory, off, len);
}

/** The guest's cable: frames to it are gathered in one of two batches until flush(). */
const out = {
  socket: null as Socket | null,
  guestHi: 0,
  guestLo: 0,
  batches: [take(BATCH + LONGEST), take(BATCH + LONGEST)],
  filling: 0,
  used: 0,
  busy: false,
  blocked: new Set<Flow>(),

  hasRoom(): boolean {
    return this.used < BATCH;
  },

  /** A frame of `len` bytes behind the ones before, with its Ethernet header. */
  frame(len: number, type: number): number {
    const at = this.batches[this.filling]! + this.used;
    view.setUint32(at, len);
    this.used += 4 + len;
    ethernet.write(view, at + 4, this.guestHi, this.guestLo, MAC.hi, MAC.lo, type);
    return at + 4;
  },

  flush(): void {
    if (this.busy || this.used === 0 || this.socket === null) return;
    const bytes = lent(this.batches[this.filling]!, this.used);
    this.used = 0;
    this.filling = 1 - this.filling;
    this.busy = !writeQuickly(this.socket, bytes, this);
  },

  onWriteDone(): void {
    this.busy = false;
    const flows = [...this.blocked];
    this.blocked.clear();
    for (const flow of flows) flow.sendText();
    this.flush();
  },
};

let ident = 0;

function packet(proto: number, len: number): number {
  const frame = out.frame(HEADERS + len, ethernet.EtherType.Ipv4);
  ident = (ident + 1) & 0xffff;
  ipv4.write(view, frame + ethernet.HEADER_LEN, len, ident, proto, GATEWAY, GUEST);
  return frame + HEADERS;
}

const flows = new Map<number, Flow>();
/** Those that have heard something in this read. */
const touched = new Set<Flow>();

class Flow {
  private readonly ports: number;
  private readonly socket: Socket;
  private readonly block = flowBlocks.pop() ?? take(3 * RING);
  // Guest to host: one half is filled while the other is written.
  private half = 0;
  private filled = 0;
  private writing = false;
  private rcvNxt: number;
  private ackDue = false;
  private guestFin = false;
  // Host to guest: a ring, counted from its beginning of time.
  private readonly ring = this.block + 2 * RING;
  private acked = 0;
  private read = 0;
  private sent = 0;
  private window = 0;
  private readonly shift: number;
  private readonly iss = 1000;
  private paused = false;
  private hostFin = false;
  private finSent = false;
  private place: Buffer | null = null;
  private placeAt = -1;

  constructor(ports: number, seq: number, shift: number) {
    this.ports = ports;
    this.rcvNxt = (seq + 1) | 0;
    this.shift = shift;
    const onread = { buffer: () => this.nextPlace(), callback: (count: number) => this.onRead(count) };
    this.socket = new Socket({
      ...QUICK_WRITES,
      allowHalfOpen: true,
      onread: onread as OnReadOpts,
    } as SocketConstructorOpts);
    this.socket.setNoDelay(true);
    this.socket.on('connect', () => this.segment(tcp.Flag.Syn | tcp.Flag.Ack, this.iss, 0, 0));
    this.socket.on('end', () => {
      this.hostFin = true;
      this.sendText();
      out.flush();
    });
    this.socket.on('error', () => this.segment(tcp.Flag.Rst | tcp.Flag.Ack, this.seq(this.sent), 0, 0));
    this.socket.on('close', () => {
      out.flush();
      if (flows.get(ports) === this) flows.delete(ports);
      flowBlocks.push(this.block);
    });
    this.socket.connect({ host: '127.0.0.1', port: ports & 0xffff, autoSelectFamily: false });
  }

  onSegment(at: number, len: number): void {
    const flags = tcp.flags(view, at);
    if (flags & tcp.Flag.Rst) {
      flows.delete(this.ports);
      this.socket.resetAndDestroy();
      return;
    }
    this.window = tcp.window(view, at) << this.shift;
    this.onAck((tcp.ack(view, at) - this.seq(this.acked)) | 0);
    const header = tcp.headerLen(view, at);
    const payload = len - header;
    const inOrder = tcp.seq(view, at) === this.rcvNxt;
    if (payload > 0 && inOrder && this.filled + payload <= RING) {
      const to = this.block + this.half * RING + this.filled;
      const text = memory.copySum(to, at + header, payload);
      const sum = pseudoSumIpv4(GUEST, GATEWAY, ipv4.Protocol.Tcp) + len + memory.sum(at, header) + text;
      if (!isValid(sum)) return;
      this.filled += payload;
      this.rcvNxt = (this.rcvNxt + payload) | 0;
    }
    if (flags & tcp.Flag.Fin && ((tcp.seq(view, at) + payload) | 0) === this.rcvNxt) {
      this.rcvNxt = (this.rcvNxt + 1) | 0;
      this.guestFin = true;
    }
    if (payload > 0 || flags & tcp.Flag.Fin) this.ackDue = true;
    touched.add(this);
  }

  /** At the end of a read: one write, what may be sent, one ACK. */
  settle(): void {
    this.writeText();
    this.sendText();
    if (this.ackDue) this.segment(tcp.Flag.Ack, this.seq(this.sent), 0, 0);
    if (!this.guestFin || this.filled > 0 || this.writing) return;
    this.guestFin = false;
    this.socket.end();
  }

  sendText(): void {
    while (this.sent < this.read) {
      const at = this.sent % RING;
      const room = this.window - (this.sent - this.acked);
      const len = Math.min(this.read - this.sent, room, MTU - 40, RING - at);
      if (len <= 0) break;
      if (!out.hasRoom()) {
        out.blocked.add(this);
        break;
      }
      this.segment(tcp.Flag.Ack | tcp.Flag.Psh, this.seq(this.sent), this.ring + at, len);
      this.sent += len;
    }
    if (!this.hostFin || this.finSent || this.sent < this.read) return;
    this.segment(tcp.Flag.Ack | tcp.Flag.Fin, this.seq(this.sent), 0, 0);
    this.finSent = true;
  }

  private seq(position: number): number {
    return (this.iss + 1 + position) | 0;
  }

  private onAck(acked: number): void {
    if (acked <= 0) return;
    this.acked = Math.min(this.acked + acked, this.sent);
    if (!this.paused || this.read - this.acked > RING / 2) return;
    this.paused = false;
    this.socket.resume();
  }

  private segment(flags: number, seq: number, text: number, len: number): void {
    const isSyn = (flags & tcp.Flag.Syn) !== 0;
    const header = tcp.MIN_HEADER_LEN + (isSyn ? 8 : 0);
    const at = packet(ipv4.Protocol.Tcp, header + len);
    const room = RING - this.filled;
    const window = isSyn ? 65535 : room >> SHIFT;
    tcp.write(view, at, this.ports & 0xffff, this.ports >>> 16, seq, this.rcvNxt, header, flags, window);
    if (isSyn) {
      const end = options.writeMss(view, at + tcp.MIN_HEADER_LEN, MTU - 40);
      options.writeWindowScale(view, end, SHIFT);
    }
    const copied = len > 0 ? memory.copySum(at + header, text, len) : 0;
    const pseudo = pseudoSumIpv4(GATEWAY, GUEST, ipv4.Protocol.Tcp) + header + len;
    tcp.setChecksum(view, at, finish(pseudo + memory.sum(at, header) + copied));
    this.ackDue = false;
    if (len === 0) out.flush();
  }

  private writeText(): void {
    if (this.writing || this.filled === 0) return;
    const bytes = lent(this.block + this.half * RING, this.filled);
    this.half = 1 - this.half;
    this.filled = 0;
    this.writing = !writeQuickly(this.socket, bytes, this);
  }

  onWriteDone(): void {
    this.writing = false;
    this.ackDue = true;
    this.settle();
    out.flush();
  }

  private nextPlace(): Buffer {
    const at = this.read % RING;
    const len = Math.max(1, Math.min(RING - at, RING - (this.read - this.acked)));
    if (this.place === null || this.placeAt !== at || this.place.length !== len) {
      this.place = lent(this.ring + at, len);
      this.placeAt = at;
    }
    return this.place;
  }

  private onRead(count: number): boolean {
    this.read += count;
    this.sendText();
    out.flush();
    this.paused = this.read - this.acked > RING - 65536;
    return !this.paused;
  }
}

interface Datagrams {
  readonly socket: UdpSocket;
  readonly place: number;
  bytes: Buffer;
  early: Buffer | null;
  isOpen: boolean;
}

const datagrams = new Map<number, Datagrams>();

function openUdp(ports: number): Datagrams {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 2 << 20 });
  const own: Datagrams = { socket, place: take(65536), bytes: Buffer.alloc(0), early: null, isOpen: false };
  socket.on('error', () => {});
  socket.on('message', (data) => {
    if (!out.hasRoom()) return;
    const at = packet(ipv4.Protocol.Udp, udp.HEADER_LEN + data.length);
    memory.bytes.set(data, at + udp.HEADER_LEN);
    const sum =
      pseudoSumIpv4(GATEWAY, GUEST, ipv4.Protocol.Udp) + memory.sum(at + udp.HEADER_LEN, data.length);
    udp.write(view, at, ports & 0xffff, ports >>> 16, data.length, sum);
    out.flush();
  });
  socket.connect(ports & 0xffff, '127.0.0.1', () => {
    own.isOpen = true;
    if (own.early !== null) socket.send(own.early);
  });
  return own;
}

function onUdp(at: number, ports: number): void {
  let own = datagrams.get(ports);
  if (own === undefined) {
    own = openUdp(ports);
    datagrams.set(ports, own);
  }
  const len = udp.payloadLen(view, at);
  if (!own.isOpen) {
    own.early = Buffer.from(lent(at + udp.HEADER_LEN, len));
    return;
  }
  memory.copySum(own.place, at + udp.HEADER_LEN, len);
  if (own.bytes.length !== len) own.bytes = lent(own.place, len);
  own.socket.send(own.bytes);
}

function onTcp(at: number, len: number, ports: number): void {
  const flow = flows.get(ports);
  if (flow !== undefined && !(tcp.flags(view, at) & tcp.Flag.Syn)) flow.onSegment(at, len);
  else if (tcp.flags(view, at) & tcp.Flag.Syn)
    flows.set(ports, new Flow(ports, tcp.seq(view, at), shiftIn(at)));
}

const said = new options.TcpOptions();

/** The guest's window scale. */
function shiftIn(at: number): number {
  said.parse(view, at + tcp.MIN_HEADER_LEN, at + tcp.headerLen(view, at));
  return Math.max(0, said.windShift);
}

function onArp(at: number): void {
  const asked = at + ethernet.HEADER_LEN;
  if (arp.op(view, asked) !== arp.Op.Request || arp.targetIp(view, asked) !== GATEWAY) return;
  const frame = out.frame(ethernet.MIN_FRAME_LEN, ethernet.EtherType.Arp);
  const reply = frame + ethernet.HEADER_LEN;
  memory.bytes.fill(0, reply, frame + ethernet.MIN_FRAME_LEN);
  const [hi, lo] = [arp.senderHi(view, asked), arp.senderLo(view, asked)];
  arp.write(view, reply, arp.Op.Reply, MAC.hi, MAC.lo, GATEWAY, hi, lo, arp.senderIp(view, asked));
}

function onFrame(at: number): void {
  const type = ethernet.etherType(view, at);
  if (out.guestLo === 0) {
    out.guestHi = ethernet.srcHi(view, at);
    out.guestLo = ethernet.srcLo(view, at);
  }
  if (type === ethernet.EtherType.Arp) onArp(at);
  const ip = at + ethernet.HEADER_LEN;
  if (type !== ethernet.EtherType.Ipv4 || !isValid(memory.sum(ip, ipv4.MIN_HEADER_LEN))) return;
  if (ipv4.dst(view, ip) !== GATEWAY) return;
  const l4 = ip + ipv4.MIN_HEADER_LEN;
  const ports = view.getInt32(l4);
  const len = ipv4.totalLen(view, ip) - ipv4.MIN_HEADER_LEN;
  if (ipv4.protocol(view, ip) === ipv4.Protocol.Tcp) onTcp(l4, len, ports);
  else if (ipv4.protocol(view, ip) === ipv4.Protocol.Udp) onUdp(l4, ports);
}

const base = take(RECEIVE + LONGEST) + LONGEST;
let start = base;
let end = base;
let place: Buffer | null = null;
let placeAt = -1;

function nextPlace(): Buffer {
  if (place === null || placeAt !== end) {
    place = lent(end, base + RECEIVE - end);
    placeAt = end;
  }
  return place;
}

function onBytes(count: number): boolean {
  end += count;
  while (end - start >= 4) {
    const len = view.getUint32(start);
    if (start + 4 + len > end) break;
    onFrame(start + 4);
    start += 4 + len;
  }
  for (const flow of touched) flow.settle();
  touched.clear();
  out.flush();
  if (start === end || end - base > RECEIVE / 2) {
    memory.copy(base - (end - start), start, end - start);
    start = base - (end - start);
    end = base;
  }
  return true;
}

createServer({ pauseOnConnect: true, allowHalfOpen: true }, (accepted) => {
  out.socket = takeOver(accepted, { buffer: nextPlace, callback: onBytes });
  out.socket?.on('error', () => {});
  out.socket?.resume();
}).listen(path);
