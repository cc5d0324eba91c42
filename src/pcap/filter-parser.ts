// The grammar of pcap-filter(7), as far as Ethernet goes.
//
//   expression  item, then `and` or `or` and an item, again and again: both bind alike, from left to right
//   item        `not` item | ( expression ) | a primitive | an id
//   primitive   qualifiers and their id (`tcp dst port 80`), or a word that needs none (`arp`, `broadcast`, `vlan`)
//
// An id alone takes the qualifiers of the item before it: `tcp port 80 or 443`. After a group these are what they were
// in front of it; after a primitive without an id there are none. Some groups that libpcap refuses, `((10.0.2.2))` or
// `host 10.0.2.2 and (10.0.2.3 or tcp)`, are taken here; what both take means the same.

import { type IdType, type Protocol, type Qualifiers, takeId } from './filter-ids.ts';
import type { Node } from './filter-program.ts';
import * as ask from './filter-questions.ts';
import { parseNumber } from './filter-spelling.ts';
import { fault, Tokens } from './filter-tokens.ts';

/** Groups inside groups. */
const MAX_DEPTH = 64;
const MAX_VLAN = 4095;

interface Item {
  readonly node: Node;
  /** For the ids that follow; null where an id cannot follow. */
  readonly qualifiers: Qualifiers | null;
}

const ID_TYPES: readonly string[] = ['host', 'net', 'port', 'portrange'] satisfies IdType[];
const CASTS: readonly string[] = ['broadcast', 'multicast'];
/** What may stand behind a protocol's word: no word is both a qualifier and a primitive. */
const QUALIFIERS: readonly string[] = ['src', 'dst', 'proto', ...ID_TYPES, ...CASTS];

/** Which of them do. */
const BEHIND: Readonly<Partial<Record<Protocol, readonly string[]>>> = {
  ether: ['src', 'dst', 'host', 'proto', 'broadcast', 'multicast'],
  ip: ['src', 'dst', 'host', 'net', 'proto', 'broadcast', 'multicast'],
  ip6: ['src', 'dst', 'host', 'net', 'proto', 'multicast'],
  arp: ['src', 'dst', 'host', 'net'],
  rarp: ['src', 'dst', 'host', 'net'],
  tcp: ['src', 'dst', 'port', 'portrange'],
  udp: ['src', 'dst', 'port', 'portrange'],
  sctp: ['src', 'dst', 'port', 'portrange'],
};

/** Words of other media, of other layers, and of what a capture file does not tell. */
const REFUSED: ReadonlySet<string> = new Set([
  ...[
    'gateway',
    'protochain',
    'byte',
    'len',
    'length',
    'inbound',
    'outbound',
    'ifindex',
    'mpls',
    'pppoed',
    'pppoes',
  ],
  ...[
    'geneve',
    'vxlan',
    'batadv',
    'llc',
    'fddi',
    'tr',
    'wlan',
    'ppp',
    'slip',
    'radio',
    'igrp',
    'carp',
    'atalk',
  ],
  ...[
    'aarp',
    'decnet',
    'lat',
    'sca',
    'moprc',
    'mopdl',
    'iso',
    'clnp',
    'esis',
    'isis',
    'stp',
    'ipx',
    'netbeui',
  ],
  ...['type', 'subtype', 'dir', 'direction', 'addr1', 'addr2', 'addr3', 'addr4', 'ra', 'ta', 'on', 'ifname'],
  ...['rset', 'ruleset', 'rnr', 'rulenum', 'srnr', 'subrulenum', 'reason', 'action', 'vpi', 'vci', 'lane'],
]);

/** null for a text without words, which matches every frame. Throws a FilterError. */
export function parse(text: string): Node | null {
  return new Parser(new Tokens(text)).parse();
}

class Parser {
  private readonly tokens: Tokens;
  private depth = 0;
  /** `vlan` words so far. */
  private tags = 0;

  constructor(tokens: Tokens) {
    this.tokens = tokens;
  }

  parse(): Node | null {
    const { tokens } = this;
    if (tokens.at('end')) return null;
    const { node } = this.expression(null, false);
    if (!tokens.at('end')) throw fault(tokens.peek(), 'expected and, or, or the end');
    return node;
  }

  private expression(qualifiers: Qualifiers | null, idsOnly: boolean): Item {
    const { tokens } = this;
    let left = this.item(qualifiers, idsOnly);
    while (tokens.at('and') || tokens.at('or')) {
      const kind = tokens.take().kind === 'and' ? 'and' : 'or';
      const right = this.item(left.qualifiers, idsOnly);
      left = { node: { kind, left: left.node, right: right.node }, qualifiers: right.qualifiers };
    }
    return left;
  }

  /** `idsOnly`: behind qualifiers, where a group has no others. */
  private item(qualifiers: Qualifiers | null, idsOnly: boolean): Item {
    let isNegated = false;
    while (this.tokens.at('not')) {
      this.tokens.take();
      isNegated = !isNegated;
    }
    const item = this.tokens.at('(') ? this.group(qualifiers, idsOnly) : this.single(qualifiers, idsOnly);
    return isNegated ? { ...item, node: ask.not(item.node) } : item;
  }

