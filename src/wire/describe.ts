// Any frame as one line of text, much as tcpdump writes it: for logs, golden files and whoever reads a failed test.
// Nothing is trusted: each reader is told where the captured bytes end and stops there, so that garbage and captures
// cut off at a snap length are described as far as they go and `[|tcp]` says where they stop.
//
// This file has Ethernet to ICMP; what is inside TCP and UDP is describe-tcp.ts and describe-udp.ts.

import { formatIp, formatIpv4Word, formatMac } from '../base/addr.ts';
import type { Memory } from '../base/memory.ts';
import * as arp from './arp.ts';
import { isValid, pseudoSumIpv4 } from './checksum.ts';
import { describeTcp } from './describe-tcp.ts';
import { describeUdp } from './describe-udp.ts';
import * as ethernet from './ethernet.ts';
import { EtherType } from './ethernet.ts';
import * as icmp from './icmpv4.ts';
import * as ipv4 from './ipv4.ts';

const { Protocol } = ipv4;

const VLAN_TAG_LEN = 4;
const MAX_VLAN_TAGS = 2;
/** A smaller value in the type field is a length. IEEE 802.3 3.2.6. */
const MIN_ETHER_TYPE = 0x0600;
const IPV6_HEADER_LEN = 40;

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: 'ICMP',
  2: 'IGMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
};

/**
 * The frame at [off, off+len) of `m` as one line without a newline. `wireLen` is its length before a capture cut it
 * off. Never throws, whatever the bytes are.
 */
export function describeFrame(m: Memory, off: number, len: number, wireLen: number = len): string {
  const end = off + len;
  if (len < ethernet.HEADER_LEN) return `[|ether], length ${wireLen}`;
  let at = off + ethernet.HEADER_LEN;
  let type = ethernet.etherType(m.view, off);
  let tags = '';
  for (let n = 0; n < MAX_VLAN_TAGS && isVlan(type); n++) {
    if (at + VLAN_TAG_LEN > end) return `${tags}[|vlan], length ${wireLen}`;
    tags += `vlan ${m.view.getUint16(at) & 0x0fff}, `;
    type = m.view.getUint16(at + 2);
    at += VLAN_TAG_LEN;
  }
  if (type === EtherType.Arp) return tags + describeArp(m.view, at, end);
  if (type === EtherType.Ipv4) return tags + describeIpv4(m, at, end);
  if (type === EtherType.Ipv6) return tags + describeIpv6(m.view, at, end);
  return `${describeMacs(m.view, off)}, ${tags}${typeText(type)}, length ${wireLen}`;
}

function isVlan(type: number): boolean {
  return type === EtherType.Vlan || type === EtherType.VlanProvider;
}

function describeMacs(v: DataView, eth: number): string {
  const from = formatMac(ethernet.srcHi(v, eth), ethernet.srcLo(v, eth));
  return `${from} > ${formatMac(ethernet.dstHi(v, eth), ethernet.dstLo(v, eth))}`;
}

function typeText(type: number): string {
  return type < MIN_ETHER_TYPE ? '802.3' : `ethertype 0x${type.toString(16).padStart(4, '0')}`;
}

function describeArp(v: DataView, at: number, end: number): string {
  if (end - at < arp.LEN) return 'ARP, [|arp]';
  const length = `length ${end - at}`;
  const sender = formatIpv4Word(arp.senderIp(v, at));
  const target = formatIpv4Word(arp.targetIp(v, at));
  if (arp.check(v, at, end - at) !== 0) return `ARP, malformed, ${length}`;
  if (arp.op(v, at) === arp.Op.Request) return `ARP, Request who-has ${target} tell ${sender}, ${length}`;
  return `ARP, Reply ${sender} is-at ${formatMac(arp.senderHi(v, at), arp.senderLo(v, at))}, ${length}`;
}

function describeIpv6(v: DataView, ip: number, end: number): string {
  if (end - ip < IPV6_HEADER_LEN) return 'IPv6, [|ip6]';
  const word = (at: number): number => v.getInt32(ip + at);
  const src = formatIp({ w0: word(8), w1: word(12), w2: word(16), w3: word(20) });
  const dst = formatIp({ w0: word(24), w1: word(28), w2: word(32), w3: word(36) });
  return `${src} > ${dst}: IPv6 ${protocolText(v.getUint8(ip + 6))}, length ${v.getUint16(ip + 4)}`;
}

function protocolText(proto: number): string {
  return PROTOCOL_NAMES[proto] ?? `protocol ${proto}`;
}

function describeIpv4(m: Memory, ip: number, end: number): string {
  const v = m.view;
  if (end - ip < ipv4.MIN_HEADER_LEN) return 'IP, [|ip]';
  const between = `${formatIpv4Word(ipv4.src(v, ip))} > ${formatIpv4Word(ipv4.dst(v, ip))}`;
  const header = ipv4.headerLen(v, ip);
  const total = ipv4.totalLen(v, ip);
  const version = v.getUint8(ip) >>> 4;
  if (version !== 4 || header < ipv4.MIN_HEADER_LEN) {
    return `${between}: IP, bad header, version ${version}, header length ${header}`;
  }
  if (total < header) return `${between}: IP, bad length ${total}`;
  const l4 = ip + header;
  if (l4 > end) return `${between}: ${protocolText(ipv4.protocol(v, ip))}, [|ip]`;
  const badChecksum = isValid(m.sum(ip, header)) ? '' : ' [bad ip checksum]';
  return describePayload(m, ip, l4, Math.min(end, ip + total), ip + total) + badChecksum;
}

