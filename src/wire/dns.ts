// DNS messages as a relay needs them: the header, the one question, the EDNS size, and empty answers. RFC 1035 4, RFC
// 6891. Nothing is unpacked; functions take a view and where the message lies in it.

import { skipName } from './dns-name.ts';

export const PORT = 53;
export const HEADER_LEN = 12;
/** What fits a datagram without EDNS. RFC 1035 4.2.1. */
const PLAIN_UDP_LEN = 512;
/** What a stream's length prefix can say. RFC 1035 4.2.2. */
export const MAX_MESSAGE = 65535;

export const Rcode = { NoError: 0, FormErr: 1, ServFail: 2, NotImp: 4, Refused: 5 } as const;
export type Rcode = (typeof Rcode)[keyof typeof Rcode];

const ID = 0;
const FLAGS = 2;
const QDCOUNT = 4;
const ANCOUNT = 6;
const NSCOUNT = 8;
const ARCOUNT = 10;

const QR = 0x8000;
const OPCODE = 0x7800;
const TC = 0x0200;
const RD = 0x0100;
const RA = 0x0080;
const CD = 0x0010;
const RCODE = 0x000f;

const QUERY = 0;
const TYPE_OPT = 41;
const TYPE_IXFR = 251;
const TYPE_AXFR = 252;
/** Type, class, TTL and length behind a record's name. */
const RECORD_LEN = 10;
const OPT_LEN = 1 + RECORD_LEN;
/** DO in the TTL of an OPT record. RFC 3225 3. */
const DNSSEC_OK = 0x8000;
/** The size that we say we take. RFC 9715 3.2. */
const OUR_UDP_LEN = 1232;

export function id(v: DataView, dns: number): number {
  return v.getUint16(dns + ID);
}

export function setId(v: DataView, dns: number, value: number): void {
  v.setUint16(dns + ID, value);
}

export function rcode(v: DataView, dns: number): number {
  return v.getUint16(dns + FLAGS) & RCODE;
}

export function isTruncated(v: DataView, dns: number): boolean {
  return (v.getUint16(dns + FLAGS) & TC) !== 0;
}

/** Could somebody answer this at all? Not when it is shorter than a header, or is an answer itself. */
export function isRequest(v: DataView, dns: number, len: number): boolean {
  return len >= HEADER_LEN && (v.getUint16(dns + FLAGS) & QR) === 0;
}

/** NoError when a request can be passed on, else what to answer. Only after isRequest(). */
export function checkQuery(v: DataView, dns: number, len: number): Rcode {
  if ((v.getUint16(dns + FLAGS) & OPCODE) !== QUERY) return Rcode.NotImp;
  // RFC 9619 4: a query has one question.
  const end = questionEnd(v, dns, len);
  if (end < 0) return Rcode.FormErr;
  const type = v.getUint16(end - 4);
  // A zone transfer is many messages.
  return type === TYPE_AXFR || type === TYPE_IXFR ? Rcode.Refused : Rcode.NoError;
}

/** Where the one question of a message ends, or -1 when there is not one, or it is cut off. A pointer is none. */
function questionEnd(v: DataView, dns: number, len: number): number {
  if (len < HEADER_LEN || v.getUint16(dns + QDCOUNT) !== 1) return -1;
  const end = skipName(v, dns + HEADER_LEN, dns + len);
  if (end < 0 || hasPointer(v, dns + HEADER_LEN, end)) return -1;
  return end + 4 <= dns + len ? end + 4 : -1;
}

function hasPointer(v: DataView, name: number, end: number): boolean {
  for (let at = name; at < end; at += 1 + v.getUint8(at)) if (v.getUint8(at) >= 0xc0) return true;
  return false;
}

/**
 * Is [a, a+aLen) an answer to the query [q, q+qLen): a response with the id `queryId` and the query's question, which
 * compares without regard to the case of ASCII letters? RFC 5452 9.1, RFC 4343 3.
 */
