// A guest that is nothing but frames: one TCP connection, the right numbers in it, and no stack behind. It costs the
// process next to nothing, so that what is measured is the engine.

import type { RawEngine } from './engine.ts';

const PREFIX = 4;
const IP = PREFIX + 14;
const TCP = IP + 20;
const HEADERS = TCP + 20;
const MSS = 1460;
const FLAG = { fin: 1, syn: 2, rst: 4, push: 8, ack: 16 } as const;
/** Advertised; both engines may fill it. */
const WINDOW = 65535;
/** gondolin lets a connection live only when it begins like one that it knows. */
const FIRST_BYTES = 'PUT / HTTP/1.1\r\n\r\n';
/** MSS, and a window scale of 7: an engine that does not scale ignores it. */
const SYN_OPTIONS = [2, 4, MSS >> 8, MSS & 255, 1, 3, 3, 7];
const GUEST = 0x0a00020f;
const GATEWAY = 0x0a000202;
/** Not 80: there v86 begins an HTTP request. */
const HOST_PORT = 8080;
/** Frames that a guest sends at once at most; a window of 64 KiB holds 44. */
const BURST = 128;

export class RawGuest {
  private readonly engine: RawEngine;
  private readonly out: DataView;
  private port = 20000;
  private seq = 0;
  private acked = 0;
  private rcvNxt = 0;
  private window = 0;
  private scale = 0;
  private isOpen = false;
  private received = 0;
  /** Bytes. */
  private unacknowledged = 0;
  /** Bytes in `incoming` that are not given yet. */
  private used = 0;

  constructor(engine: RawEngine) {
    this.engine = engine;
    const { buffer, byteOffset, byteLength } = engine.incoming;
    this.out = new DataView(buffer, byteOffset, byteLength);
    engine.toGuest = (bytes, from, to) => this.receive(bytes, from, to);
  }

  /** Sends as much as the window lets it, for so long: Gbit/s that the host received. */
  async upload(seconds: number): Promise<number> {
    await this.open();
    const before = this.engine.hostReceived;
    const took = await this.repeat(seconds, () => this.burst());
    await this.reset();
    return ((this.engine.hostReceived - before) * 8) / took / 1e9;
  }

  /**
   * What the host gives without end: Gbit/s that the guest received. It acknowledges two full segments together, RFC 9293
   * 3.8.6.3, and what is left when nothing more has come.
   */
  async download(seconds: number): Promise<number> {
    await this.open();
    const before = this.received;
    const took = await this.repeat(seconds, () => {
      this.engine.give();
      if (this.unacknowledged > 0) this.acknowledge();
      this.give();
    });
    await this.reset();
    return ((this.received - before) * 8) / took / 1e9;
  }

  /** Seconds that it took. Between two steps everybody else's callbacks run. */
  private async repeat(seconds: number, step: () => void): Promise<number> {
    const began = performance.now();
    for (;;) {
      step();
      await new Promise((resolve) => setImmediate(resolve));
      const took = (performance.now() - began) / 1000;
      if (took >= seconds) return took;
    }
  }

