// A UDP datagram as text, for describe.ts: DHCP and DNS by their ports, the rest by its length.

import { formatIpv4Word } from '../base/addr.ts';
import type { Memory } from '../base/memory.ts';
import { asciiText } from './ascii.ts';
import { isValid } from './checksum.ts';
import * as udp from './udp.ts';

const DNS_PORT = 53;
const DHCP_SERVER_PORT = 67;
const DHCP_CLIENT_PORT = 68;

/**
 * The datagram at [at, end), which is `length` bytes long when nothing is cut off. `pseudo` is the pseudo-header's sum,
 * or -1 when the checksum cannot be told.
 */
export function describeUdp(
  m: Memory,
  at: number,
  end: number,
  length: number,
  src: string,
  dst: string,
  pseudo: number,
): string {
  const v = m.view;
  if (end - at < udp.HEADER_LEN) return `${src} > ${dst}: UDP, [|udp]`;
  const from = udp.srcPort(v, at);
  const to = udp.dstPort(v, at);
  const between = `${src}.${from} > ${dst}.${to}`;
  const payload = udp.payloadLen(v, at);
  // A first fragment is shorter than its datagram, with a pseudo-header it has to hold all of it.
  if (payload < 0 || (pseudo >= 0 && udp.HEADER_LEN + payload > length)) {
    return `${between}: UDP, bad length ${udp.HEADER_LEN + payload}`;
  }
  const body = at + udp.HEADER_LEN;
  const stop = Math.min(end, body + payload);
  const what = describeBody(v, from, to, body, stop);
  return `${between}: ${what}, length ${payload}${checksumText(m, at, udp.HEADER_LEN + payload, pseudo)}`;
}

/** RFC 768: a checksum of zero means that the sender made none. */
function checksumText(m: Memory, at: number, length: number, pseudo: number): string {
  const unknown = pseudo < 0 || m.view.getUint16(at + 6) === 0;
  return unknown || isValid(pseudo + length + m.sum(at, length)) ? '' : ' [bad udp checksum]';
}

function describeBody(v: DataView, from: number, to: number, at: number, end: number): string {
  const isPort = (port: number): boolean => from === port || to === port;
  if (isPort(DHCP_SERVER_PORT) || isPort(DHCP_CLIENT_PORT)) return describeDhcp(v, at, end);
  return isPort(DNS_PORT) ? describeDns(v, at, end) : 'UDP';
}

/** RFC 2132 9.6. */
const DHCP_TYPES = ['Discover', 'Offer', 'Request', 'Decline', 'ACK', 'NAK', 'Release', 'Inform'];
const DHCP_MAGIC = 0x63825363;
const DHCP_XID = 4;
const DHCP_CIADDR = 12;
const DHCP_YIADDR = 16;
const DHCP_COOKIE = 236;
const DHCP_OPTIONS = 240;
const DhcpOption = { Pad: 0, RequestedAddress: 50, MessageType: 53, End: 255 } as const;

/** Message type, transaction and the addresses that matter. RFC 2131 2. */
function describeDhcp(v: DataView, at: number, end: number): string {
  if (end - at < DHCP_OPTIONS) return 'DHCP, [|dhcp]';
  let text = `xid 0x${v.getUint32(at + DHCP_XID).toString(16)}`;
  const address = (name: string, word: number): void => {
    if (word !== 0) text += `, ${name} ${formatIpv4Word(word)}`;
  };
  address('ciaddr', v.getInt32(at + DHCP_CIADDR));
  address('yiaddr', v.getInt32(at + DHCP_YIADDR));
  if (v.getUint32(at + DHCP_COOKIE) !== DHCP_MAGIC) return `BOOTP, ${text}`;
  const type = findOption(v, at + DHCP_OPTIONS, end, DhcpOption.MessageType, 1);
  const requested = findOption(v, at + DHCP_OPTIONS, end, DhcpOption.RequestedAddress, 4);
  if (requested >= 0) address('requested', v.getInt32(requested));
  if (type < 0) return `DHCP, no message type, ${text}`;
  const code = v.getUint8(type);
  return `DHCP, ${DHCP_TYPES[code - 1] ?? `message type ${code}`}, ${text}`;
}

/** Where the value of option `code` is when it has `len` bytes, else -1. RFC 2132 2. */
function findOption(v: DataView, at: number, end: number, code: number, len: number): number {
  for (let i = at; i < end; ) {
    const kind = v.getUint8(i);
    if (kind === DhcpOption.End) return -1;
    if (kind === DhcpOption.Pad) {
      i++;
      continue;
    }
    if (i + 2 > end || i + 2 + v.getUint8(i + 1) > end) return -1;
    if (kind === code) return v.getUint8(i + 1) === len ? i + 2 : -1;
    i += 2 + v.getUint8(i + 1);
  }
  return -1;
}

const DNS_HEADER_LEN = 12;
const DNS_RESPONSE = 0x8000;
const DNS_TRUNCATED = 0x0200;
const MAX_LABELS = 32;
/** RFC 1035 4.1.1. */
const DNS_CODES = ['', 'FormErr', 'ServFail', 'NXDomain', 'NotImp', 'Refused'];
/** RFC 1035 3.2.2, RFC 3596, RFC 2782. */
const DNS_TYPES: Readonly<Record<number, string>> = {
  ...{ 1: 'A', 2: 'NS', 5: 'CNAME', 6: 'SOA', 12: 'PTR', 15: 'MX' },
  ...{ 16: 'TXT', 28: 'AAAA', 33: 'SRV', 65: 'HTTPS', 255: 'ANY' },
};

/** `DNS query 4660 A? example.com`, `DNS answer 4660 NXDomain 0/1/0 A? example.com`. RFC 1035 4.1. */
function describeDns(v: DataView, at: number, end: number): string {
  if (end - at < DNS_HEADER_LEN) return 'DNS, [|dns]';
  const count = (field: number): number => v.getUint16(at + field);
  const flags = count(2);
  const code = flags & 15;
  const words = [(flags & DNS_RESPONSE) === 0 ? 'DNS query' : 'DNS answer', String(count(0))];
  if (code !== 0) words.push(DNS_CODES[code] ?? `rcode ${code}`);
  if ((flags & DNS_TRUNCATED) !== 0) words.push('truncated');
  if ((flags & DNS_RESPONSE) !== 0) words.push(`${count(6)}/${count(8)}/${count(10)}`);
  if (count(4) > 0) words.push(questionText(v, at + DNS_HEADER_LEN, end));
  return words.join(' ');
}

/** `A? example.com` of the question at `at`. A name in a question has no pointers. */
function questionText(v: DataView, at: number, end: number): string {
  const labels: string[] = [];
  let i = at;
  while (i < end && v.getUint8(i) !== 0) {
    const len = v.getUint8(i);
    if (len > 63 || labels.length === MAX_LABELS) return 'malformed question';
    if (i + 1 + len > end) return '[|dns]';
    labels.push(asciiText(v, i + 1, len));
    i += 1 + len;
  }
  if (i + 3 > end) return '[|dns]';
  const type = v.getUint16(i + 1);
  return `${DNS_TYPES[type] ?? `type ${type}`}? ${labels.join('.') || '.'}`;
}
