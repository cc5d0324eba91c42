// The name server of a world in memory: A records for the names it was given, NXDOMAIN for every other name, over UDP and
// TCP. RFC 1035. Names compare without regard to case.

import { formatIpv4Word } from '../base/addr.ts';
import { viewOf } from '../wire/bytes.ts';
import * as dns from '../wire/dns.ts';
import { nameBytes, nameList, skipName } from '../wire/dns-name.ts';

const FLAGS = 2;
const ANCOUNT = 6;
const NXDOMAIN = 3;
const TYPE_A = 1;
const TYPE_ANY = 255;
const CLASS_IN = 1;
/** A pointer to the question's name, type, class, TTL, length, address. */
const A_RECORD_LEN = 16;
const NAME_POINTER = 0xc000 | dns.HEADER_LEN;
const TTL_SECONDS = 60;
/** Of one name, so that an answer always fits a message over TCP. */
const MAX_ADDRESSES = 1024;

export class MemoryNames {
  private readonly addresses = new Map<string, number[]>();

  /** `name` has `address`, an IPv4 word, beside those that it has already. Throws where it is no name. */
  add(name: string, address: number): void {
    if (nameBytes(name) === null) throw new Error(`name: ${JSON.stringify(name)} is not a domain name`);
    const list = this.addresses.get(keyOf(name)) ?? [];
    if (list.includes(address)) return;
    if (list.length >= MAX_ADDRESSES) throw new Error(`name: ${name} has ${MAX_ADDRESSES} addresses already`);
    this.addresses.set(keyOf(name), [...list, address]);
  }

  /** The addresses of `name`, none where it is not known. */
  find(name: string): readonly number[] {
    return this.addresses.get(keyOf(name)) ?? [];
  }

  /** Every name with its addresses as text. */
  list(): Record<string, string[]> {
    return Object.fromEntries([...this.addresses].map(([name, words]) => [name, words.map(formatIpv4Word)]));
  }

  /** The answer to a message that came over UDP, cut down to what the asker takes; null where it is no query. */
  answerUdp(query: Uint8Array): Uint8Array | null {
    const answer = this.answer(query);
    const asked = viewOf(query);
    if (answer === null || answer.length <= dns.udpSize(asked, 0, query.length)) return answer;
    return dns.truncated(viewOf(answer), 0, asked, 0, query.length);
  }

  /** The answer in full, or null. */
  answer(query: Uint8Array): Uint8Array | null {
    const v = viewOf(query);
    if (!dns.isRequest(v, 0, query.length)) return null;
    const code = dns.checkQuery(v, 0, query.length);
    const empty = dns.failure(v, 0, query.length, code);
    if (code !== dns.Rcode.NoError) return empty;
    const nameEnd = skipName(v, dns.HEADER_LEN, query.length);
    const [name = ''] = nameList(v, dns.HEADER_LEN, nameEnd - dns.HEADER_LEN) ?? [];
    const words = this.find(name);
    if (words.length === 0) {
      const to = viewOf(empty);
      to.setUint16(FLAGS, to.getUint16(FLAGS) | NXDOMAIN);
      return empty;
    }
    const [type, inClass] = [v.getUint16(nameEnd), v.getUint16(nameEnd + 2)];
    const wanted = (type === TYPE_A || type === TYPE_ANY) && inClass === CLASS_IN;
    return wanted ? withAddresses(empty, nameEnd + 4, words) : empty;
  }
}

/** `empty` with A records at `at`, where its question ends; what is behind it, an OPT record, stays behind them. */
function withAddresses(empty: Uint8Array, at: number, words: readonly number[]): Uint8Array {
  const added = words.length * A_RECORD_LEN;
  const out = new Uint8Array(empty.length + added);
  out.set(empty.subarray(0, at));
  out.set(empty.subarray(at), at + added);
  const v = viewOf(out);
  v.setUint16(ANCOUNT, words.length);
  for (const [i, word] of words.entries()) {
    const record = at + i * A_RECORD_LEN;
    v.setUint16(record, NAME_POINTER);
    v.setUint16(record + 2, TYPE_A);
    v.setUint16(record + 4, CLASS_IN);
    v.setUint32(record + 6, TTL_SECONDS);
    v.setUint16(record + 10, 4);
    v.setInt32(record + 12, word);
  }
  return out;
}

/** Takes the messages out of a connection's bytes: a two-byte length before each. RFC 1035 4.2.2. */
export class NameStream {
  /** Less than one message: 65536 bytes at most. */
  private rest = new Uint8Array(0);

  /** Every message that is whole now. */
  take(data: Uint8Array): Uint8Array[] {
    const all = new Uint8Array(this.rest.length + data.length);
    all.set(this.rest);
    all.set(data, this.rest.length);
    const messages: Uint8Array[] = [];
    let at = 0;
    while (at + 2 <= all.length) {
      const end = at + 2 + ((all[at]! << 8) | all[at + 1]!);
      if (end > all.length) break;
      messages.push(all.subarray(at + 2, end));
      at = end;
    }
    this.rest = new Uint8Array(all.subarray(at));
    return messages;
  }
}

function keyOf(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
