// What each word of the filter language asks of a frame. The order of the questions is libpcap's: it decides about frames
// that were cut short (filter-program.ts). What libpcap asks twice in a row is asked once.
//
// `tags` is how many `vlan` words stood before this one in the text. pcap-filter(7): each of them moves everything
// behind the MAC addresses on by the four bytes of a tag, for the rest of the text, whatever and, or and not say.

import type { IpAddr, Mac } from '../base/addr.ts';
import { EtherType } from '../wire/ethernet.ts';
import type { Node, Question, Relation } from './filter-program.ts';

export type Direction = 'src' | 'dst' | 'src or dst' | 'src and dst';
export type Family = 'ip' | 'ip6';

/** RFC 903. */
const RARP = 0x8035;

/** What `tcp`, `arp` and their like stand for: an EtherType, or a protocol in IPv4, in IPv6 or in both. */
export const PROTOCOLS = {
  ip: { etherType: EtherType.Ipv4 },
  ip6: { etherType: EtherType.Ipv6 },
  arp: { etherType: EtherType.Arp },
  rarp: { etherType: RARP },
  icmp: { number: 1, families: ['ip'] },
  igmp: { number: 2, families: ['ip'] },
  tcp: { number: 6, families: ['ip', 'ip6'] },
  udp: { number: 17, families: ['ip', 'ip6'] },
  esp: { number: 50, families: ['ip', 'ip6'] },
  ah: { number: 51, families: ['ip', 'ip6'] },
  icmp6: { number: 58, families: ['ip6'] },
  pim: { number: 103, families: ['ip', 'ip6'] },
  vrrp: { number: 112, families: ['ip'] },
  sctp: { number: 132, families: ['ip', 'ip6'] },
} as const satisfies Record<string, { etherType: number } | { number: number; families: readonly Family[] }>;

/** A protocol with ports. `port 80` alone asks for each of them, in this order. */
export type Transport = 'sctp' | 'tcp' | 'udp';
const TRANSPORTS: readonly Transport[] = ['sctp', 'tcp', 'udp'];

const DST_MAC = 0;
const SRC_MAC = 6;
/** The EtherType's offset and the payload's, without tags. */
const ETHER_TYPE = 12;
const PAYLOAD = 14;
const TAG_LEN = 4;

const IPV6_HEADER_LEN = 40;
const IPV6_FRAGMENT = 44;
const FRAGMENT_OFFSET = 0x1fff;

/** Up to here the type field is a length and an LLC header follows. IEEE 802.3 3.2.6. */
const MAX_LENGTH = 1500;

function ask(
  at: number,
  size: 0 | 1 | 2 | 4,
  relation: Relation,
  value: number,
  more: Partial<Question> = {},
): Node {
  return { kind: 'question', question: { at, size, behind: -1, mask: -1, relation, value, ...more } };
}

function is(at: number, size: 1 | 2 | 4, value: number): Node {
  return ask(at, size, 'is', size === 4 ? value | 0 : value);
}

export function not(of: Node): Node {
  return { kind: 'not', of };
}

function join(kind: 'and' | 'or', nodes: readonly Node[]): Node {
  return nodes.reduce((left, right) => ({ kind, left, right }));
}

/** Of at least one. */
const all = (...nodes: Node[]): Node => join('and', nodes);
const any = (...nodes: Node[]): Node => join('or', nodes);

function eachWay(direction: Direction, src: Node, dst: Node): Node {
  if (direction === 'src') return src;
  if (direction === 'dst') return dst;
  return direction === 'src or dst' ? any(src, dst) : all(src, dst);
}

function etherType(tags: number, type: number): Node {
  return is(ETHER_TYPE + TAG_LEN * tags, 2, type);
}

export function protocol(tags: number, name: keyof typeof PROTOCOLS): Node {
  const of = PROTOCOLS[name];
  if ('etherType' in of) return etherType(tags, of.etherType);
  return ipProto(tags, of.families, of.number);
}