export function answers(
  a: DataView,
  aOff: number,
  aLen: number,
  queryId: number,
  q: DataView,
  qOff: number,
  qLen: number,
): boolean {
  if (aLen < HEADER_LEN || id(a, aOff) !== queryId) return false;
  if ((a.getUint16(aOff + FLAGS) & (QR | OPCODE)) !== QR) return false;
  const aEnd = questionEnd(a, aOff, aLen);
  const qEnd = questionEnd(q, qOff, qLen);
  if (aEnd < 0 || qEnd < 0 || aEnd - aOff !== qEnd - qOff) return false;
  const name = qEnd - qOff - 4;
  for (let i = HEADER_LEN; i < name; i++) {
    if (lower(a.getUint8(aOff + i)) !== lower(q.getUint8(qOff + i))) return false;
  }
  return a.getUint32(aOff + name) === q.getUint32(qOff + name);
}

/** Length bytes are below 64, so only letters change. */
function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** Bytes of UDP payload that whoever asked takes: the size in the query's OPT record, at least 512. RFC 6891 6.2.3. */
export function udpSize(v: DataView, dns: number, len: number): number {
  const opt = findOpt(v, dns, len);
  return opt < 0 ? PLAIN_UDP_LEN : Math.max(PLAIN_UDP_LEN, v.getUint16(opt + 3));
}

/** Where the OPT record of a query begins, or -1 when it has none or is broken before it. */
function findOpt(v: DataView, dns: number, len: number): number {
  const end = dns + len;
  let at = questionEnd(v, dns, len);
  if (at < 0) return -1;
  const before = v.getUint16(dns + ANCOUNT) + v.getUint16(dns + NSCOUNT);
  const records = before + v.getUint16(dns + ARCOUNT);
  for (let i = 0; i < records; i++) {
    const name = skipName(v, at, end);
    if (name < 0 || name + RECORD_LEN > end) return -1;
    const next = name + RECORD_LEN + v.getUint16(name + 8);
    if (next > end) return -1;
    if (i >= before && v.getUint16(name) === TYPE_OPT && name === at + 1) return at;
    at = next;
  }
  return -1;
}

/** An empty answer of ours to a request: `code`, its question if it can be read, an OPT record if it has one. */
export function failure(v: DataView, dns: number, len: number, code: Rcode): Uint8Array {
  const asked = v.getUint16(dns + FLAGS);
  return empty(v, dns, len, id(v, dns), QR | (asked & (OPCODE | RD | CD)) | RA | code);
}

/** The answer [a..] without its records and with TC, to the query [q..]: for who cannot take it whole. RFC 2181 9. */
export function truncated(a: DataView, aOff: number, q: DataView, qOff: number, qLen: number): Uint8Array {
  return empty(q, qOff, qLen, id(a, aOff), a.getUint16(aOff + FLAGS) | TC);
}

/** RFC 6891 7: header, question, and OPT where the query had one. */
function empty(v: DataView, dns: number, len: number, withId: number, flags: number): Uint8Array {
  const end = questionEnd(v, dns, len);
  const question = end < 0 ? 0 : end - dns - HEADER_LEN;
  const opt = findOpt(v, dns, len);
  const out = new Uint8Array(HEADER_LEN + question + (opt < 0 ? 0 : OPT_LEN));
  const to = new DataView(out.buffer);
  to.setUint16(ID, withId);
  to.setUint16(FLAGS, flags);
  to.setUint16(QDCOUNT, question === 0 ? 0 : 1);
  for (let i = 0; i < question; i++) to.setUint8(HEADER_LEN + i, v.getUint8(dns + HEADER_LEN + i));
  if (opt >= 0) {
    const at = HEADER_LEN + question;
    to.setUint16(ARCOUNT, 1);
    to.setUint16(at + 1, TYPE_OPT);
    to.setUint16(at + 3, OUR_UDP_LEN);
    // Of extended rcode, version and flags only DO goes back.
    to.setUint16(at + 7, v.getUint16(opt + 7) & DNSSEC_OK);
  }
  return out;
}