  private group(qualifiers: Qualifiers | null, idsOnly: boolean): Item {
    const { tokens } = this;
    const open = tokens.take();
    if (++this.depth > MAX_DEPTH) throw fault(open, `expected at most ${MAX_DEPTH} groups inside each other`);
    const { node } = this.expression(qualifiers, idsOnly);
    if (!tokens.at(')')) throw fault(tokens.peek(), 'expected and, or, or )');
    tokens.take();
    this.depth--;
    return { node, qualifiers };
  }

  private single(qualifiers: Qualifiers | null, idsOnly: boolean): Item {
    const primitive = idsOnly ? null : this.primitive();
    if (primitive !== null) return primitive;
    if (qualifiers === null) {
      throw fault(this.tokens.peek(), 'expected a word such as host, net, port, tcp, arp, not or (');
    }
    return { node: takeId(this.tokens, this.tags, qualifiers), qualifiers };
  }

  /** null where the next token begins none. */
  private primitive(): Item | null {
    const word = this.tokens.word();
    if (REFUSED.has(word)) throw fault(this.tokens.peek(), 'a word of tcpdump that is not supported here');
    const protocol = word === 'link' ? 'ether' : word;
    if (isProtocol(protocol)) return this.protocol(protocol);
    if (CASTS.includes(word)) return this.cast(null);
    if (QUALIFIERS.includes(word)) return this.qualified(null);
    if (word === 'vlan') return this.vlan();
    return word === 'less' || word === 'greater' ? this.length() : null;
  }

  /** `tcp` alone, or what begins with it. */
  private protocol(protocol: Protocol): Item {
    const { tokens } = this;
    tokens.take();
    const word = tokens.word();
    const behind = BEHIND[protocol] ?? [];
    const isQualifier = QUALIFIERS.includes(word);
    if (isQualifier && behind.includes(word)) {
      return CASTS.includes(word) ? this.cast(protocol) : this.qualified(protocol);
    }
    if (isQualifier || protocol === 'ether') {
      const expected = behind.length === 0 ? 'no qualifier' : `one of ${behind.join(', ')}`;
      throw fault(tokens.peek(), `expected ${expected} behind ${protocol}`);
    }
    return { node: ask.protocol(this.tags, protocol), qualifiers: null };
  }

  /** `broadcast` and `multicast`. */
  private cast(protocol: Protocol | null): Item {
    const isMulticast = this.tokens.take().text === 'multicast';
    let node: Node;
    if (protocol === 'ip') node = isMulticast ? ask.ipMulticast(this.tags) : ask.ipBroadcast(this.tags);
    else if (protocol === 'ip6') node = ask.ip6Multicast(this.tags);
    else node = isMulticast ? ask.etherMulticast() : ask.etherBroadcast();
    return { node, qualifiers: null };
  }

  private vlan(): Item {
    const { tokens } = this;
    tokens.take();
    const id = parseNumber(tokens.word());
    if (id !== null && id > MAX_VLAN) throw fault(tokens.peek(), `expected a VLAN of 0 to ${MAX_VLAN}`);
    if (id !== null) tokens.take();
    return { node: ask.vlan(this.tags++, id), qualifiers: null };
  }

  private length(): Item {
    const { tokens } = this;
    const word = tokens.take().text;
    const bytes = parseNumber(tokens.word());
    if (bytes === null) throw fault(tokens.peek(), `expected a number of bytes behind ${word}`);
    tokens.take();
    return { node: word === 'less' ? ask.less(bytes) : ask.greater(bytes), qualifiers: null };
  }

  /** Direction, type and the id behind them, or a group of ids. */
  private qualified(protocol: Protocol | null): Item {
    if (this.tokens.word() === 'proto') {
      this.tokens.take();
      return this.item({ protocol, direction: 'src or dst', type: 'proto' }, true);
    }
    const direction = this.direction();
    return this.item({ protocol, direction, type: this.idType(protocol) }, true);
  }

  private direction(): ask.Direction {
    const { tokens } = this;
    const word = tokens.word();
    if (word !== 'src' && word !== 'dst') return 'src or dst';
    tokens.take();
    if (!tokens.at('and') && !tokens.at('or')) return word;
    const { kind } = tokens.take();
    const other = word === 'src' ? 'dst' : 'src';
    if (tokens.word() !== other)
      throw fault(tokens.peek(), `expected ${other}, as in ${word} ${kind} ${other}`);
    tokens.take();
    return kind === 'and' ? 'src and dst' : 'src or dst';
  }

  /** `host` where nothing is said. */
  private idType(protocol: Protocol | null): IdType {
    const { tokens } = this;
    const word = tokens.word();
    const behind = protocol === null ? ID_TYPES : (BEHIND[protocol] ?? []);
    const type = isIdType(word) ? word : 'host';
    if (!behind.includes(type)) {
      const types = behind.filter(isIdType).join(' or ');
      throw fault(tokens.peek(), `expected ${types} behind ${protocol} and its direction`);
    }
    if (isIdType(word)) tokens.take();
    return type;
  }
}

function isProtocol(word: string): word is Protocol {
  return word === 'ether' || Object.hasOwn(ask.PROTOCOLS, word);
}

function isIdType(word: string): word is IdType {
  return ID_TYPES.includes(word);
}
