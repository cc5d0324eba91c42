import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as dns from '../../src/wire/dns.ts';
import { nameBytes, nameList, skipName } from '../../src/wire/dns-name.ts';
import { answerTo, dnsQuery, opt } from '../support/dns-messages.ts';

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const check = (bytes: Uint8Array): number => dns.checkQuery(view(bytes), 0, bytes.length);
const answers = (a: Uint8Array, q: Uint8Array, id = 0x1234): boolean =>
  dns.answers(view(a), 0, a.length, id, view(q), 0, q.length);

describe('queries', () => {
  test('RFC 1035 4.1: a query with one question is passed on, wherever it lies', () => {
    const query = dnsQuery(0x1234, 'www.example.org');
    const moved = Uint8Array.from([9, 9, 9, ...query]);
    expect(check(query)).toBe(dns.Rcode.NoError);
    expect(dns.isRequest(view(moved), 3, query.length)).toBe(true);
    expect(dns.checkQuery(view(moved), 3, query.length)).toBe(dns.Rcode.NoError);
    expect(dns.id(view(moved), 3)).toBe(0x1234);
  });

  test('what is shorter than a header, or an answer, is no request', () => {
    const query = dnsQuery(1, 'a');
    for (let len = 0; len < 12; len++) expect(dns.isRequest(view(query), 0, len)).toBe(false);
    expect(dns.isRequest(view(answerTo(query, [])), 0, query.length)).toBe(false);
  });

  test('a question that is cut off anywhere is FORMERR', () => {
    const query = dnsQuery(1, 'www.example.org');
    for (let len = 12; len < query.length; len++) {
      expect(dns.checkQuery(view(query), 0, len)).toBe(dns.Rcode.FormErr);
    }
  });

  test('RFC 9619 4: no question and two questions are FORMERR', () => {
    for (const count of [0, 2, 0xffff]) {
      const query = dnsQuery(1, 'a');
      view(query).setUint16(4, count);
      expect(check(query)).toBe(dns.Rcode.FormErr);
    }
  });

  test('other opcodes are NOTIMP, zone transfers are REFUSED', () => {
    const update = dnsQuery(1, 'a');
    view(update).setUint16(2, 5 << 11);
    expect(check(update)).toBe(dns.Rcode.NotImp);
    expect(check(dnsQuery(1, 'a', 252))).toBe(dns.Rcode.Refused);
    expect(check(dnsQuery(1, 'a', 251))).toBe(dns.Rcode.Refused);
  });

  test('RFC 1035 2.3.4: labels up to 63 bytes, names up to 255', () => {
    const longest = `${`${'a'.repeat(63)}.`.repeat(3)}${'a'.repeat(61)}`;
    expect(nameBytes(longest)?.length).toBe(255);
    expect(nameBytes(`${longest}a`)).toBeNull();
    expect(nameBytes('a'.repeat(64))).toBeNull();
    expect(check(dnsQuery(1, longest))).toBe(dns.Rcode.NoError);
    const tooLong = Uint8Array.from([
      ...dnsQuery(1, '').subarray(0, 12),
      ...new Array(130).fill([1, 97]).flat(),
      0,
      0,
      1,
      0,
      1,
    ]);
    expect(check(tooLong)).toBe(dns.Rcode.FormErr);
    for (const length of [64, 0x80, 0xbf]) {
      const reserved = dnsQuery(1, 'a'.repeat(63));
      reserved[12] = length;
      expect(check(reserved)).toBe(dns.Rcode.FormErr);
    }
  });

  test('a pointer in the question is FORMERR', () => {
    const query = Uint8Array.from([...dnsQuery(1, '').subarray(0, 12), 0xc0, 0, 0, 1, 0, 1]);
    expect(check(query)).toBe(dns.Rcode.FormErr);
    const later = Uint8Array.from([...dnsQuery(1, '').subarray(0, 12), 1, 97, 0xc0, 12, 0, 1, 0, 1]);
    expect(check(later)).toBe(dns.Rcode.FormErr);
  });

  test('RFC 6891 6.2.3: the size of the OPT record counts, never below 512', () => {
    const size = (query: Uint8Array): number => dns.udpSize(view(query), 0, query.length);
    const query = dnsQuery(1, 'example.org');
    expect(size(query)).toBe(512);
    expect(size(dnsQuery(1, 'example.org', 1, opt(1232)))).toBe(1232);
    expect(size(dnsQuery(1, 'example.org', 1, opt(100)))).toBe(512);
    expect(size(dnsQuery(1, 'example.org', 1, opt(4096).subarray(0, 10)))).toBe(512);
  });

  test('an OPT record is found behind another additional record', () => {
    const other = [0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, 2, 1, 97];
    const query = dnsQuery(1, 'a', 1, Uint8Array.from([...other, ...opt(4096)]));
    view(query).setUint16(10, 2);
    expect(dns.udpSize(view(query), 0, query.length)).toBe(4096);
  });
});

