// Addresses inside the engine: an IP address is four 32-bit words (IPv4 mapped, RFC 4291 2.5.5.2), a MAC is its upper
// 16 bits and its lower 32. Words are signed (`| 0`); text exists at the edges only.

/** An IP address in network order, four signed 32-bit words. IPv4 is ::ffff:a.b.c.d. */
export interface IpAddr {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
}

/** One end of a conversation. `port` is 0..65535. */
export interface Endpoint {
  readonly addr: IpAddr;
  readonly port: number;
}

/** A MAC address: `hi` the first two bytes (0..0xffff), `lo` the last four as a signed word. */
export interface Mac {
  readonly hi: number;
  readonly lo: number;
}

const MAPPED = 0xffff;

/** The address of an IPv4 word. */
export function ipv4Addr(word: number): IpAddr {
  return { w0: 0, w1: 0, w2: MAPPED, w3: word | 0 };
}

export function isIpv4(a: IpAddr): boolean {
  return a.w0 === 0 && a.w1 === 0 && a.w2 === MAPPED;
}

export function sameAddr(a: IpAddr, b: IpAddr): boolean {
  return a.w3 === b.w3 && a.w2 === b.w2 && a.w1 === b.w1 && a.w0 === b.w0;
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && sameAddr(a.addr, b.addr);
}

/** The word of dotted text, or null. Four decimal numbers of 0..255 without leading zeros, nothing else. */
export function parseIpv4Word(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let word = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part)) return null;
    const n = Number(part);
    if (n > 255) return null;
    word = (word << 8) | n;
  }
  return word;
}

/** The address of dotted or colon text (RFC 4291 2.2, no zone, no prefix), or null. */
export function parseIp(text: string): IpAddr | null {
  if (!text.includes(':')) {
    const word = parseIpv4Word(text);
    return word === null ? null : ipv4Addr(word);
  }
  const groups = ipv6Groups(text);
  if (groups === null) return null;
  const at = (i: number): number => (groups[i]! << 16) | groups[i + 1]! | 0;
  return { w0: at(0), w1: at(2), w2: at(4), w3: at(6) };
}

function ipv6Groups(text: string): number[] | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  // RFC 4291 2.2 (3): dotted text stands for the last 32 bits and nowhere else.
  const head = groupsOf(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function groupsOf(text: string, isLast: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (isLast && i === parts.length - 1 && part.includes('.')) {
      const word = parseIpv4Word(part);
      if (word === null) return null;
      groups.push(word >>> 16, word & 0xffff);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}

export function formatIpv4Word(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
}

/** Dotted for IPv4, RFC 5952 otherwise. */
export function formatIp(a: IpAddr): string {
  if (isIpv4(a)) return formatIpv4Word(a.w3);
  const groups = [a.w0, a.w1, a.w2, a.w3].flatMap((w) => [w >>> 16, w & 0xffff]);
  const hex = groups.map((g) => g.toString(16));
  const [from, length] = longestZeroRun(groups);
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, from).join(':')}::${hex.slice(from + length).join(':')}`;
}

function longestZeroRun(groups: readonly number[]): [number, number] {
  let best: [number, number] = [0, 0];
  for (let i = 0; i < groups.length; i++) {
    let n = 0;
    while (groups[i + n] === 0) n++;
    if (n > best[1]) best = [i, n];
  }
  return best;
}

/** `10.0.2.15:80`, `[fe80::1]:80`. */
export function formatEndpoint(e: Endpoint): string {
  return isIpv4(e.addr) ? `${formatIp(e.addr)}:${e.port}` : `[${formatIp(e.addr)}]:${e.port}`;
}

export function formatMac(hi: number, lo: number): string {
  const bytes = [hi >>> 8, hi & 255, lo >>> 24, (lo >>> 16) & 255, (lo >>> 8) & 255, lo & 255];
  return bytes.map((b) => b.toString(16).padStart(2, '0')).join(':');
}

/** Six hexadecimal bytes with colons or dashes, or null. */
export function parseMac(text: string): Mac | null {
  if (!/^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/.test(text)) return null;
  const bytes = text.split(/[:-]/).map((part) => Number.parseInt(part, 16));
  return {
    hi: (bytes[0]! << 8) | bytes[1]!,
    lo: (bytes[2]! << 24) | (bytes[3]! << 16) | (bytes[4]! << 8) | bytes[5]!,
  };
}
