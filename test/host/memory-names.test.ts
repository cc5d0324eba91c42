// The name server of a world in memory. A guest can send it whatever it likes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildQuery, readAnswer } from '../../src/guest/resolve.ts';
import { MemoryNames, NameStream } from '../../src/host/memory-names.ts';
import { framed } from '../../src/wire/dns-framing.ts';

const WORD = 0xc000020a | 0;

function names(count = 1): MemoryNames {
  const all = new MemoryNames();
  for (let i = 0; i < count; i++) all.add('example.test', WORD + i);
  return all;
}

function ask(all: MemoryNames, name: string) {
  const query = buildQuery(name, 0x1234)!;
  const answer = all.answerUdp(query);
  return answer === null ? null : readAnswer(answer, query);
}

test('A of a known name in any case, NXDOMAIN for others', () => {
  const known = { failure: '', truncated: false, addresses: [WORD] };
  expect(ask(names(), 'example.test')).toEqual(known);
  expect(ask(names(), 'ExAmPlE.TeSt.')).toEqual(known);
  expect(ask(names(), 'www.example.test')).toEqual({
    failure: 'NXDOMAIN',
    truncated: false,
    addresses: [],
  });
});

test('another type of a known name is an answer without records', () => {
  const query = buildQuery('example.test', 1)!;
  query[query.length - 3] = 28;
  const answer = names().answer(query)!;
  expect(readAnswer(answer, query)).toEqual({ failure: '', truncated: false, addresses: [] });
});

test('RFC 1035 4.2.1: 512 bytes over UDP, RFC 6891 6.2.3: or what EDNS says', () => {
  const many = names(60);
  expect(ask(many, 'example.test')).toEqual({ failure: '', truncated: true, addresses: [] });
  const query = buildQuery('example.test', 7)!;
  // An OPT record that takes 4096 bytes.
  const opt = Uint8Array.of(0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0);
  const asked = new Uint8Array([...query, ...opt]);
  asked[11] = 1;
  const answer = many.answerUdp(asked)!;
  expect(readAnswer(answer, query)?.addresses).toHaveLength(60);
  // RFC 6891 7: the answer has one, too, behind its records.
  expect([answer[11], ...answer.subarray(-11, -8)]).toEqual([1, 0, 0, 41]);
});

test('the addresses of one name have a limit, and a name must be one', () => {
  expect(() => names(1025)).toThrow('example.test has 1024 addresses already');
  expect(() => new MemoryNames().add('a..b', WORD)).toThrow('"a..b" is not a domain name');
});

test('RFC 7766 8: messages come out whole, however their bytes come in', () => {
  const messages = [1, 0, 300].map((length) => new Uint8Array(length).fill(length));
  const all = Uint8Array.from(messages.flatMap((message) => [...framed(message)]));
  for (let cut = 0; cut <= all.length; cut++) {
    const reader = new NameStream();
    const taken = [...reader.take(all.subarray(0, cut)), ...reader.take(all.subarray(cut))];
    expect(taken).toEqual(messages);
  }
});

test('no bytes make it throw, and an answer is always to a query', () => {
  const all = names(3);
  const query = [...buildQuery('example.test', 1)!];
  const mutated = fc
    .array(fc.tuple(fc.nat(query.length - 1), fc.nat(255)), { maxLength: 6 })
    .map((changes) => {
      const bytes = Uint8Array.from(query);
      for (const [at, byte] of changes) bytes[at] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), mutated), (bytes) => {
      const answer = all.answerUdp(bytes);
      if (bytes.length < 12 || (bytes[2]! & 0x80) !== 0) expect(answer).toBeNull();
      else expect([answer?.[0], answer?.[1]]).toEqual([bytes[0], bytes[1]]);
      if (answer !== null) readAnswer(answer, bytes);
    }),
    { numRuns: 3000, seed: 6 },
  );
});

test('what a stub resolver reads is bounded by the answer: no bytes make it throw', () => {
  const query = buildQuery('example.test', 1)!;
  const good = names(3).answer(query)!;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
      const bytes = Uint8Array.from(good);
      for (const [at, byte] of changes) bytes[at] = byte;
      const read = readAnswer(bytes.subarray(0, bytes.length - (changes.length % 3) * 5), query);
      expect(read?.addresses.length ?? 0).toBeLessThanOrEqual(3);
    }),
    { numRuns: 3000, seed: 6 },
  );
});
