// What a user may say of addresses that guests do not reach, checked.

import { IPv4CidrRange, IPv6CidrRange } from 'ip-num';
import { formatIp, type IpAddr, isIpv4 } from '../base/addr.ts';
import { type AddrRange, isRangeName, NAMED_RANGES, rangeNames } from '../base/ranges.ts';
import * as check from './config-checks.ts';
import { ConfigError } from './config-checks.ts';

const MAX_ENTRIES = 1024;
/** Where the bits of an IPv4 address begin in an IpAddr. */
const IPV4_AT = 96;

/**
 * The ranges that a list of names (`private`), prefixes (`10.0.0.0/8`, `fd00::/8`) and addresses stands for. Throws a
 * ConfigError that names the entry of `path`.
 */
export function denyOf(path: string, said: unknown): readonly AddrRange[] {
  const list = check.listOf(path, said);
  if (list.length > MAX_ENTRIES)
    throw new ConfigError(path, `has ${list.length} entries, at most ${MAX_ENTRIES}`);
  return list.flatMap((value, i) => rangesOf(`${path}[${i}]`, value));
}

function rangesOf(path: string, value: unknown): readonly AddrRange[] {
  if (typeof value !== 'string') throw new ConfigError(path, 'is not text');
  if (isRangeName(value)) return NAMED_RANGES[value];
  if (value.includes('/')) return [prefixOf(path, value)];
  if (/^[\d.]+$|:/.test(value)) return [{ addr: check.ip(path, value), prefix: 128 }];
  throw new ConfigError(path, `${check.show(value)} is no prefix and none of ${rangeNames.join(', ')}`);
}

function prefixOf(path: string, text: string): AddrRange {
  const [addressText = '', bitsText = ''] = text.split('/');
  const isV6 = text.includes(':');
  let first: IpAddr;
  let bits: number;
  try {
    const range = isV6 ? IPv6CidrRange.fromCidr(text) : IPv4CidrRange.fromCidr(text);
    first = check.ip(path, range.getFirst().toString());
    bits = Number(range.cidrPrefix.value);
  } catch {
    throw new ConfigError(path, `${check.show(text)} is not a prefix like 10.0.0.0/8 or fd00::/8`);
  }
  const said = check.ip(path, addressText);
  if (formatIp(said) !== formatIp(first))
    throw new ConfigError(path, `${text} has host bits; the network is ${formatIp(first)}/${bitsText}`);
  return { addr: first, prefix: !isV6 && isIpv4(first) ? bits + IPV4_AT : bits };
}
