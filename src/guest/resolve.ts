// What a stub resolver sends and reads: one question for the addresses of a name. RFC 1035 4.

import { viewOf } from '../wire/bytes.ts';
import * as dns from '../wire/dns.ts';
import { nameBytes, skipName } from '../wire/dns-name.ts';

const FLAGS = 2;
const QDCOUNT = 4;
const ANCOUNT = 6;
const RD = 0x0100;
const TYPE_A = 1;
const CLASS_IN = 1;
const TYPE_LEN = 4;
/** Type, class, TTL and length behind a record's name. */
const RECORD_LEN = 10;

const RCODES: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  3: 'NXDOMAIN',
  4: 'NOTIMP',
  5: 'REFUSED',
};

/** A query for the A records of `name`, or null where that is no name. `id`: 0..65535. */
export function buildQuery(name: string, id: number): Uint8Array | null {
  const labels = nameBytes(name);
  if (labels === null) return null;
  const query = new Uint8Array(dns.HEADER_LEN + labels.length + TYPE_LEN);
  const v = viewOf(query);
  dns.setId(v, 0, id);
  v.setUint16(FLAGS, RD);
  v.setUint16(QDCOUNT, 1);
  query.set(labels, dns.HEADER_LEN);
  v.setUint16(query.length - 4, TYPE_A);
  v.setUint16(query.length - 2, CLASS_IN);
  return query;
}

/** What an answer says. `failure`: '' or the name of its code, such as NXDOMAIN. */
export interface Resolved {
  readonly failure: string;
  /** It is not all: ask over TCP. */
  readonly truncated: boolean;
  /** IPv4 words of all A records in the answer, which may be of names that the one asked for leads to. */
  readonly addresses: readonly number[];
}

/** What `answer` says to `query`; null where it is none to it. A record that is cut off ends the list. */
export function readAnswer(answer: Uint8Array, query: Uint8Array): Resolved | null {
  const [a, q] = [viewOf(answer), viewOf(query)];
  if (!dns.answers(a, 0, answer.length, dns.id(q, 0), q, 0, query.length)) return null;
  const rcode = dns.rcode(a, 0);
  const addresses: number[] = [];
  // The question is as long as ours.
  let at = query.length;
  for (let left = a.getUint16(ANCOUNT); left > 0; left--) {
    const record = skipName(a, at, answer.length);
    if (record < 0 || record + RECORD_LEN > answer.length) break;
    const [type, length] = [a.getUint16(record), a.getUint16(record + 8)];
    at = record + RECORD_LEN + length;
    if (at > answer.length) break;
    if (type === TYPE_A && length === 4 && a.getUint16(record + 2) === CLASS_IN)
      addresses.push(a.getInt32(record + RECORD_LEN));
  }
  const failure = rcode === dns.Rcode.NoError ? '' : (RCODES[rcode] ?? `code ${rcode}`);
  return { failure, truncated: dns.isTruncated(a, 0), addresses };
}
