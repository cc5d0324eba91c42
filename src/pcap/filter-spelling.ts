// What stands behind the words of a filter: numbers, addresses and the few names that are known without asking anybody.
// Spelled as libpcap has them, so that no text means one thing to tcpdump and another here.

import type { Mac } from '../base/addr.ts';
import { EtherType } from '../wire/ethernet.ts';
import { PROTOCOLS, prefixMask, type Transport } from './filter-questions.ts';

const MAC_WORDS = /^[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4}){2}$|^[0-9a-fA-F]{12}$/;

/** As in C: decimal, 0x hexadecimal, 0 octal. null where it is a MAC address, no number, or one above 2^32 - 1. */
export function parseNumber(text: string): number | null {
  if (MAC_WORDS.test(text)) return null;
  const octal = /^0[0-7]+$/.test(text);
  if (!octal && !/^(0|[1-9]\d*|0[xX][0-9a-fA-F]+)$/.test(text)) return null;
  const n = octal ? Number.parseInt(text, 8) : Number(text);
  return n <= 0xffffffff ? n : null;
}

/** Part of an IPv4 address, from its front: `word` signed, 0 in what is missing of it. */
export interface Dotted {
  readonly word: number;
  /** Of what was written; -1 is all four bytes. */
  readonly mask: number;
}

/** `10.0`, `10.0.2` or `10.0.2.15`; null otherwise. One number alone has no dot and is no address. */
export function parseDotted(text: string): Dotted | null {
  if (!/^\d{1,9}(\.\d{1,9}){1,3}$/.test(text)) return null;
  const parts = text.split('.').map(Number);
  if (parts.some((part) => part > 255)) return null;
  const word = [0, 1, 2, 3].reduce((value, i) => (value << 8) | (parts[i] ?? 0), 0);
  return { word, mask: prefixMask(8 * parts.length) };
}

/** A number as a network: 10 is 10.0.0.0/8, 2561 is 10.1.0.0/16. 0 is the address 0.0.0.0. */
export function numberedNet(n: number): Dotted {
  let word = n | 0;
  let mask = -1;
  while (word !== 0 && word >>> 24 === 0) {
    word <<= 8;
    mask <<= 8;
  }
  return { word, mask };
}

const BYTE = '[0-9a-fA-F]{1,2}';
const MAC_FORMS = [':', '-', '\\.'].map((sign) => new RegExp(`^${BYTE}(${sign}${BYTE}){5}$`));

/** Six bytes with one kind of sign between them, `5254.0012.3456` or `525400123456`; null otherwise. */
export function parseMacId(text: string): Mac | null {
  let digits = '';
  if (MAC_WORDS.test(text)) digits = text.replaceAll('.', '');
  else if (MAC_FORMS.some((form) => form.test(text))) {
    for (const part of text.split(/[:.-]/)) digits += part.padStart(2, '0');
  } else return null;
  return {
    hi: Number.parseInt(digits.substring(0, 4), 16),
    lo: Number.parseInt(digits.substring(4), 16) | 0,
  };
}

export interface PortRange {
  readonly low: number;
  readonly high: number;
  /** A name may say which protocol, too. */
  readonly transport: Transport | null;
}

/** Names of services that a network like this one sees, and the one protocol of those that have only one. */
const SERVICES: ReadonlyMap<string, readonly [port: number, transport: Transport | null]> = new Map([
  ['ftp-data', [20, 'tcp']],
  ['ftp', [21, 'tcp']],
  ['ssh', [22, 'tcp']],
  ['telnet', [23, 'tcp']],
  ['smtp', [25, 'tcp']],
  ['domain', [53, null]],
  ['bootps', [67, 'udp']],
  ['bootpc', [68, 'udp']],
  ['tftp', [69, 'udp']],
  ['http', [80, 'tcp']],
  ['ntp', [123, 'udp']],
  ['snmp', [161, null]],
  ['https', [443, null]],
  ['mdns', [5353, 'udp']],
]);

/** One port by number or name, or null. */
export function parsePort(text: string, isName: boolean): PortRange | null {
  const number = isName ? null : parseNumber(text);
  const [port, transport] = number === null ? (SERVICES.get(text) ?? [-1, null]) : [number, null];
  return port >= 0 && port <= 65535 ? { low: port, high: port, transport } : null;
}

/** `1000-2000`, in decimal and in any order, or one port; null otherwise. */
export function parsePortRange(text: string, isName: boolean): PortRange | null {
  const match = /^(\d+)-(\d+)$/.exec(text);
  if (match === null) return parsePort(text, isName);
  const [a, b] = [Number(match[1]), Number(match[2])];
  if (a > 65535 || b > 65535) return null;
  return { low: Math.min(a, b), high: Math.max(a, b), transport: null };
}

const IP_PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ...Object.entries(PROTOCOLS).flatMap(([name, of]): [string, number][] =>
    'number' in of && name !== 'icmp6' ? [[name, of.number]] : [],
  ),
  ['gre', 47],
  ['ipv6-icmp', 58],
]);

const ETHER_PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['ip', EtherType.Ipv4],
  ['ip6', EtherType.Ipv6],
  ['arp', EtherType.Arp],
  ['rarp', PROTOCOLS.rarp.etherType],
]);

/** The number of a protocol: by number, or by name behind a backslash. null for none. */
export function parseProtocol(text: string, isName: boolean, inEthernet: boolean): number | null {
  if (!isName) return parseNumber(text);
  return (inEthernet ? ETHER_PROTOCOLS : IP_PROTOCOLS).get(text) ?? null;
}
