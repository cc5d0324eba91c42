// Ranges of addresses that are not to be reached, and who asks about them: the NAT before a flow of a guest, the relay
// before a stream of a page. Asked once for each flow, never for a frame.
//
// An IPv4 address can be written as an IPv6 one in several ways, and some hosts or routers turn it back: 10.0.0.1 is
// denied in whatever form somebody writes it.

import { type IpAddr, ipv4Addr, isIpv4, parseIp } from './addr.ts';

/** The addresses whose first `prefix` bits (0..128) are those of `addr`. An IPv4 prefix counts from 96, see IpAddr. */
export interface AddrRange {
  readonly addr: IpAddr;
  readonly prefix: number;
}

/** Sets of ranges that have a name. */
export const NAMED_RANGES = {
  /** RFC 1918, RFC 4193, the site-local addresses that came before those, RFC 3879; and what else RFC 6890 keeps at home. */
  private: ranges(
    ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', 'fec0::/10'],
    ...['192.0.0.0/24', '198.18.0.0/15', '100::/64'],
  ),
  /** RFC 6598. */
  cgnat: ranges('100.64.0.0/10'),
  /** RFC 3927, RFC 4291 2.5.6. */
  'link-local': ranges('169.254.0.0/16', 'fe80::/10'),
  /** Services of clouds that hand out the host's credentials, by the addresses that their documentation names. */
  metadata: ranges(
    ...['169.254.169.254/32', '168.63.129.16/32', '100.100.100.200/32', '192.0.0.192/32'],
    ...['fd00:ec2::254/128', 'fd20:ce::254/128'],
  ),
  /** RFC 1122 3.2.1.3, RFC 4291 2.5.2 and 2.5.3. The unspecified addresses too: connect() takes them for loopback. */
  loopback: ranges('127.0.0.0/8', '0.0.0.0/8', '::1/128', '::/128'),
} as const satisfies Record<string, readonly AddrRange[]>;
export type RangeName = keyof typeof NAMED_RANGES;
export const rangeNames = Object.keys(NAMED_RANGES) as readonly RangeName[];

export function isRangeName(text: string): text is RangeName {
  return Object.hasOwn(NAMED_RANGES, text);
}

/**
 * Groups and what is reserved, which no connection can have at its other end, RFC 1112, RFC 4291 2.7; and a network's own
 * NAT64 prefix, RFC 8215, in which nobody else can tell where the IPv4 address is.
 */
const NO_HOST = ranges('224.0.0.0/3', 'ff00::/8', '64:ff9b:1::/48');

function ranges(...texts: readonly string[]): readonly AddrRange[] {
  return texts.map((text) => {
    const [address = '', bits = ''] = text.split('/');
    const addr = parseIp(address)!;
    return { addr, prefix: Number(bits) + (isIpv4(addr) ? 96 : 0) };
  });
}

/** A set of ranges. */
export class Ranges {
  private readonly all: readonly AddrRange[];

  constructor(...lists: readonly (readonly AddrRange[])[]) {
    this.all = lists.flat();
  }

  /** Is `addr` in it, or the IPv4 address that it stands for? */
  has(addr: IpAddr): boolean {
    if (this.all.some((range) => isWithin(addr, range))) return true;
    const word = embeddedIpv4(addr);
    if (word === null) return false;
    const inner = ipv4Addr(word);
    return this.all.some((range) => isWithin(inner, range));
  }
}

function isWithin(addr: IpAddr, { addr: first, prefix }: AddrRange): boolean {
  return (
    sameBits(addr.w0, first.w0, prefix) &&
    sameBits(addr.w1, first.w1, prefix - 32) &&
    sameBits(addr.w2, first.w2, prefix - 64) &&
    sameBits(addr.w3, first.w3, prefix - 96)
  );
}

/** Are the first `bits` bits of two words the same? All of them for 32 and more, none for 0 and less. */
function sameBits(a: number, b: number, bits: number): boolean {
  return bits <= 0 || (a ^ b) >>> Math.max(32 - bits, 0) === 0;
}

/** The word of the IPv4 address that an IPv6 address has in it, or null. */
function embeddedIpv4({ w0, w1, w2, w3 }: IpAddr): number | null {
  // 6to4, RFC 3056 2: 2002:a.b.c.d::/48.
  if (w0 >>> 16 === 0x2002) return (w0 << 16) | (w1 >>> 16);
  // NAT64, RFC 6052 2.1: 64:ff9b::a.b.c.d.
  if (w0 === 0x0064ff9b && w1 === 0 && w2 === 0) return w3;
  // Teredo, RFC 4380 4: the client's address, every bit inverted.
  if (w0 === 0x20010000) return ~w3;
  // ISATAP, RFC 5214 6.1: whatever prefix, then 0:5efe:a.b.c.d or 200:5efe:a.b.c.d.
  if ((w2 & ~0x02000000) >>> 0 === 0x00005efe) return w3;
  // IPv4-translated, RFC 2765 2.1: ::ffff:0:a.b.c.d.
  if (w0 === 0 && w1 === 0 && w2 >>> 0 === 0xffff0000) return w3;
  // IPv4-compatible, RFC 4291 2.5.5.1: ::a.b.c.d; not :: and ::1, which are addresses of their own.
  if (w0 === 0 && w1 === 0 && w2 === 0 && w3 >>> 0 > 1) return w3;
  return null;
}

/** What of a network's settings says which addresses of the host's world may be reached. */
export interface HostRules {
  readonly deny: readonly AddrRange[];
  readonly hostLoopback: boolean;
  readonly linkLocal: boolean;
}

/** Judges addresses as the host would connect to them: those that a name was resolved to, not the name. */
export class HostJudge {
  private readonly denied: Ranges;

  constructor({ deny, hostLoopback, linkLocal }: HostRules) {
    const { metadata, loopback, 'link-local': linkLocals } = NAMED_RANGES;
    this.denied = new Ranges(
      ...[NO_HOST, metadata, deny],
      ...[hostLoopback ? [] : loopback, linkLocal ? [] : linkLocals],
    );
  }

  /** May it be connected to? */
  allows(addr: IpAddr): boolean {
    return !this.denied.has(addr);
  }
}
