// TCP segments and UDP datagrams as plain objects, for layers.ts.

import type { Memory } from '../base/memory.ts';
import { isValid } from './checksum.ts';
import * as dhcp from './dhcp.ts';
import * as dns from './dns.ts';
import { dhcpLayer, dnsLayer } from './layers-messages.ts';
import { hexOf, type Layer, type LayerValue, type OpenLayer } from './layers-values.ts';
import * as tcp from './tcp.ts';
import * as udp from './udp.ts';

const { Flag } = tcp;

/** RFC 9293 3.1, from the highest bit. */
const CONTROL_BITS: readonly (readonly [bit: number, name: string])[] = [
  ...([
    [Flag.Cwr, 'CWR'],
    [Flag.Ece, 'ECE'],
    [Flag.Urg, 'URG'],
    [Flag.Ack, 'ACK'],
  ] as const),
  ...([
    [Flag.Psh, 'PSH'],
    [Flag.Rst, 'RST'],
    [Flag.Syn, 'SYN'],
    [Flag.Fin, 'FIN'],
  ] as const),
];

/**
 * The segment at [at, end), `length` bytes long when nothing is cut off. `pseudo` is the pseudo-header's sum, or -1 when
 * the checksum cannot be told. Fields of RFC 9293 3.1: Data Offset is in 32-bit words.
 */
export function tcpLayer(m: Memory, at: number, end: number, length: number, pseudo: number): Layer {
  const v = m.view;
  if (end - at < tcp.MIN_HEADER_LEN) return { layer: 'tcp', ...portsOf(v, at, end), truncated: true };
  const bits = tcp.flags(v, at);
  const header = tcp.headerLen(v, at);
  const fields: OpenLayer = {
    layer: 'tcp',
    sourcePort: tcp.srcPort(v, at),
    destinationPort: tcp.dstPort(v, at),
    sequenceNumber: tcp.seq(v, at) >>> 0,
    acknowledgmentNumber: tcp.ack(v, at) >>> 0,
    dataOffset: header / 4,
    controlBits: CONTROL_BITS.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name),
    window: tcp.window(v, at),
    checksum: v.getUint16(at + 16),
    urgentPointer: tcp.urgent(v, at),
  };
  if (pseudo >= 0) fields['checksumCorrect'] = isValid(pseudo + length + m.sum(at, length));
  if (header < tcp.MIN_HEADER_LEN || header > length) {
    fields['malformed'] = true;
    return fields;
  }
  fields['options'] = tcpOptions(v, at + tcp.MIN_HEADER_LEN, Math.min(at + header, end));
  if (at + header > end) fields['truncated'] = true;
  else fields['dataLength'] = length - header;
  return fields;
}

/** Source and destination, if they are there. */
function portsOf(v: DataView, at: number, end: number): Record<string, number> {
  return end - at < 4 ? {} : { sourcePort: v.getUint16(at), destinationPort: v.getUint16(at + 2) };
}

/** The options in [at, end), up to the end of the list or to what makes no sense. RFC 9293 3.1, RFC 7323, RFC 2018. */
function tcpOptions(v: DataView, at: number, end: number): LayerValue[] {
  const options: LayerValue[] = [];
  for (let i = at; i < end; ) {
    const kind = v.getUint8(i);
    if (kind <= 1) {
      options.push({ kind });
      if (kind === 0) break;
      i++;
      continue;
    }
    const length = i + 1 < end ? v.getUint8(i + 1) : 0;
    if (length < 2 || i + length > end) {
      options.push({ kind, malformed: true });
      break;
    }
    options.push({ kind, ...tcpOption(v, kind, i + 2, length - 2) });
    i += length;
  }
  return options;
}

function tcpOption(v: DataView, kind: number, at: number, length: number): Record<string, LayerValue> {
  if (kind === 2 && length === 2) return { maximumSegmentSize: v.getUint16(at) };
  if (kind === 3 && length === 1) return { shiftCount: v.getUint8(at) };
  if (kind === 4 && length === 0) return { sackPermitted: true };
  if (kind === 5 && length % 8 === 0) {
    const blocks = Array.from({ length: length / 8 }, (_, i) => at + 8 * i);
    return { blocks: blocks.map((edge) => [v.getUint32(edge), v.getUint32(edge + 4)]) };
  }
  if (kind === 8 && length === 8) return { tsval: v.getUint32(at), tsecr: v.getUint32(at + 4) };
  return { data: hexOf(v, at, at + length) };
}

/** The datagram at [at, end), with the message in it. RFC 768. The arguments are tcpLayer()'s. */
export function udpLayers(m: Memory, at: number, end: number, length: number, pseudo: number): Layer[] {
  const v = m.view;
  if (end - at < udp.HEADER_LEN) return [{ layer: 'udp', ...portsOf(v, at, end), truncated: true }];
  const payload = udp.payloadLen(v, at);
  const checksum = v.getUint16(at + 6);
  const fields: OpenLayer = {
    layer: 'udp',
    sourcePort: udp.srcPort(v, at),
    destinationPort: udp.dstPort(v, at),
    length: udp.HEADER_LEN + payload,
    checksum,
  };
  // A first fragment is shorter than its datagram, what has a pseudo-header has to hold all of it.
  if (payload < 0 || (pseudo >= 0 && udp.HEADER_LEN + payload > length)) {
    fields['malformed'] = true;
    return [fields];
  }
  // RFC 768: zero means that the sender made none.
  if (pseudo >= 0 && checksum !== 0) {
    const sum = m.sum(at, udp.HEADER_LEN + payload);
    fields['checksumCorrect'] = isValid(pseudo + udp.HEADER_LEN + payload + sum);
  }
  fields['dataLength'] = payload;
  return [fields, ...messageLayers(v, at, at + udp.HEADER_LEN, end, payload)];
}

/** DHCP and DNS by their ports. */
function messageLayers(v: DataView, at: number, body: number, end: number, length: number): Layer[] {
  const ports = [udp.srcPort(v, at), udp.dstPort(v, at)];
  const stop = Math.min(end, body + length);
  if (ports.includes(dhcp.SERVER_PORT) || ports.includes(dhcp.CLIENT_PORT)) {
    return [stop < body + length ? { layer: 'dhcp', truncated: true } : dhcpLayer(v, body, stop)];
  }
  return ports.includes(dns.PORT) ? [dnsLayer(v, body, stop)] : [];
}
