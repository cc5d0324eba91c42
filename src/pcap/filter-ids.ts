// What an id means under its qualifiers: `80` in `tcp dst port 80`, `10.0.2.0/24` in `src net 10.0.2.0/24`.

import { parseIp } from '../base/addr.ts';
import type { Node } from './filter-program.ts';
import * as ask from './filter-questions.ts';
import * as spelling from './filter-spelling.ts';
import { fault, type Token, type Tokens } from './filter-tokens.ts';

export type IdType = 'host' | 'net' | 'port' | 'portrange' | 'proto';
/** A word that may stand in front of others. */
export type Protocol = 'ether' | keyof typeof ask.PROTOCOLS;

export interface Qualifiers {
  /** One that goes with `type`. */
  readonly protocol: Protocol | null;
  readonly direction: ask.Direction;
  readonly type: IdType;
}

const WANTED: Readonly<Record<IdType, string>> = {
  host: 'expected an IPv4 or IPv6 address; names of hosts are not looked up',
  net: 'expected a network such as 10.0.2, 10.0.2.0/24 or fe80::/10; names are not looked up',
  port: 'expected a port of 0 to 65535, or a name such as http or domain',
  portrange: 'expected two ports of 0 to 65535 such as 6000-6008',
  proto: 'expected a protocol by number, or by name behind a backslash such as \\tcp',
};

/** Takes an id and returns its question. `tags` as in filter-questions.ts. Throws a FilterError. */
export function takeId(tokens: Tokens, tags: number, qualifiers: Qualifiers): Node {
  const token = tokens.peek();
  if (token.kind !== 'word' && token.kind !== 'name') throw fault(token, WANTED[qualifiers.type]);
  tokens.take();
  switch (qualifiers.type) {
    case 'proto':
      return protoId(token, tags, qualifiers);
    case 'port':
    case 'portrange':
      return portId(token, tags, qualifiers);
    default:
      return hostId(tokens, token, tags, qualifiers);
  }
}

function protoId(token: Token, tags: number, { protocol }: Qualifiers): Node {
  const number = spelling.parseProtocol(token.text, token.kind === 'name', protocol === 'ether');
  if (number === null) throw fault(token, WANTED.proto);
  if (protocol === 'ether') return ask.etherProto(tags, number);
  return ask.ipProto(tags, protocol === 'ip' || protocol === 'ip6' ? [protocol] : ['ip', 'ip6'], number);
}

function portId(token: Token, tags: number, { protocol, direction, type }: Qualifiers): Node {
  const isName = token.kind === 'name';
  const range =
    type === 'port' ? spelling.parsePort(token.text, isName) : spelling.parsePortRange(token.text, isName);
  if (range === null) throw fault(token, WANTED[type]);
  const said = protocol === 'tcp' || protocol === 'udp' || protocol === 'sctp' ? protocol : null;
  if (said !== null && range.transport !== null && range.transport !== said) {
    throw fault(token, `a port of ${range.transport}: expected one of ${said}`);
  }
  return ask.ports(tags, said ?? range.transport, direction, range.low, range.high);
}

function hostId(tokens: Tokens, token: Token, tags: number, qualifiers: Qualifiers): Node {
  const { protocol, direction, type } = qualifiers;
  const mac = token.kind === 'word' ? spelling.parseMacId(token.text) : null;
  if (protocol === 'ether') {
    if (mac === null) throw fault(token, 'expected a MAC address such as 52:54:00:12:34:56 behind ether');
    return ask.etherHost(direction, mac);
  }
  if (mac !== null) throw fault(token, 'a MAC address: expected ether in front of src, dst or host');
  if (token.kind === 'name') throw fault(token, WANTED[type]);
  if (token.text.includes(':')) return ipv6Id(tokens, token, tags, qualifiers);
  if (protocol === 'ip6') throw fault(token, 'expected an IPv6 address behind ip6');
  const { word, mask } = takeIpv4(tokens, token, type);
  const only = protocol === 'ip' || protocol === 'arp' || protocol === 'rarp' ? protocol : null;
  return ask.ipv4Host(tags, only, direction, word, mask);
}

function ipv6Id(tokens: Tokens, token: Token, tags: number, qualifiers: Qualifiers): Node {
  const { protocol, direction, type } = qualifiers;
  const address = parseIp(token.text);
  if (address === null) throw fault(token, WANTED[type]);
  if (protocol !== null && protocol !== 'ip6')
    throw fault(token, `expected an IPv4 address behind ${protocol}`);
  const bits = tokens.at('/') ? takePrefix(tokens, 128) : 128;
  const words = [address.w0, address.w1, address.w2, address.w3];
  const isOutside = words.some((word, i) => (word & ~ask.prefixMask(bits - 32 * i)) !== 0);
  if (isOutside) throw fault(token, `expected no bits set beyond the first ${bits}`);
  if (type === 'host' && bits !== 128) throw fault(token, 'a network: expected net in front of it');
  return ask.ipv6Host(tags, direction, address, bits);
}

/** An address, or a network by its length, by its mask or by the numbers that are missing. */
function takeIpv4(tokens: Tokens, token: Token, type: IdType): spelling.Dotted {
  const dotted = spelling.parseDotted(token.text);
  const number = dotted === null ? spelling.parseNumber(token.text) : null;
  if (number !== null && tokens.at('/')) {
    throw fault(tokens.peek(), 'expected an address with a dot in front of it, such as 10.0/8');
  }
  if (number !== null) return type === 'net' ? spelling.numberedNet(number) : { word: number | 0, mask: -1 };
  if (dotted === null) throw fault(token, WANTED[type]);
  const isMasked = tokens.at('/') || tokens.word() === 'mask';
  if (!isMasked) return dotted;
  if (type !== 'net') throw fault(token, 'a network: expected net in front of it');
  const mask = tokens.at('/') ? ask.prefixMask(takePrefix(tokens, 32)) : takeMask(tokens);
  if ((dotted.word & ~mask) !== 0) throw fault(token, 'expected no bits set beyond those of the network');
  return { word: dotted.word, mask };
}

/** `/24`: 0..`most`. */
function takePrefix(tokens: Tokens, most: number): number {
  tokens.take();
  const bits = spelling.parseNumber(tokens.word());
  if (bits === null || bits > most) throw fault(tokens.peek(), `expected a length of 0 to ${most} behind /`);
  tokens.take();
  return bits;
}

/** `mask 255.255.255.0`. */
function takeMask(tokens: Tokens): number {
  tokens.take();
  const mask = spelling.parseDotted(tokens.word());
  if (mask === null) throw fault(tokens.peek(), 'expected a mask such as 255.255.255.0');
  tokens.take();
  return mask.word;
}
