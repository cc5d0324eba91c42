// The checks that parseConfig() is made of: each takes the path of a setting and what the user said, and returns it as
// the engine wants it or throws the ConfigError. ip-num judges addresses and prefixes; its objects stay in this folder.

import { IPv4, IPv4CidrRange, IPv4Mask, IPv6 } from 'ip-num';
import type { Endpoint, IpAddr } from '../base/addr.ts';
import { ipv4Addr, isIpv4 } from '../base/addr.ts';

/** Names the setting and the reason: `gateway: 10.0.3.2 is not in 10.0.2.0/24`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly path: string;
  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.path = path;
  }
}

/** The guests' network. Addresses are unsigned here, so that they compare. */
export interface Subnet {
  readonly range: IPv4CidrRange;
  readonly first: number;
  readonly broadcast: number;
  readonly prefix: number;
  /** `10.0.2.0/24`. */
  readonly text: string;
}

const MIN_PREFIX = 8;
const MAX_PREFIX = 30;

/** `value` as an object that has no keys but `keys`. */
export function objectOf<T extends object>(path: string, value: unknown, keys: Record<keyof T, true>): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(path === '' ? 'config' : path, 'is not an object');
  }
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(keys, key)) throw new ConfigError(join(path, key), 'no such setting');
  }
  return value as T;
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

export function listOf(path: string, value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new ConfigError(path, 'is not a list');
  return value;
}

export function flag(path: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') throw new ConfigError(path, 'is neither true nor false');
  return value;
}

/** A whole number of min..max. */
export function integer(path: string, value: unknown, min: number, max: number, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw new ConfigError(path, `${show(value)} is not a whole number`);
  }
  if (value < min) throw new ConfigError(path, `${value} is below ${min}`);
  if (value > max) throw new ConfigError(path, `${value} is above ${max}`);
  return value;
}

export function powerOfTwo(path: string, value: unknown, min: number, max: number, fallback: number): number {
  const n = integer(path, value, min, max, fallback);
  if ((n & (n - 1)) !== 0) throw new ConfigError(path, `${n} is not a power of two`);
  return n;
}

/** 1 to `max` characters of ASCII that can be seen, or null when nothing was said. */
export function word(path: string, value: unknown, max: number): string | null {
  if (value === undefined) return null;
  if (typeof value !== 'string') throw new ConfigError(path, 'is not text');
  if (value === '') throw new ConfigError(path, 'is empty');
  if (value.length > max) throw new ConfigError(path, `is ${value.length} characters long, at most ${max}`);
  if (!/^[\x21-\x7e]+$/.test(value)) throw new ConfigError(path, `${show(value)} is not plain ASCII`);
  return value;
}

/** A domain name as RFC 1035 3.1 can hold it: labels of 1 to 63 characters, 253 in all. */
export function domain(path: string, value: unknown): string {
  const name = (word(path, value, 254) ?? '').replace(/\.$/, '');
  if (name.length > 253) throw new ConfigError(path, `is ${name.length} characters long, at most 253`);
  if (!/^[\w-]{1,63}(\.[\w-]{1,63})*$/.test(name))
    throw new ConfigError(path, `${show(value)} is not a domain name`);
  return name;
}

/** An IPv4 address, unsigned. */
export function ipv4(path: string, value: unknown): number {
  try {
    return Number(new IPv4(String(value)).value);
  } catch {
    throw new ConfigError(path, `${show(value)} is not an IPv4 address`);
  }
}

/** An address of either family, without a zone. */
export function ip(path: string, value: unknown): IpAddr {
  if (typeof value === 'string' && value.includes(':')) return ipv6(path, value);
  return ipv4Addr(ipv4(path, value));
}

function ipv6(path: string, value: string): IpAddr {
  try {
    if (value.includes('%')) throw new Error('a zone has no meaning here');
    const bits = new IPv6(value).value;
    const at = (shift: bigint): number => Number((bits >> shift) & 0xffffffffn) | 0;
    return { w0: at(96n), w1: at(64n), w2: at(32n), w3: at(0n) };
  } catch {
    throw new ConfigError(path, `${show(value)} is not an IP address`);
  }
}