/** `ip proto 6`, `ip6 proto 6`, `proto 6`. In IPv6 a fragment header is looked behind, and no other one. */
export function ipProto(tags: number, families: readonly Family[], number: number): Node {
  const ip = PAYLOAD + TAG_LEN * tags;
  const ways = families.map((family) => {
    if (family === 'ip') return all(etherType(tags, EtherType.Ipv4), is(ip + 9, 1, number));
    const fragment = all(is(ip + 6, 1, IPV6_FRAGMENT), is(ip + IPV6_HEADER_LEN, 1, number));
    return all(etherType(tags, EtherType.Ipv6), any(is(ip + 6, 1, number), fragment));
  });
  return any(...ways);
}

/** `ether proto`: an EtherType; up to 1500 the LLC header's access point; three protocols travel in both ways. */
export function etherProto(tags: number, number: number): Node {
  const llc = PAYLOAD + TAG_LEN * tags;
  const hasLlc = not(ask(ETHER_TYPE + TAG_LEN * tags, 2, 'above', MAX_LENGTH));
  const snap = (organisation: number, type: number): Node =>
    all(
      is(llc + 4, 4, ((organisation & 0xffff) << 16) | type),
      is(llc, 4, 0xaaaa0300 | (organisation >>> 16)),
    );
  switch (number) {
    case 0x06: // IP, ISO, NetBEUI: both access points
    case 0xfe:
    case 0xf0:
      return all(hasLlc, is(llc, 2, (number << 8) | number));
    case 0xe0: // IPX
      return any(
        etherType(tags, 0x8137),
        all(hasLlc, any(snap(0, 0x8137), is(llc, 1, 0xe0), is(llc, 2, 0xffff))),
      );
    case 0x809b: // AppleTalk
      return any(etherType(tags, number), all(hasLlc, snap(0x080007, number)));
    case 0x80f3: // AppleTalk's ARP
      return any(etherType(tags, number), all(hasLlc, snap(0, number)));
    default:
      return number <= MAX_LENGTH ? all(hasLlc, is(llc, 1, number)) : etherType(tags, number);
  }
}

/** The MAC addresses are in front of every tag. */
export function etherHost(direction: Direction, mac: Mac): Node {
  const at = (off: number): Node => all(is(off + 2, 4, mac.lo), is(off, 2, mac.hi));
  return eachWay(direction, at(SRC_MAC), at(DST_MAC));
}

export function etherBroadcast(): Node {
  return etherHost('dst', { hi: 0xffff, lo: -1 });
}

export function etherMulticast(): Node {
  return ask(DST_MAC, 1, 'set', 1);
}

export function ipMulticast(tags: number): Node {
  const dst = PAYLOAD + TAG_LEN * tags + 16;
  return all(etherType(tags, EtherType.Ipv4), ask(dst, 1, 'atLeast', 224));
}

/** All ones and all zeros. A file does not tell the mask of the network, so there is no more to know. */
export function ipBroadcast(tags: number): Node {
  const dst = PAYLOAD + TAG_LEN * tags + 16;
  return all(etherType(tags, EtherType.Ipv4), any(is(dst, 4, 0), is(dst, 4, -1)));
}

export function ip6Multicast(tags: number): Node {
  const dst = PAYLOAD + TAG_LEN * tags + 24;
  return all(etherType(tags, EtherType.Ipv6), is(dst, 1, 0xff));
}

/** Where IPv4 addresses lie behind the Ethernet header. In ARP: the sender's and the target's, RFC 826 for Ethernet. */
const ADDRESSES = {
  ip: { type: EtherType.Ipv4, src: 12, dst: 16 },
  arp: { type: EtherType.Arp, src: 14, dst: 24 },
  rarp: { type: RARP, src: 14, dst: 24 },
} as const;

export type AddressProtocol = keyof typeof ADDRESSES;

