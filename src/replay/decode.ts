// One frame of a recording, taken apart as far as a replay needs it. Objects: a replay is no packet path.

import { formatIpv4Word, formatMac } from '../base/addr.ts';
import { type Memory, memoryOver } from '../base/memory.ts';
import * as arp from '../wire/arp.ts';
import { viewOf } from '../wire/bytes.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmpv4.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import { TcpOptions } from '../wire/tcp-options.ts';
import * as udp from '../wire/udp.ts';

/** An Ethernet frame with what is inside. Offsets count from the frame's start; addresses are IPv4 words. */
export interface Decoded {
  readonly bytes: Uint8Array;
  readonly memory: Memory;
  /** `52:54:00:12:34:56`. */
  readonly src: string;
  readonly dst: string;
  /** To a multicast or broadcast MAC. */
  readonly isGroup: boolean;
  readonly etherType: number;
  readonly arp: DecodedArp | null;
  readonly ip: DecodedIp | null;
}

export interface DecodedArp {
  readonly op: number;
  readonly senderMac: string;
  readonly senderIp: number;
  readonly targetIp: number;
}

export interface DecodedIp {
  readonly src: number;
  readonly dst: number;
  readonly proto: number;
  readonly ident: number;
  /** Where its payload begins in the whole datagram's, bytes. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  /** Its payload is [l4, end) of the frame. */
  readonly l4: number;
  readonly end: number;
}

export interface DecodedTcp {
  readonly srcPort: number;
  readonly dstPort: number;
  /** Unsigned. */
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly header: number;
  readonly options: OptionsRead;
  /** Not copied. */
  readonly data: Uint8Array;
}

/** What a segment's options say; see TcpOptions. */
export interface OptionsRead {
  readonly mss: number;
  readonly windShift: number;
  readonly sackPermitted: boolean;
  readonly hasTimestamps: boolean;
  readonly tsVal: number;
}

export interface DecodedUdp {
  readonly srcPort: number;
  readonly dstPort: number;
  readonly payload: Uint8Array;
}

export interface DecodedIcmp {
  readonly type: number;
  readonly code: number;
  /** What an error is about; null in anything else, and when it quotes too little. */
  readonly quoted: {
    readonly src: number;
    readonly dst: number;
    readonly proto: number;
    readonly srcPort: number;
    readonly dstPort: number;
  } | null;
}

/** null: shorter than an Ethernet header. `bytes` is kept, not copied. */
export function decode(bytes: Uint8Array): Decoded | null {
  if (bytes.length < ethernet.HEADER_LEN) return null;
  const memory = memoryOver(bytes);
  const { view } = memory;
  const etherType = ethernet.etherType(view, 0);
  return {
    bytes,
    memory,
    src: formatMac(ethernet.srcHi(view, 0), ethernet.srcLo(view, 0)),
    dst: formatMac(ethernet.dstHi(view, 0), ethernet.dstLo(view, 0)),
    isGroup: ethernet.isGroup(ethernet.dstHi(view, 0)),
    etherType,
    arp: etherType === ethernet.EtherType.Arp ? decodeArp(view, bytes.length) : null,
    ip: etherType === ethernet.EtherType.Ipv4 ? decodeIp(memory, bytes.length) : null,
  };
}

function decodeArp(v: DataView, length: number): DecodedArp | null {
  const at = ethernet.HEADER_LEN;
  if (arp.check(v, at, length - at) !== 0) return null;
  return {
    op: arp.op(v, at),
    senderMac: formatMac(arp.senderHi(v, at), arp.senderLo(v, at)),
    senderIp: arp.senderIp(v, at),
    targetIp: arp.targetIp(v, at),
  };
}

function decodeIp(m: Memory, length: number): DecodedIp | null {
  const at = ethernet.HEADER_LEN;
  if (ipv4.check(m, at, length - at) !== 0) return null;
  const v = m.view;
  return {
    src: ipv4.src(v, at),
    dst: ipv4.dst(v, at),
    proto: ipv4.protocol(v, at),
    ident: ipv4.id(v, at),
    fragmentOffset: ipv4.fragmentOffset(v, at),
    moreFragments: ipv4.moreFragments(v, at),
    l4: at + ipv4.headerLen(v, at),
    end: at + ipv4.totalLen(v, at),
  };
}

export function isFragment(ip: DecodedIp): boolean {
  return ip.moreFragments || ip.fragmentOffset > 0;
}

/** The segment of a frame, or null when it holds none that is whole. */
export function decodeTcp({ memory, ip }: Decoded): DecodedTcp | null {
  if (ip === null || ip.proto !== ipv4.Protocol.Tcp || isFragment(ip)) return null;
  const v = memory.view;
  if (ip.end - ip.l4 < tcp.MIN_HEADER_LEN) return null;
  const header = tcp.headerLen(v, ip.l4);
  if (header < tcp.MIN_HEADER_LEN || ip.l4 + header > ip.end) return null;
  const options = new TcpOptions();
  options.parse(v, ip.l4 + tcp.MIN_HEADER_LEN, ip.l4 + header);
  return {
    srcPort: tcp.srcPort(v, ip.l4),
    dstPort: tcp.dstPort(v, ip.l4),
    seq: tcp.seq(v, ip.l4) >>> 0,
    ack: tcp.ack(v, ip.l4) >>> 0,
    flags: tcp.flags(v, ip.l4),
    window: tcp.window(v, ip.l4),
    header,
    options,
    data: memory.bytes.subarray(ip.l4 + header, ip.end),
  };
}

/** A UDP datagram out of the whole IP payload, or null when its length is wrong. */
export function decodeUdp(payload: Uint8Array): DecodedUdp | null {
  if (payload.length < udp.HEADER_LEN) return null;
  const v = viewOf(payload);
  const length = udp.payloadLen(v, 0);
  if (length < 0 || udp.HEADER_LEN + length > payload.length) return null;
  return {
    srcPort: udp.srcPort(v, 0),
    dstPort: udp.dstPort(v, 0),
    payload: payload.subarray(udp.HEADER_LEN, udp.HEADER_LEN + length),
  };
}

export function decodeIcmp({ memory, ip }: Decoded): DecodedIcmp | null {
  if (ip === null || ip.proto !== ipv4.Protocol.Icmp || isFragment(ip)) return null;
  if (ip.end - ip.l4 < icmp.HEADER_LEN) return null;
  const v = memory.view;
  const type = icmp.type(v, ip.l4);
  const isError = ERRORS.includes(type);
  return {
    type,
    code: icmp.code(v, ip.l4),
    quoted: isError ? quotedBy(v, ip.l4 + icmp.HEADER_LEN, ip.end) : null,
  };
}

const ERRORS: readonly number[] = [icmp.Type.Unreachable, icmp.Type.TimeExceeded, icmp.Type.ParameterProblem];

function quotedBy(v: DataView, at: number, end: number): DecodedIcmp['quoted'] {
  if (end - at < ipv4.MIN_HEADER_LEN) return null;
  const l4 = at + ipv4.headerLen(v, at);
  if (end - l4 < 4) return null;
  return {
    src: ipv4.src(v, at),
    dst: ipv4.dst(v, at),
    proto: ipv4.protocol(v, at),
    srcPort: v.getUint16(l4),
    dstPort: v.getUint16(l4 + 2),
  };
}

/** `10.0.2.15:80`. */
export function endpointText(address: number, port: number): string {
  return `${formatIpv4Word(address)}:${port}`;
}