/** `l4`..`end` is captured, `wholeEnd` is where the datagram says that it ends. */
function describePayload(m: Memory, ip: number, l4: number, end: number, wholeEnd: number): string {
  const v = m.view;
  const proto = ipv4.protocol(v, ip);
  const length = wholeEnd - l4;
  const fragment = ipv4.isFragment(v, ip) ? ` [${fragmentText(v, ip, length)}]` : '';
  const src = formatIpv4Word(ipv4.src(v, ip));
  const dst = formatIpv4Word(ipv4.dst(v, ip));
  const plain = `${src} > ${dst}: ${protocolText(proto)}, length ${length}${fragment}`;
  // Ports and flags are in the first fragment only.
  if (ipv4.fragmentOffset(v, ip) > 0) return plain;
  const cut = fragment !== '' || end < wholeEnd;
  const pseudo = cut ? -1 : pseudoSumIpv4(ipv4.src(v, ip), ipv4.dst(v, ip), proto);
  if (proto === Protocol.Tcp) return describeTcp(m, l4, end, length, src, dst, pseudo) + fragment;
  if (proto === Protocol.Udp) return describeUdp(m, l4, end, length, src, dst, pseudo) + fragment;
  if (proto === Protocol.Icmp) return `${src} > ${dst}: ${describeIcmp(m, l4, end, length, !cut)}${fragment}`;
  return plain;
}

function fragmentText(v: DataView, ip: number, length: number): string {
  const more = ipv4.moreFragments(v, ip) ? ', more follow' : '';
  return `fragment id ${ipv4.id(v, ip)}, offset ${ipv4.fragmentOffset(v, ip)}, length ${length}${more}`;
}

const UNREACHABLE: Readonly<Record<number, string>> = {
  [icmp.Code.Net]: 'net unreachable',
  [icmp.Code.Host]: 'host unreachable',
  [icmp.Code.Protocol]: 'protocol unreachable',
  [icmp.Code.Port]: 'port unreachable',
  [icmp.Code.FragmentationNeeded]: 'unreachable - need to frag',
  [icmp.Code.NetProhibited]: 'net unreachable - prohibited',
  [icmp.Code.HostProhibited]: 'host unreachable - prohibited',
  [icmp.Code.Prohibited]: 'unreachable - admin prohibited',
};

function describeIcmp(m: Memory, at: number, end: number, length: number, whole: boolean): string {
  const v = m.view;
  if (end - at < icmp.HEADER_LEN) return 'ICMP, [|icmp]';
  const type = icmp.type(v, at);
  const tail = `, length ${length}${!whole || isValid(m.sum(at, length)) ? '' : ' [bad icmp checksum]'}`;
  if (type === icmp.Type.Echo || type === icmp.Type.EchoReply) {
    const which = type === icmp.Type.Echo ? 'request' : 'reply';
    return `ICMP echo ${which}, id ${v.getUint16(at + 4)}, seq ${v.getUint16(at + 6)}${tail}`;
  }
  return `ICMP ${icmpErrorText(v, at)}${quoteText(v, at + icmp.HEADER_LEN, end)}${tail}`;
}

function icmpErrorText(v: DataView, at: number): string {
  const type = icmp.type(v, at);
  const code = icmp.code(v, at);
  if (type === icmp.Type.Unreachable) {
    const mtu = code === icmp.Code.FragmentationNeeded ? ` (mtu ${v.getUint16(at + 6)})` : '';
    return `${UNREACHABLE[code] ?? `unreachable - code ${code}`}${mtu}`;
  }
  if (type === icmp.Type.TimeExceeded) return `time exceeded ${code === 0 ? 'in-transit' : 'in reassembly'}`;
  if (type === icmp.Type.ParameterProblem) return `parameter problem - octet ${v.getUint8(at + 4)}`;
  return `type ${type}, code ${code}`;
}

/** The packet that an error is about: who, to whom, which protocol. '' when the error quotes none. */
function quoteText(v: DataView, ip: number, end: number): string {
  if (end - ip < ipv4.MIN_HEADER_LEN || v.getUint8(ip) >>> 4 !== 4) return '';
  const proto = ipv4.protocol(v, ip);
  const l4 = ip + ipv4.headerLen(v, ip);
  const hasPorts = (proto === Protocol.Tcp || proto === Protocol.Udp) && l4 + 4 <= end;
  const port = (at: number): string => (hasPorts ? `.${v.getUint16(at)}` : '');
  const from = formatIpv4Word(ipv4.src(v, ip)) + port(l4);
  return `, about ${from} > ${formatIpv4Word(ipv4.dst(v, ip))}${port(l4 + 2)} ${protocolText(proto)}`;
}