  private async open(): Promise<void> {
    this.port++;
    this.seq = 1000;
    this.acked = 1001;
    this.isOpen = false;
    this.write(FLAG.syn, SYN_OPTIONS, SYN_OPTIONS.length);
    this.give();
    for (let turns = 0; !this.isOpen; turns++) {
      if (turns > 1000) throw new Error(`${this.engine.name} does not answer a SYN`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.seq = 1001;
    this.write(FLAG.ack, [], 0);
    const first = [...Buffer.from(FIRST_BYTES)];
    this.write(FLAG.ack | FLAG.push, first, 0);
    this.give();
  }

  private async reset(): Promise<void> {
    this.isOpen = false;
    this.write(FLAG.rst | FLAG.ack, [], 0);
    this.give();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }

  private burst(): void {
    const room = this.window - (this.seq - this.acked);
    const frames = Math.min(BURST, Math.floor(room / MSS));
    for (let i = 0; i < frames; i++) this.writeZeros();
    this.give();
  }

  private give(): void {
    const { used } = this;
    this.used = 0;
    if (used > 0) this.engine.take(used);
  }

  /** A full segment of zeros: they add nothing to its checksum. */
  private writeZeros(): void {
    const at = this.used;
    this.writeHeaders(FLAG.ack, MSS, 0);
    this.engine.incoming.fill(0, at + HEADERS, at + HEADERS + MSS);
    this.seq += MSS;
  }

  /** A segment with `bytes`, of which the first `optionsLen` are options. */
  private write(flags: number, bytes: readonly number[], optionsLen: number): void {
    const at = this.used;
    let sum = 0;
    bytes.forEach((byte, i) => {
      sum += i % 2 === 0 ? byte << 8 : byte;
    });
    this.writeHeaders(flags, bytes.length - optionsLen, optionsLen, sum);
    this.engine.incoming.set(bytes, at + HEADERS);
    this.seq += bytes.length - optionsLen;
  }

  private writeHeaders(flags: number, payload: number, optionsLen: number, sum = 0): void {
    const { out, used: at } = this;
    const tcpLen = 20 + optionsLen + payload;
    out.setUint32(at, IP - PREFIX + 20 + tcpLen);
    out.setUint32(at + 4, 0x52550a00); // to 52:55:0a:00:02:02, from 52:54:00:12:34:56
    out.setUint32(at + 8, 0x02025254);
    out.setUint32(at + 12, 0x00123456);
    out.setUint16(at + 16, 0x0800);
    out.setUint16(at + IP, 0x4500);
    out.setUint16(at + IP + 2, 20 + tcpLen);
    out.setUint32(at + IP + 4, 0x00004000);
    out.setUint32(at + IP + 8, 0x40060000);
    out.setUint32(at + IP + 12, GUEST);
    out.setUint32(at + IP + 16, GATEWAY);
    out.setUint16(at + IP + 10, finish(this.words(at + IP, 20)));
    out.setUint16(at + TCP, this.port);
    out.setUint16(at + TCP + 2, HOST_PORT);
    out.setUint32(at + TCP + 4, this.seq);
    out.setUint32(at + TCP + 8, this.rcvNxt);
    out.setUint16(at + TCP + 12, ((20 + optionsLen) << 10) | flags);
    out.setUint16(at + TCP + 14, WINDOW);
    out.setUint32(at + TCP + 16, 0);
    const pseudo = this.words(at + IP + 12, 8) + 6 + tcpLen;
    out.setUint16(at + TCP + 16, finish(pseudo + this.words(at + TCP, 20) + sum));
    this.used = at + HEADERS + optionsLen + payload;
  }

  private words(at: number, len: number): number {
    let sum = 0;
    for (let i = at; i < at + len; i += 2) sum += this.out.getUint16(i);
    return sum;
  }

  private receive(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at + HEADERS <= to; ) {
      const next = at + PREFIX + u32(bytes, at);
      if (u16(bytes, at + 16) === 0x0800 && bytes[at + IP + 9] === 6) this.segment(bytes, at);
      at = next;
    }
  }

  private segment(bytes: Uint8Array, at: number): void {
    const flags = bytes[at + TCP + 13]!;
    const headerLen = (bytes[at + TCP + 12]! >> 4) * 4;
    if (u16(bytes, at + TCP + 2) !== this.port) return;
    if ((flags & FLAG.rst) !== 0) {
      if (this.isOpen) throw new Error(`${this.engine.name} resets the connection`);
      return;
    }
    if ((flags & FLAG.syn) !== 0) {
      this.isOpen = true;
      this.rcvNxt = u32(bytes, at + TCP + 4) + 1;
      this.scale = scaleIn(bytes, at + HEADERS, at + TCP + headerLen);
      this.window = u16(bytes, at + TCP + 14);
      return;
    }
    // Numbers here do not wrap: a connection may carry more than 4 GiB.
    this.acked += Math.max(0, (u32(bytes, at + TCP + 8) - this.acked) | 0);
    this.window = u16(bytes, at + TCP + 14) * 2 ** this.scale;
    const payload = u16(bytes, at + IP + 2) - 20 - headerLen;
    if (payload > 0 && u32(bytes, at + TCP + 4) === this.rcvNxt % 2 ** 32) this.data(payload);
  }

  private data(payload: number): void {
    this.rcvNxt += payload;
    this.received += payload;
    this.unacknowledged += payload;
    if (this.unacknowledged >= 2 * MSS) this.acknowledge();
  }

  private acknowledge(): void {
    this.unacknowledged = 0;
    this.writeHeaders(FLAG.ack, 0, 0);
  }
}

function scaleIn(bytes: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; ) {
    const kind = bytes[at]!;
    if (kind === 0) return 0;
    if (kind === 3) return bytes[at + 2]!;
    at += kind === 1 ? 1 : bytes[at + 1]!;
  }
  return 0;
}

function finish(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded >>> 16) + (folded & 0xffff);
  return ~folded & 0xffff;
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 65536 + u16(bytes, at + 2);
}