/** An IPv4 address or network; without `only` in all three protocols. */
export function ipv4Host(
  tags: number,
  only: AddressProtocol | null,
  direction: Direction,
  address: number,
  mask: number,
): Node {
  const payload = PAYLOAD + TAG_LEN * tags;
  const names: readonly AddressProtocol[] = only === null ? ['ip', 'arp', 'rarp'] : [only];
  const ways = names.map((name) => {
    const { type, src, dst } = ADDRESSES[name];
    const at = (off: number): Node[] => word(payload + off, address, mask);
    return addressed(etherType(tags, type), direction, at(src), at(dst));
  });
  return any(...ways);
}

export function ipv6Host(tags: number, direction: Direction, address: IpAddr, bits: number): Node {
  const payload = PAYLOAD + TAG_LEN * tags;
  const words = [address.w0, address.w1, address.w2, address.w3];
  const at = (off: number): Node[] =>
    words.flatMap((w, i) => word(payload + off + 4 * i, w, prefixMask(bits - 32 * i)));
  return addressed(etherType(tags, EtherType.Ipv6), direction, at(8), at(24));
}

/** `src` and `dst` are both empty for the network of all addresses. */
function addressed(type: Node, direction: Direction, src: readonly Node[], dst: readonly Node[]): Node {
  return src.length === 0 ? type : all(type, eachWay(direction, all(...src), all(...dst)));
}

/** No question where the mask is empty: what tcpdump's optimizer makes of it, and there need not be such bytes. */
function word(at: number, value: number, mask: number): Node[] {
  return mask === 0 ? [] : [ask(at, 4, 'is', value | 0, { mask })];
}

/** Mask of the first `bits` of a word, signed; any number below 0 is 0 and above 32 is 32. */
export function prefixMask(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : ~(0xffffffff >>> bits);
}

/**
 * A port from `low` to `high`. Behind an IPv4 header with options, in the first fragment only; in IPv6 right behind the
 * fixed header, and nowhere else.
 */
export function ports(
  tags: number,
  transport: Transport | null,
  direction: Direction,
  low: number,
  high: number,
): Node {
  const ip = PAYLOAD + TAG_LEN * tags;
  const numbers = (transport === null ? TRANSPORTS : [transport]).map((name) => PROTOCOLS[name].number);
  const inRange = (at: number, behind: number): Node => {
    if (low === high) return ask(at, 2, 'is', low, { behind });
    return all(ask(at, 2, 'atLeast', low, { behind }), not(ask(at, 2, 'above', high, { behind })));
  };
  const isOneOf = (at: number): Node => any(...numbers.map((number) => is(at, 1, number)));
  const behindIpv6 = ip + IPV6_HEADER_LEN;
  return any(
    all(
      etherType(tags, EtherType.Ipv6),
      isOneOf(ip + 6),
      eachWay(direction, inRange(behindIpv6, -1), inRange(behindIpv6 + 2, -1)),
    ),
    all(
      etherType(tags, EtherType.Ipv4),
      isOneOf(ip + 9),
      not(ask(ip + 6, 2, 'set', FRAGMENT_OFFSET)),
      eachWay(direction, inRange(ip, ip), inRange(ip + 2, ip)),
    ),
  );
}

/** Is there a tag, of the network `id` if that is not null? IEEE 802.1Q 9.6; 0x9100 is an old type of outer tags. */
export function vlan(tags: number, id: number | null): Node {
  const tag = any(
    etherType(tags, EtherType.Vlan),
    etherType(tags, EtherType.VlanProvider),
    etherType(tags, 0x9100),
  );
  return id === null ? tag : all(tag, ask(PAYLOAD + TAG_LEN * tags, 2, 'is', id, { mask: 0xfff }));
}

/** The length on the wire, at most. */
export function less(length: number): Node {
  return not(ask(0, 0, 'above', length));
}

/** The length on the wire, at least. */
export function greater(length: number): Node {
  return ask(0, 0, 'atLeast', length);
}
