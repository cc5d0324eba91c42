import { nameBytes } from '../../src/wire/dns-name.ts';

/** A recursive query; '' is the root. `additional` is one record's bytes, counted as one. */
export function dnsQuery(
  id: number,
  name: string,
  type = 1,
  additional: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const question = name === '' ? Uint8Array.of(0) : nameBytes(name)!;
  const count = additional.length > 0 ? 1 : 0;
  const header = [id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, count];
  return Uint8Array.from([...header, ...question, type >> 8, type & 255, 0, 1, ...additional]);
}

/** An OPT record that takes `size` bytes. RFC 6891 6.1.2. */
export function opt(size: number, flags = 0): Uint8Array {
  return Uint8Array.of(0, 0, 41, size >> 8, size & 255, 0, 0, flags >> 8, flags & 255, 0, 0);
}

/**
 * An answer to `query`: its id and question, and one record for its name with `rdata`, or none when that is empty.
 * The type of the record is A.
 */
export function answerTo(query: Uint8Array, rdata: readonly number[]): Uint8Array {
  let end = 12;
  while (query[end] !== 0) end += 1 + query[end]!;
  const question = query.subarray(12, end + 5);
  const length = rdata.length;
  const record = length === 0 ? [] : [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, length >> 8, length & 255, ...rdata];
  const header = [query[0]!, query[1]!, 0x81, 0x80, 0, 1, 0, length === 0 ? 0 : 1, 0, 0, 0, 0];
  return Uint8Array.from([...header, ...question, ...record]);
}

/** With the length in front, as it goes over a stream. RFC 1035 4.2.2. */
export function framed(message: Uint8Array): Uint8Array {
  return Uint8Array.from([message.length >> 8, message.length & 255, ...message]);
}
