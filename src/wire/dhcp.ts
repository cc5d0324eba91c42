// DHCP and BOOTP messages, RFC 2131 and RFC 951. They are rare and rich, so they become plain objects.

import type { Mac } from '../base/addr.ts';
import { asciiBytes, asciiText } from './ascii.ts';
import { macHi, macLo, setMac } from './bytes.ts';
import {
  Option,
  OptionReader,
  type Options,
  type OptionValue,
  readNumber,
  writeOptions,
} from './dhcp-options.ts';

export const SERVER_PORT = 67;
export const CLIENT_PORT = 68;

export const Op = { Request: 1, Reply: 2 } as const;

/** Option 53, RFC 2132 9.6. */
export const MessageType = {
  /** No option 53: BOOTP. */
  None: 0,
  Discover: 1,
  Offer: 2,
  Request: 3,
  Decline: 4,
  Ack: 5,
  Nak: 6,
  Release: 7,
  Inform: 8,
} as const;

/** The one flag there is, RFC 2131 2. */
export const BROADCAST = 0x8000;

/** What every client takes, IP and UDP headers included: RFC 2131 2. */
export const MIN_MAX_MESSAGE_SIZE = 576;
/** A BOOTP message, RFC 951 3; a DHCP message is padded to it, RFC 1542 2.1. */
export const BOOTP_LEN = 300;

const OP = 0;
const HTYPE = 1;
const HLEN = 2;
const XID = 4;
const SECS = 8;
const FLAGS = 10;
/** Offset of ciaddr. */
export const CIADDR = 12;
const YIADDR = 16;
const SIADDR = 20;
const GIADDR = 24;
const CHADDR = 28;
const SNAME = 44;
const SNAME_LEN = 64;
const FILE = 108;
const FILE_LEN = 128;
const COOKIE = 236;
/** Offset of the first option. */
export const OPTIONS = 240;

const MAGIC = 0x63825363;
const ETHERNET = 1;
const MAC_LEN = 6;

/** The fixed part. Addresses are words, 0 for none; `secs` and `flags` 16 bits. */
export interface DhcpFields {
  readonly op: number;
  readonly xid: number;
  readonly secs: number;
  readonly flags: number;
  readonly ciaddr: number;
  readonly yiaddr: number;
  readonly siaddr: number;
  readonly giaddr: number;
  readonly chaddr: Mac;
  /** '' where there is none, or where the field holds options. */
  readonly sname: string;
  readonly file: string;
}

export interface DhcpMessage extends DhcpFields {
  /** A MessageType, or a number that we do not know. */
  readonly type: number;
  readonly options: Options;
}

/**
 * The message at [off, off+len), or null when it is none: too short, not for Ethernet, an option that is cut off or
 * has an impossible length. Nothing in it refers to the bytes.
 */
export function parse(v: DataView, off: number, len: number): DhcpMessage | null {
  if (len < COOKIE || v.getUint8(off + HTYPE) !== ETHERNET || v.getUint8(off + HLEN) !== MAC_LEN) return null;
  const hasOptions = len >= OPTIONS && v.getInt32(off + COOKIE) === MAGIC;
  const reader = new OptionReader();
  if (hasOptions && !reader.read(v, off + OPTIONS, off + len)) return null;
  const overload = readOverload(v, off, reader);
  if (overload === null) return null;
  const { options } = reader;
  const type = readNumber(options, Option.MessageType, 1) ?? MessageType.None;
  // Without option 53 it is a message of RFC 951, and those are never shorter.
  if (type === MessageType.None && (len < BOOTP_LEN || options.has(Option.MessageType))) return null;
  return {
    op: v.getUint8(off + OP),
    xid: v.getInt32(off + XID),
    secs: v.getUint16(off + SECS),
    flags: v.getUint16(off + FLAGS),
    ciaddr: v.getInt32(off + CIADDR),
    yiaddr: v.getInt32(off + YIADDR),
    siaddr: v.getInt32(off + SIADDR),
    giaddr: v.getInt32(off + GIADDR),
    chaddr: { hi: macHi(v, off + CHADDR), lo: macLo(v, off + CHADDR) },
    sname: overload & IN_SNAME ? '' : asciiText(v, off + SNAME, SNAME_LEN),
    file: overload & IN_FILE ? '' : asciiText(v, off + FILE, FILE_LEN),
    type,
    options,
  };
}

const IN_FILE = 1;
const IN_SNAME = 2;

/** Reads on in the fields that option 52 names, `file` first (RFC 3396 5), and returns which; null when it is wrong. */
function readOverload(v: DataView, off: number, reader: OptionReader): number | null {
  const { options } = reader;
  if (!options.has(Option.Overload)) return 0;
  const overload = readNumber(options, Option.Overload, 1);
  if (overload === null || overload < IN_FILE || overload > (IN_FILE | IN_SNAME)) return null;
  if (overload & IN_FILE && !reader.read(v, off + FILE, off + FILE + FILE_LEN)) return null;
  if (overload & IN_SNAME && !reader.read(v, off + SNAME, off + SNAME + SNAME_LEN)) return null;
  return overload;
}

/**
 * The bytes of a message: at least BOOTP_LEN, at most `maxLen`, padded with zero. `list` is written in its order;
 * options for which there is no room are left out. `sname` and `file` are cut where they are too long.
 */
export function build(fields: DhcpFields, list: readonly OptionValue[], maxLen: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(maxLen, BOOTP_LEN));
  const v = new DataView(bytes.buffer);
  v.setUint8(OP, fields.op);
  v.setUint8(HTYPE, ETHERNET);
  v.setUint8(HLEN, MAC_LEN);
  v.setInt32(XID, fields.xid);
  v.setUint16(SECS, fields.secs);
  v.setUint16(FLAGS, fields.flags);
  v.setInt32(CIADDR, fields.ciaddr);
  v.setInt32(YIADDR, fields.yiaddr);
  v.setInt32(SIADDR, fields.siaddr);
  v.setInt32(GIADDR, fields.giaddr);
  setMac(v, CHADDR, fields.chaddr.hi, fields.chaddr.lo);
  // The last byte of each field stays: NUL-terminated, RFC 2131 2.
  bytes.set(asciiBytes(fields.sname).subarray(0, SNAME_LEN - 1), SNAME);
  bytes.set(asciiBytes(fields.file).subarray(0, FILE_LEN - 1), FILE);
  v.setInt32(COOKIE, MAGIC);
  const end = writeOptions(bytes, OPTIONS, bytes.length, list);
  return bytes.subarray(0, Math.max(end, BOOTP_LEN));
}
