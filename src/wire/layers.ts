// Any frame as a list of plain objects, one for each header from the outside in: for programs that read `usernet show
// --json`, and for tests. As in describe.ts nothing is trusted, and each reader stops where the captured bytes end.
//
// Fields have the words of their RFC and the value that stands in the header, in its units: Internet Header Length and Data
// Offset are in 32-bit words, Fragment Offset in units of 8 octets. Addresses and what has no number are text.

import { formatIp, formatIpv4Word, formatMac } from '../base/addr.ts';
import type { Memory } from '../base/memory.ts';
import * as arp from './arp.ts';
import { isValid, pseudoSumIpv4 } from './checksum.ts';
import * as ethernet from './ethernet.ts';
import { EtherType } from './ethernet.ts';
import * as icmp from './icmpv4.ts';
import * as ipv4 from './ipv4.ts';
import { tcpLayer, udpLayers } from './layers-transport.ts';
import { hexOf, type Layer, type OpenLayer } from './layers-values.ts';

export type { Layer, LayerValue } from './layers-values.ts';

const { Protocol } = ipv4;

const VLAN_TAG_LEN = 4;
const MAX_VLAN_TAGS = 2;
/** A smaller value in the type field is a length. IEEE 802.3 3.2.6. */
const MIN_ETHER_TYPE = 0x0600;
const IPV6_HEADER_LEN = 40;
const ARP_FIXED_LEN = 8;

/** The layers of the Ethernet frame at [off, off+len) of `m`, at least one. Never throws, whatever the bytes are. */
export function layersOf(m: Memory, off: number, len: number): Layer[] {
  const end = off + len;
  if (len < ethernet.HEADER_LEN) return [{ layer: 'ethernet', truncated: true }];
  const v = m.view;
  let type = ethernet.etherType(v, off);
  let at = off + ethernet.HEADER_LEN;
  const frame: OpenLayer = {
    layer: 'ethernet',
    destination: formatMac(ethernet.dstHi(v, off), ethernet.dstLo(v, off)),
    source: formatMac(ethernet.srcHi(v, off), ethernet.srcLo(v, off)),
  };
  frame[typeField(type)] = type;
  const layers: Layer[] = [frame];
  for (let n = 0; n < MAX_VLAN_TAGS && isVlan(type); n++) {
    if (at + VLAN_TAG_LEN > end) return [...layers, { layer: 'vlan', truncated: true }];
    layers.push(vlanLayer(v, at));
    type = v.getUint16(at + 2);
    at += VLAN_TAG_LEN;
  }
  layers.push(...payloadLayers(m, type, at, end));
  return layers;
}

function payloadLayers(m: Memory, type: number, at: number, end: number): Layer[] {
  if (type === EtherType.Arp) return [arpLayer(m.view, at, end)];
  if (type === EtherType.Ipv4) return ipv4Layers(m, at, end, true);
  return type === EtherType.Ipv6 ? [ipv6Layer(m.view, at, end)] : [];
}

function isVlan(type: number): boolean {
  return type === EtherType.Vlan || type === EtherType.VlanProvider;
}

function typeField(type: number): 'length' | 'etherType' {
  return type < MIN_ETHER_TYPE ? 'length' : 'etherType';
}

/** IEEE 802.1Q 9.6. */
function vlanLayer(v: DataView, at: number): Layer {
  const tci = v.getUint16(at);
  const type = v.getUint16(at + 2);
  return {
    layer: 'vlan',
    priorityCodePoint: tci >>> 13,
    dropEligibleIndicator: (tci & 0x1000) !== 0,
    vlanIdentifier: tci & 0x0fff,
    [typeField(type)]: type,
  };
}

/** RFC 826; addresses if they are those of IPv4 over Ethernet. */
function arpLayer(v: DataView, at: number, end: number): Layer {
  if (end - at < ARP_FIXED_LEN) return { layer: 'arp', truncated: true };
  const lengths = v.getUint16(at + 4);
  const fields = {
    layer: 'arp',
    hardwareType: v.getUint16(at),
    protocolType: v.getUint16(at + 2),
    hardwareAddressLength: lengths >>> 8,
    protocolAddressLength: lengths & 0xff,
    opcode: arp.op(v, at),
  };
  const isIpv4 = fields.hardwareType === 1 && fields.protocolType === EtherType.Ipv4 && lengths === 0x0604;
  if (!isIpv4) return fields;
  if (end - at < arp.LEN) return { ...fields, truncated: true };
  return {
    ...fields,
    senderHardwareAddress: formatMac(arp.senderHi(v, at), arp.senderLo(v, at)),
    senderProtocolAddress: formatIpv4Word(arp.senderIp(v, at)),
    targetHardwareAddress: formatMac(v.getUint16(at + 18), v.getInt32(at + 20)),
    targetProtocolAddress: formatIpv4Word(arp.targetIp(v, at)),
  };
}

