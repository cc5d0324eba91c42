// Frames of TCP streams as a guest sends them, field by field, and several of them in one chunk of QEMU's framing.

import { memoryOver } from '../../src/base/memory.ts';
import { finish, pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as options from '../../src/wire/tcp-options.ts';

export const IP = ethernet.HEADER_LEN;
export const TCP = IP + ipv4.MIN_HEADER_LEN;
export const GUEST = 0x0a00020f;
export const GATEWAY = 0x0a000202;

export interface SegmentSpec {
  readonly toHi?: number;
  readonly toLo?: number;
  readonly fromHi?: number;
  readonly fromLo?: number;
  readonly src?: number;
  readonly dst?: number;
  readonly ident?: number;
  readonly sport: number;
  readonly dport: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly wnd: number;
  /** TSval and TSecr; null: no timestamps. */
  readonly ts: readonly [number, number] | null;
  /** Of a SYN: MSS, window scale, that SACK is permitted. */
  readonly syn?: { readonly mss: number; readonly shift: number };
  /** Left and right edges. */
  readonly sack?: readonly (readonly [number, number])[];
  /** Bytes behind the IP packet. */
  readonly padding?: number;
}

/** A whole frame, its checksums right. */
export function segmentFrame(spec: SegmentSpec, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const { src = GUEST, dst = GATEWAY, ident = 0, ts, syn, sack = [], padding = 0 } = spec;
  const sackLen = sack.length === 0 ? 0 : 4 + 8 * sack.length;
  const header = tcp.MIN_HEADER_LEN + (syn ? 12 : 0) + (ts === null ? 0 : 12) + sackLen;
  const len = header + payload.length;
  const bytes = Buffer.alloc(TCP + len + padding);
  const m = memoryOver(bytes);
  const v = m.view;
  const { toHi = 0x5255, toLo = 0x0a000202, fromHi = 0x5254, fromLo = 0x00123456 } = spec;
  ethernet.write(v, 0, toHi, toLo, fromHi, fromLo, ethernet.EtherType.Ipv4);
  ipv4.write(v, IP, len, ident & 0xffff, ipv4.Protocol.Tcp, src, dst);
  tcp.write(v, TCP, spec.sport, spec.dport, spec.seq, spec.ack, header, spec.flags, spec.wnd);
  let end = TCP + tcp.MIN_HEADER_LEN;
  if (syn) {
    end = options.writeMss(v, end, syn.mss);
    end = options.writeWindowScale(v, end, syn.shift);
    end = options.writeSackPermitted(v, end);
  }
  if (ts !== null) end = options.writeTimestamps(v, end, ts[0], ts[1]);
  if (sack.length > 0) {
    v.setInt32(end, 0x01010500 | (2 + 8 * sack.length));
    end += 4;
    for (const [left, right] of sack) {
      v.setInt32(end, left);
      v.setInt32(end + 4, right);
      end += 8;
    }
  }
  bytes.set(payload, TCP + header);
  seal(bytes);
  bytes.fill(0x5a, TCP + len);
  return bytes;
}

/** Makes the checksums right again, as far as the header says what they are over. */
export function seal(bytes: Buffer): void {
  const m = memoryOver(bytes);
  const v = m.view;
  v.setUint16(IP + ipv4.CHECKSUM, 0);
  v.setUint16(IP + ipv4.CHECKSUM, finish(m.sum(IP, ipv4.MIN_HEADER_LEN)));
  const len = ipv4.totalLen(v, IP) - ipv4.MIN_HEADER_LEN;
  if (len < tcp.MIN_HEADER_LEN || TCP + len > bytes.length) return;
  tcp.setChecksum(v, TCP, 0);
  const pseudo = pseudoSumIpv4(ipv4.src(v, IP), ipv4.dst(v, IP), ipv4.protocol(v, IP));
  tcp.setChecksum(v, TCP, finish(pseudo + len + m.sum(TCP, len)));
}

/** One behind the other, each behind its length. */
export function framed(frames: readonly Uint8Array[]): Buffer {
  const parts = frames.flatMap((frame) => {
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(frame.length);
    return [prefix, frame];
  });
  return Buffer.concat(parts);
}
