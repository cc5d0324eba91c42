// Frames by hand, with checksums of the obvious loop and not of the code under test. A test spoils what it wants spoilt.

import { parseIpv4Word, parseMac } from '../../src/base/addr.ts';

export const GUEST_MAC = '52:54:00:12:34:56';
export const GATEWAY_MAC = '52:55:0a:00:02:02';
export const DNS_MAC = '52:55:0a:00:02:03';
export const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';

export interface EthernetFields {
  readonly to?: string;
  readonly from?: string;
  readonly type?: number;
}

/** An Ethernet frame; by default from the guest to the gateway, IPv4. */
export function ethernet(payload: Buffer, fields: EthernetFields = {}): Buffer {
  const { to = GATEWAY_MAC, from = GUEST_MAC, type = 0x0800 } = fields;
  return Buffer.concat([mac(to), mac(from), u16(type), payload]);
}

/** An ARP message in a frame; a request to everybody, a reply to the gateway. */
export function arp(op: number, from: string, to: string, fields: EthernetFields = {}): Buffer {
  const head = Buffer.concat([u16(1), u16(0x0800), u16(0x0604), u16(op)]);
  const body = Buffer.concat([mac(fields.from ?? GUEST_MAC), ip(from), Buffer.alloc(6), ip(to)]);
  return ethernet(Buffer.concat([head, body]), { to: BROADCAST_MAC, ...fields, type: 0x0806 });
}

export interface Ipv4Fields extends EthernetFields {
  readonly src?: string;
  readonly dst?: string;
  readonly proto?: number;
  readonly ttl?: number;
  readonly ident?: number;
  /** Bytes, a multiple of 8. */
  readonly offset?: number;
  readonly more?: boolean;
  /** What the header says, where it is wrong. */
  readonly version?: number;
  readonly headerLen?: number;
  readonly totalLen?: number;
  readonly badChecksum?: boolean;
}

/** An IPv4 packet in a frame; by default from 10.0.2.15 to 10.0.2.2. */
export function ipv4(payload: Buffer, fields: Ipv4Fields = {}): Buffer {
  const { src = '10.0.2.15', dst = '10.0.2.2', proto = 17, ttl = 64, ident = 1 } = fields;
  const fragment = ((fields.offset ?? 0) >>> 3) | (fields.more ? 0x2000 : 0);
  const header = Buffer.concat([
    Buffer.from([((fields.version ?? 4) << 4) | ((fields.headerLen ?? 20) >> 2), 0]),
    u16(fields.totalLen ?? 20 + payload.length),
    u16(ident),
    u16(fragment),
    Buffer.from([ttl, proto, 0, 0]),
    ip(src),
    ip(dst),
  ]);
  header.writeUInt16BE(checksum(header) ^ (fields.badChecksum ? 0x1234 : 0), 10);
  return ethernet(Buffer.concat([header, payload]), fields);
}

export interface UdpFields extends Ipv4Fields {
  readonly sport?: number;
  readonly dport?: number;
  readonly udpLen?: number;
  readonly badUdpChecksum?: boolean;
}

/** A UDP datagram in a frame. */
export function udp(payload: Buffer | string, fields: UdpFields = {}): Buffer {
  const data = Buffer.from(payload as string, 'latin1');
  const header = Buffer.concat([
    u16(fields.sport ?? 4000),
    u16(fields.dport ?? 7),
    u16(fields.udpLen ?? 8 + data.length),
    u16(0),
  ]);
  const whole = Buffer.concat([header, data]);
  whole.writeUInt16BE(transportChecksum(whole, 17, fields) || 0xffff, 6);
  if (fields.badUdpChecksum) whole.writeUInt16BE(whole.readUInt16BE(6) ^ 0x1111, 6);
  return ipv4(whole, { ...fields, proto: 17 });
}

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

export interface TcpFields extends Ipv4Fields {
  readonly sport?: number;
  readonly dport?: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly flags?: number;
  readonly wnd?: number;
  /** A multiple of four bytes. */
  readonly tcpOptions?: Uint8Array;
  /** What the header says, in bytes. */
  readonly tcpHeaderLen?: number;
  readonly badTcpChecksum?: boolean;
}

/** A TCP segment in a frame. */
export function tcp(fields: TcpFields, payload: Buffer | string = ''): Buffer {
  const data = Buffer.from(payload as string, 'latin1');
  const { tcpOptions = Buffer.alloc(0) } = fields;
  const header = Buffer.concat([
    u16(fields.sport ?? 5000),
    u16(fields.dport ?? 80),
    u32(fields.seq ?? 1000),
    u32(fields.ack ?? 0),
    Buffer.from([((fields.tcpHeaderLen ?? 20 + tcpOptions.length) >> 2) << 4, fields.flags ?? SYN]),
    u16(fields.wnd ?? 65535),
    Buffer.alloc(4),
    tcpOptions,
  ]);
  const whole = Buffer.concat([header, data]);
  whole.writeUInt16BE(transportChecksum(whole, 6, fields) ^ (fields.badTcpChecksum ? 0x1111 : 0), 16);
  return ipv4(whole, { ...fields, proto: 6 });
}

/** An ICMP echo request in a frame. */
export function echo(fields: Ipv4Fields = {}): Buffer {
  const whole = Buffer.from([8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4]);
  whole.writeUInt16BE(checksum(whole), 2);
  return ipv4(whole, { ...fields, proto: 1 });
}

/** The fields of a TCP segment in a frame. */
export function readTcp(frame: Buffer): {
  seq: number;
  ack: number;
  flags: number;
  wnd: number;
  len: number;
} {
  const at = 14 + (frame[14]! & 15) * 4;
  const header = (frame[at + 12]! >> 4) * 4;
  const total = frame.readUInt16BE(16);
  return {
    seq: frame.readUInt32BE(at + 4),
    ack: frame.readUInt32BE(at + 8),
    flags: frame[at + 13]!,
    wnd: frame.readUInt16BE(at + 14),
    len: total - (at - 14) - header,
  };
}

/** Is it TCP in IPv4? */
export function isTcp(frame: Buffer): boolean {
  return frame.readUInt16BE(12) === 0x0800 && frame[23] === 6;
}

function transportChecksum(whole: Buffer, proto: number, fields: Ipv4Fields): number {
  const { src = '10.0.2.15', dst = '10.0.2.2' } = fields;
  return checksum(Buffer.concat([ip(src), ip(dst), u16(proto), u16(whole.length), whole]));
}

/** RFC 1071, one word at a time. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return ~sum & 0xffff;
}

function mac(text: string): Buffer {
  const { hi, lo } = parseMac(text)!;
  return Buffer.concat([u16(hi), u32(lo >>> 0)]);
}

function ip(text: string): Buffer {
  return u32(parseIpv4Word(text)! >>> 0);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
