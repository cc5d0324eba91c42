// The frame that is being made. One buffer, used again for each; the builders write a frame as a guest that knows what
// it does would send it, and checksums are right when seal() was called.

import { fixAll } from './checksums.ts';

export const ETHERNET = 14;
const IPV4 = 20;
/** Of a frame. What is to be cut into fragments may be longer by its headers. */
const MAX = 65535;
const ROOM = 66_000;

/** Who sends to whom. MACs as two numbers, addresses as words. */
export interface Ends {
  readonly fromHi: number;
  readonly fromLo: number;
  readonly toHi: number;
  readonly toLo: number;
  readonly src: number;
  readonly dst: number;
}

export class Draft {
  readonly bytes = Buffer.alloc(ROOM);
  len = 0;
  /** Its acknowledgment number and the like are relative: see ops.ts. */
  isRebased = false;

  /** The frame is a copy of `frame`. */
  copy(frame: Uint8Array): void {
    this.len = Math.min(frame.length, MAX);
    this.bytes.set(this.len === frame.length ? frame : frame.subarray(0, this.len));
    this.isRebased = false;
  }

  ethernet(ends: Ends, type: number): void {
    const { bytes } = this;
    bytes.writeUInt16BE(ends.toHi, 0);
    bytes.writeInt32BE(ends.toLo, 2);
    bytes.writeUInt16BE(ends.fromHi, 6);
    bytes.writeInt32BE(ends.fromLo, 8);
    bytes.writeUInt16BE(type, 12);
    this.len = ETHERNET;
    this.isRebased = false;
  }

  /** Header for `payload` bytes, which come at the returned offset. */
  ipv4(ends: Ends, proto: number, payload: number, ident = 1): number {
    const { bytes } = this;
    this.ethernet(ends, 0x0800);
    bytes.writeUInt16BE(0x4500, ETHERNET);
    bytes.writeUInt16BE(Math.min(IPV4 + payload, MAX), ETHERNET + 2);
    bytes.writeUInt16BE(ident & 0xffff, ETHERNET + 4);
    bytes.writeUInt16BE(0, ETHERNET + 6);
    bytes.writeUInt16BE((64 << 8) | proto, ETHERNET + 8);
    bytes.writeInt32BE(ends.src, ETHERNET + 12);
    bytes.writeInt32BE(ends.dst, ETHERNET + 16);
    this.len = ETHERNET + IPV4 + payload;
    return ETHERNET + IPV4;
  }

  /** Header for `payload` bytes, which come at the returned offset. */
  udp(ends: Ends, from: number, to: number, payload: number, ident = 1): number {
    const at = this.ipv4(ends, 17, 8 + payload, ident);
    const { bytes } = this;
    bytes.writeUInt16BE(from, at);
    bytes.writeUInt16BE(to, at + 2);
    bytes.writeUInt16BE(8 + payload, at + 4);
    bytes.writeUInt16BE(1, at + 6);
    return at + 8;
  }

  /** ARP from `ends.src` about `ends.dst`. */
  arp(ends: Ends, op: number): void {
    this.ethernet(ends, 0x0806);
    const { bytes } = this;
    bytes.set([0, 1, 8, 0, 6, 4, 0, op], ETHERNET);
    bytes.copy(bytes, ETHERNET + 8, 6, 12);
    bytes.writeInt32BE(ends.src, ETHERNET + 14);
    bytes.fill(0, ETHERNET + 18, ETHERNET + 24);
    bytes.writeInt32BE(ends.dst, ETHERNET + 24);
    this.len = ETHERNET + 28;
  }

  /** Puts every checksum right. */
  seal(): void {
    fixAll(this.bytes, this.len);
  }
}
