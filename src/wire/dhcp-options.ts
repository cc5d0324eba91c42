// DHCP options: a list of code, length, value. RFC 2132; long and repeated ones RFC 3396.

import { asciiBytes, asciiText } from './ascii.ts';
import { viewOf } from './bytes.ts';
import { nameBytes, nameList } from './dns-name.ts';

export const Option = {
  Pad: 0,
  SubnetMask: 1,
  Router: 3,
  Dns: 6,
  HostName: 12,
  DomainName: 15,
  Mtu: 26,
  RequestedAddress: 50,
  LeaseTime: 51,
  Overload: 52,
  MessageType: 53,
  ServerId: 54,
  ParameterList: 55,
  Message: 56,
  MaxMessageSize: 57,
  RenewalTime: 58,
  RebindingTime: 59,
  ClientId: 61,
  TftpServerName: 66,
  Bootfile: 67,
  DomainSearch: 119,
  End: 255,
} as const;

/** Values by code, copied out of the message; repeated options are one value, in order (RFC 3396 7). */
export type Options = ReadonlyMap<number, Uint8Array>;
/** An option to send. */
export type OptionValue = readonly [code: number, value: Uint8Array];

const MAX_VALUE = 255;

/** Gathers the options of one message out of up to three areas. */
export class OptionReader {
  private readonly values = new Map<number, number[]>();

  /** Adds the options in [off, end). A missing END is allowed; false when an option goes beyond `end`. */
  read(v: DataView, off: number, end: number): boolean {
    for (let at = off; at < end; ) {
      const code = v.getUint8(at++);
      if (code === Option.Pad) continue;
      if (code === Option.End) return true;
      const length = at < end ? v.getUint8(at++) : -1;
      if (length < 0 || at + length > end) return false;
      const value = this.values.get(code) ?? [];
      this.values.set(code, value);
      for (let i = 0; i < length; i++) value.push(v.getUint8(at + i));
      at += length;
    }
    return true;
  }

  get options(): Options {
    const options = new Map<number, Uint8Array>();
    for (const [code, value] of this.values) options.set(code, Uint8Array.from(value));
    return options;
  }
}

/**
 * Writes `list` from `off` on and END behind it, and returns where that ends. A value over 255 bytes goes in pieces
 * (RFC 3396 6); an option for which [off, end) has no room is left out.
 */
export function writeOptions(to: Uint8Array, off: number, end: number, list: readonly OptionValue[]): number {
  let at = off;
  for (const [code, value] of list) {
    const pieces = Math.max(1, Math.ceil(value.length / MAX_VALUE));
    if (at + value.length + 2 * pieces + 1 > end) continue;
    for (let from = 0, piece = 0; piece < pieces; piece++, from += MAX_VALUE) {
      const part = value.subarray(from, from + MAX_VALUE);
      to[at] = code;
      to[at + 1] = part.length;
      to.set(part, at + 2);
      at += 2 + part.length;
    }
  }
  to[at] = Option.End;
  return at + 1;
}

/** The value of 1, 2 or 4 bytes in network order. */
export function number(bytes: 1 | 2 | 4, value: number): Uint8Array {
  const out = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) out[i] = value >>> (8 * (bytes - 1 - i));
  return out;
}

export function text(value: string): Uint8Array {
  return asciiBytes(value);
}

/** The value of option 119, without compression; names that cannot be written are left out. RFC 3397 2. */
export function domainSearch(names: readonly string[]): Uint8Array {
  return Uint8Array.from(names.flatMap((name) => [...(nameBytes(name) ?? [])]));
}

/** The unsigned number of an option of exactly `bytes`, or null. */
export function readNumber(options: Options, code: number, bytes: 1 | 2 | 4): number | null {
  const value = options.get(code);
  if (value === undefined || value.length !== bytes) return null;
  let out = 0;
  for (const byte of value) out = (out << 8) | byte;
  return out >>> 0;
}

/** The address of an option as a word, or null when it is not there or not four bytes long. */
export function readWord(options: Options, code: number): number | null {
  const value = readNumber(options, code, 4);
  return value === null ? null : value | 0;
}

/** The addresses of an option as words; a rest of less than four bytes is ignored. */
export function readWords(options: Options, code: number): number[] {
  const value = options.get(code);
  if (value === undefined) return [];
  const v = viewOf(value);
  const words: number[] = [];
  for (let at = 0; at + 4 <= value.length; at += 4) words.push(v.getInt32(at));
  return words;
}

/** The text of an option up to the first NUL, or null when there is none. */
export function readText(options: Options, code: number): string | null {
  const value = options.get(code);
  return value === undefined ? null : asciiText(viewOf(value), 0, value.length);
}

/** The names of option 119; none when it is not there or makes no sense. RFC 3397. */
export function readDomainSearch(options: Options): string[] {
  const value = options.get(Option.DomainSearch);
  return value === undefined ? [] : (nameList(viewOf(value), 0, value.length) ?? []);
}