describe('answers', () => {
  const query = dnsQuery(0x1234, 'www.example.org');

  test('RFC 5452 9.1: id, response bit, opcode and question must all be right', () => {
    const good = answerTo(query, [1, 2, 3, 4]);
    expect(answers(good, query)).toBe(true);
    expect(answers(good, query, 0x1235)).toBe(false);
    expect(answers(query, query)).toBe(false);
    expect(answers(answerTo(dnsQuery(0x1234, 'www.example.com'), [1, 2, 3, 4]), query)).toBe(false);
    expect(answers(answerTo(dnsQuery(0x1234, 'ww.example.org'), [1, 2, 3, 4]), query)).toBe(false);
    expect(answers(answerTo(dnsQuery(0x1234, 'www.example.org', 28), [1, 2, 3, 4]), query)).toBe(false);
    const notify = answerTo(query, []);
    view(notify).setUint16(2, 0x8000 | (4 << 11));
    expect(answers(notify, query)).toBe(false);
    for (let len = 0; len < query.length; len++) expect(answers(good.subarray(0, len), query)).toBe(false);
  });

  test('RFC 4343 3: the case of letters in the name does not matter', () => {
    expect(answers(answerTo(dnsQuery(0x1234, 'WWW.Example.org'), []), query)).toBe(true);
    expect(
      answers(answerTo(dnsQuery(0x1234, '[ww.example.org'), []), dnsQuery(0x1234, '{ww.example.org')),
    ).toBe(false);
  });
});

describe('what we answer ourselves', () => {
  const fields = (bytes: Uint8Array): number[] => [0, 2, 4, 6, 8, 10].map((at) => view(bytes).getUint16(at));

  test('SERVFAIL: the id, the question, RD back and RA', () => {
    const query = dnsQuery(0xbeef, 'www.example.org');
    const answer = dns.failure(view(query), 0, query.length, dns.Rcode.ServFail);
    expect(fields(answer)).toEqual([0xbeef, 0x8182, 1, 0, 0, 0]);
    expect([...answer.subarray(12)]).toEqual([...query.subarray(12)]);
    expect(dns.rcode(view(answer), 0)).toBe(2);
  });

  test('RFC 6891 7: an OPT record gets one back, with DO and nothing else', () => {
    const query = dnsQuery(1, 'a', 1, opt(4096, 0x8000));
    const answer = dns.failure(view(query), 0, query.length, dns.Rcode.ServFail);
    expect(fields(answer)).toEqual([1, 0x8182, 1, 0, 0, 1]);
    expect([...answer.subarray(-11)]).toEqual([0, 0, 41, 1232 >> 8, 1232 & 255, 0, 0, 0x80, 0, 0, 0]);
  });

  test('a question that cannot be read is left out', () => {
    const query = dnsQuery(1, 'www.example.org').subarray(0, 15);
    expect(fields(dns.failure(view(query), 0, query.length, dns.Rcode.FormErr))).toEqual([
      1, 0x8181, 0, 0, 0, 0,
    ]);
  });

  test('RFC 2181 9: a truncated answer keeps the flags, has TC and no record', () => {
    const query = dnsQuery(5, 'www.example.org', 1, opt(512));
    const answer = answerTo(query, [1, 2, 3, 4]);
    const cut = dns.truncated(view(answer), 0, view(query), 0, query.length);
    expect(fields(cut)).toEqual([5, 0x8380, 1, 0, 0, 1]);
    expect(dns.isTruncated(view(cut), 0)).toBe(true);
    expect(dns.isTruncated(view(answer), 0)).toBe(false);
    expect(answers(cut, query, 5)).toBe(true);
  });
});

describe('any bytes', () => {
  test('never throw', () => {
    const header = fc.constantFrom(...[0, 1].map((n) => [0, 1, 1, 0, 0, n, 0, 0, 0, 0, 0, 1]));
    const bytes = fc.tuple(header, fc.uint8Array({ maxLength: 300 }), fc.boolean());
    fc.assert(
      fc.property(bytes, bytes, ([h, t, whole], [h2, t2, whole2]) => {
        const a = Uint8Array.from(whole ? t : [...h, ...t]);
        const b = Uint8Array.from(whole2 ? t2 : [...h2, ...t2]);
        skipName(view(a), 0, a.length);
        nameList(view(a), 0, a.length);
        dns.answers(view(a), 0, a.length, 1, view(b), 0, b.length);
        if (!dns.isRequest(view(a), 0, a.length)) return;
        check(a);
        dns.udpSize(view(a), 0, a.length);
        dns.failure(view(a), 0, a.length, dns.Rcode.FormErr);
        dns.truncated(view(a), 0, view(a), 0, a.length);
      }),
      { numRuns: 500 },
    );
  });

  test('labels full of pointers and lengths never throw and always end', () => {
    const byte = fc.constantFrom(0, 1, 2, 3, 63, 64, 0xc0, 0xc1, 0xff);
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 64 }), (list) => {
        const a = Uint8Array.from(list);
        nameList(view(a), 0, a.length);
        const query = Uint8Array.from([...dnsQuery(1, '').subarray(0, 12), ...a]);
        check(query);
        dns.udpSize(view(query), 0, query.length);
      }),
      { numRuns: 500 },
    );
  });
});