/** A prefix of /8 to /30 without host bits, where guests can be. */
export function subnet(path: string, value: unknown): Subnet {
  const range = cidr(path, value);
  const text = String(value);
  const prefix = Number(range.cidrPrefix.value);
  if (prefix < MIN_PREFIX || prefix > MAX_PREFIX) {
    throw new ConfigError(path, `/${prefix} is not within /${MIN_PREFIX} to /${MAX_PREFIX}`);
  }
  const canonical = `${range.getFirst().toString()}/${prefix}`;
  if (canonical !== text) throw new ConfigError(path, `${text} has host bits; the network is ${canonical}`);
  const first = Number(range.getFirst().value);
  // RFC 1122 3.2.1.3: 0/8, 127/8 and everything from 224/4 on are no addresses of hosts on a network.
  const net = first >>> 24;
  if (net === 0 || net === 127 || net >= 224) throw new ConfigError(path, `${text} cannot hold guests`);
  return { range, first, broadcast: Number(range.getLast().value), prefix, text };
}

function cidr(path: string, value: unknown): IPv4CidrRange {
  try {
    return IPv4CidrRange.fromCidr(String(value));
  } catch {
    throw new ConfigError(path, `${show(value)} is not a prefix like 10.0.2.0/24`);
  }
}

/** The prefix length of a dotted mask. */
export function maskOf(path: string, value: string): number {
  try {
    return Number(new IPv4Mask(value).prefix);
  } catch {
    throw new ConfigError(path, `${show(value)} is not a mask like 255.255.255.0`);
  }
}

/** An address that a host of `net` can have, unsigned. */
export function hostOf(path: string, value: unknown, net: Subnet): number {
  const address = ipv4(path, value);
  if (!net.range.contains(new IPv4(String(value)))) {
    throw new ConfigError(path, `${value} is not in ${net.text}`);
  }
  if (address === net.first)
    throw new ConfigError(path, `${value} is the address of the network ${net.text}`);
  if (address === net.broadcast)
    throw new ConfigError(path, `${value} is the broadcast address of ${net.text}`);
  return address;
}

/** `127.0.0.1:2222`, `[::1]:2222`, or a port alone, which binds 127.0.0.1. Port 0 lets the host choose. */
export function hostEndpoint(path: string, value: unknown): Endpoint {
  const [address, portText] = splitEndpoint(path, value);
  return { addr: ip(path, address ?? '127.0.0.1'), port: port(path, portText, 0) };
}

/** A name server: an address with or without a port, which is 53 then. */
export function resolver(path: string, value: unknown, net: Subnet): Endpoint {
  const bare = /^[^:]*$|^(?!\[).*:.*:/.test(String(value));
  const at = bare ? { addr: ip(path, value), port: 53 } : hostEndpoint(path, value);
  if (at.port === 0) throw new ConfigError(path, 'port 0 is not within 1 to 65535');
  const word = at.addr.w3 >>> 0;
  if (isIpv4(at.addr) && word >= net.first && word <= net.broadcast) {
    throw new ConfigError(path, `${value} is in the guests' network ${net.text}, not in the host's world`);
  }
  return at;
}

/** `10.0.2.15:22`, or a port alone, which leads to `fallback`. */
export function guestEndpoint(
  path: string,
  value: unknown,
  net: Subnet,
  fallback: number,
): { readonly address: number; readonly port: number } {
  const [address, portText] = splitEndpoint(path, value);
  return { address: address === null ? fallback : hostOf(path, address, net), port: port(path, portText, 1) };
}

function splitEndpoint(path: string, value: unknown): [string | null, string] {
  const parts = /^(?:(?:\[([^\]]*:[^\]]*)\]|([^:[\]]+)):)?(\d+)$/.exec(String(value));
  if (parts === null) throw new ConfigError(path, `${show(value)} is neither ADDRESS:PORT nor PORT`);
  return [parts[1] ?? parts[2] ?? null, parts[3]!];
}

function port(path: string, text: string, min: number): number {
  const n = Number(text);
  if (n < min || n > 65535) throw new ConfigError(path, `port ${text} is not within ${min} to 65535`);
  return n;
}

/** What the user said, short enough for one line. */
export function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