/** RFC 8200 3. */
function ipv6Layer(v: DataView, ip: number, end: number): Layer {
  if (end - ip < IPV6_HEADER_LEN) return { layer: 'ipv6', truncated: true };
  const first = v.getUint32(ip);
  const address = (at: number): string =>
    formatIp({ w0: v.getInt32(at), w1: v.getInt32(at + 4), w2: v.getInt32(at + 8), w3: v.getInt32(at + 12) });
  return {
    layer: 'ipv6',
    version: first >>> 28,
    trafficClass: (first >>> 20) & 0xff,
    flowLabel: first & 0xfffff,
    payloadLength: v.getUint16(ip + 4),
    nextHeader: v.getUint8(ip + 6),
    hopLimit: v.getUint8(ip + 7),
    sourceAddress: address(ip + 8),
    destinationAddress: address(ip + 24),
    ...(first >>> 28 === 6 ? {} : { malformed: true }),
  };
}

/** The datagram at `ip`. RFC 791 3.1. `mayQuote`: an ICMP error in it shows the datagram that it is about. */
function ipv4Layers(m: Memory, ip: number, end: number, mayQuote: boolean): Layer[] {
  const v = m.view;
  if (end - ip < ipv4.MIN_HEADER_LEN) return [{ layer: 'ipv4', truncated: true }];
  const header = ipv4.headerLen(v, ip);
  const total = ipv4.totalLen(v, ip);
  const version = v.getUint8(ip) >>> 4;
  const l4 = ip + header;
  const isCut = l4 > end;
  const fields: OpenLayer = {
    layer: 'ipv4',
    version,
    internetHeaderLength: header / 4,
    typeOfService: v.getUint8(ip + 1),
    totalLength: total,
    identification: ipv4.id(v, ip),
    dontFragment: ipv4.dontFragment(v, ip),
    moreFragments: ipv4.moreFragments(v, ip),
    fragmentOffset: ipv4.fragmentOffset(v, ip) / 8,
    timeToLive: ipv4.ttl(v, ip),
    protocol: ipv4.protocol(v, ip),
    headerChecksum: v.getUint16(ip + 10),
    sourceAddress: formatIpv4Word(ipv4.src(v, ip)),
    destinationAddress: formatIpv4Word(ipv4.dst(v, ip)),
  };
  if (!isCut) fields['headerChecksumCorrect'] = isValid(m.sum(ip, header));
  if (header > ipv4.MIN_HEADER_LEN) {
    fields['options'] = hexOf(v, ip + ipv4.MIN_HEADER_LEN, Math.min(l4, end));
  }
  if (version !== 4 || header < ipv4.MIN_HEADER_LEN || total < header) {
    fields['malformed'] = true;
    return [fields];
  }
  if (isCut) {
    fields['truncated'] = true;
    return [fields];
  }
  return [fields, ...transportLayers(m, ip, l4, Math.min(end, ip + total), ip + total, mayQuote)];
}

/** `l4`..`end` is captured, `wholeEnd` is where the datagram says that it ends. */
function transportLayers(
  m: Memory,
  ip: number,
  l4: number,
  end: number,
  wholeEnd: number,
  mayQuote: boolean,
): Layer[] {
  const v = m.view;
  // Ports and flags are in the first fragment only.
  if (ipv4.fragmentOffset(v, ip) > 0) return [];
  const proto = ipv4.protocol(v, ip);
  const length = wholeEnd - l4;
  const isWhole = !ipv4.isFragment(v, ip) && end === wholeEnd;
  const pseudo = isWhole ? pseudoSumIpv4(ipv4.src(v, ip), ipv4.dst(v, ip), proto) : -1;
  if (proto === Protocol.Tcp) return [tcpLayer(m, l4, end, length, pseudo)];
  if (proto === Protocol.Udp) return udpLayers(m, l4, end, length, pseudo);
  return proto === Protocol.Icmp ? [icmpLayer(m, l4, end, isWhole, mayQuote)] : [];
}

/** RFC 792, RFC 1191 4. */
function icmpLayer(m: Memory, at: number, end: number, isWhole: boolean, mayQuote: boolean): Layer {
  const v = m.view;
  if (end - at < icmp.HEADER_LEN) return { layer: 'icmp', truncated: true };
  const type = icmp.type(v, at);
  const code = icmp.code(v, at);
  const fields: Layer = {
    ...{ layer: 'icmp', type, code, checksum: v.getUint16(at + 2) },
    ...(isWhole ? { checksumCorrect: isValid(m.sum(at, end - at)) } : {}),
  };
  if (type === icmp.Type.Echo || type === icmp.Type.EchoReply) {
    return { ...fields, identifier: v.getUint16(at + 4), sequenceNumber: v.getUint16(at + 6) };
  }
  const isError =
    type === icmp.Type.Unreachable || type === icmp.Type.TimeExceeded || type === icmp.Type.ParameterProblem;
  if (!isError || !mayQuote) return fields;
  return {
    ...fields,
    ...(type === icmp.Type.Unreachable && code === icmp.Code.FragmentationNeeded
      ? { nextHopMtu: v.getUint16(at + 6) }
      : {}),
    ...(type === icmp.Type.ParameterProblem ? { pointer: v.getUint8(at + 4) } : {}),
    originalDatagram: ipv4Layers(m, at + icmp.HEADER_LEN, end, false),
  };
}
