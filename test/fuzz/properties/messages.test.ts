// DHCP, DNS, names, and any frame as text: any bytes are read without a look beside them, and what was written is read
// back.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeFrame } from '../../../src/wire/describe.ts';
import * as dhcp from '../../../src/wire/dhcp.ts';
import { readParameters } from '../../../src/wire/dhcp-client.ts';
import { number, Option, OptionReader, readNumber, writeOptions } from '../../../src/wire/dhcp-options.ts';
import * as dns from '../../../src/wire/dns.ts';
import { nameBytes, nameList, skipName } from '../../../src/wire/dns-name.ts';
import { layersOf } from '../../../src/wire/layers.ts';
import { FRAMES } from '../../support/frames.ts';
import { anyFenced, fenced, i32, mutantOf, u8, u16 } from './fence.ts';

const RUNS = { numRuns: 1500 };
const frames = Object.values(FRAMES);
const dhcpFrames = [FRAMES.dhcpDiscover, FRAMES.dhcpOffer, FRAMES.dhcpRequest];
const dnsFrames = [FRAMES.dnsQuery, FRAMES.dnsAnswer];

describe('DHCP', () => {
  test.each([
    ['anything', anyFenced(600)],
    ['nearly a message', mutantOf(dhcpFrames, 42)],
  ])('is read without a look beside it: %s', (_, bytes) => {
    fc.assert(
      fc.property(bytes, ({ memory, off, len }) => {
        const message = dhcp.parse(memory.view, off, len);
        if (message === null) return;
        readParameters(message);
        expect(message.type).toBeGreaterThanOrEqual(0);
        expect(message.sname.length).toBeLessThanOrEqual(64);
        expect(message.file.length).toBeLessThanOrEqual(128);
      }),
      RUNS,
    );
  });

  test('any list of options is read without a look beside it', () => {
    fc.assert(
      fc.property(anyFenced(80), ({ memory, off, len }) => {
        const reader = new OptionReader();
        reader.read(memory.view, off, off + len);
        let size = 0;
        for (const value of reader.options.values()) size += value.length;
        expect(size).toBeLessThanOrEqual(len);
      }),
      RUNS,
    );
  });

  const value = fc.oneof(
    { weight: 5, arbitrary: fc.uint8Array({ maxLength: 30 }) },
    fc.uint8Array({ maxLength: 700 }),
  );
  const list = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 254 }), value), {
    maxLength: 6,
    selector: ([code]) => code,
  });

  test('RFC 3396: options that were written are read back, long ones put together', () => {
    fc.assert(
      fc.property(list, (all) => {
        const to = new Uint8Array(6000);
        const end = writeOptions(to, 7, to.length, all);
        const { memory, off, len } = fenced(to.subarray(7, end), 2, 2);
        const reader = new OptionReader();
        expect(reader.read(memory.view, off, off + len)).toBe(true);
        expect([...reader.options]).toEqual(all);
      }),
      { numRuns: 300 },
    );
  });

  test('options never go beyond their room, END included', () => {
    fc.assert(
      fc.property(list, fc.integer({ min: 1, max: 400 }), (all, room) => {
        const to = new Uint8Array(room + 20).fill(0xa5);
        const end = writeOptions(to, 0, room, all);
        expect(end).toBeLessThanOrEqual(room);
        expect(to[end - 1]).toBe(Option.End);
        expect(to.subarray(end).every((byte) => byte === 0xa5)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('a message that was built is parsed', () => {
    const text = fc.stringMatching(/^[a-z0-9./]{0,140}$/);
    fc.assert(
      fc.property(i32, u16, fc.array(i32, { minLength: 4, maxLength: 4 }), u16, i32, text, u8, (...all) => {
        const [xid, secs, words, hi, lo, file, type] = all;
        const [ciaddr, yiaddr, siaddr, giaddr] = words as [number, number, number, number];
        const fields = {
          op: 1,
          xid,
          secs,
          flags: 0,
          ciaddr,
          yiaddr,
          siaddr,
          giaddr,
          chaddr: { hi, lo },
          sname: file,
          file,
        };
        const bytes = dhcp.build(fields, [[Option.MessageType, number(1, type)]], 576);
        const { memory, off, len } = fenced(bytes, 5, 5);
        const cut = { sname: file.slice(0, 63), file: file.slice(0, 127) };
        // Zero says that it is BOOTP, and with an option 53 it is not.
        if (type === 0) expect(dhcp.parse(memory.view, off, len)).toBeNull();
        else expect(dhcp.parse(memory.view, off, len)).toMatchObject({ ...fields, ...cut, type });
      }),
      { numRuns: 500 },
    );
  });

  test('numbers in options', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 2, 4 as const), fc.nat(0xffffffff), (bytes, any) => {
        const size = bytes as 1 | 2 | 4;
        const expected = size === 4 ? any : any % 2 ** (8 * size);
        expect(readNumber(new Map([[9, number(size, expected)]]), 9, size)).toBe(expected);
      }),
      { numRuns: 300 },
    );
  });
});

describe('DNS', () => {
  test.each([
    ['anything', anyFenced(80)],
    ['nearly a message', mutantOf(dnsFrames, 42)],
  ])('is read without a look beside it, and refused with an answer to it: %s', (_, bytes) => {
    fc.assert(
      fc.property(bytes, bytes, (q, a) => {
        const [query, answer] = [q.memory.view, a.memory.view];
        if (a.len >= dns.HEADER_LEN) {
          dns.answers(answer, a.off, a.len, dns.id(answer, a.off), query, q.off, q.len);
          dns.rcode(answer, a.off);
          dns.isTruncated(answer, a.off);
        }
        if (!dns.isRequest(query, q.off, q.len)) return;
        const code = dns.checkQuery(query, q.off, q.len);
        expect(dns.udpSize(query, q.off, q.len)).toBeGreaterThanOrEqual(512);
        const failure = dns.failure(query, q.off, q.len, code);
        const v = new DataView(failure.buffer);
        expect([dns.id(v, 0), dns.rcode(v, 0)]).toEqual([dns.id(query, q.off), code]);
        if (code !== dns.Rcode.NoError) return;
        expect(dns.answers(v, 0, failure.length, dns.id(query, q.off), query, q.off, q.len)).toBe(true);
        const cut = dns.truncated(v, 0, query, q.off, q.len);
        expect(dns.isTruncated(new DataView(cut.buffer), 0)).toBe(true);
      }),
      RUNS,
    );
  });

  test('any bytes as names', () => {
    fc.assert(
      fc.property(anyFenced(300), ({ memory, off, len }) => {
        const end = skipName(memory.view, off, off + len);
        if (end >= 0) expect(end).toBeLessThanOrEqual(off + len);
        const names = nameList(memory.view, off, len);
        for (const name of names ?? []) expect(name.length).toBeLessThanOrEqual(254);
      }),
      RUNS,
    );
  });

  test('bytes of lengths and pointers only, as names: it ends', () => {
    const lengths = fc.array(fc.constantFrom(0, 1, 2, 63, 64, 0xc0, 0xc1, 5), { maxLength: 300 });
    fc.assert(
      fc.property(lengths, (all) => {
        const { memory, off, len } = fenced(Uint8Array.from(all), 1, 1);
        nameList(memory.view, off, len);
        skipName(memory.view, off, off + len);
      }),
      RUNS,
    );
  });

  test('RFC 1035 3.1: a name that was written is read back', () => {
    const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,63}$/);
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 6 }), (labels) => {
        const name = labels.join('.');
        const bytes = nameBytes(name);
        if (bytes === null) {
          expect(name.length).toBeGreaterThan(253);
          return;
        }
        const { memory, off, len } = fenced(bytes, 3, 3);
        expect(skipName(memory.view, off, off + len)).toBe(off + len);
        expect(nameList(memory.view, off, len)).toEqual([name]);
      }),
      { numRuns: 500 },
    );
  });

  test('any text as a name', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300, unit: 'binary' }), (text) => {
        const bytes = nameBytes(text);
        if (bytes !== null) expect(bytes.length).toBeLessThanOrEqual(255);
      }),
      { numRuns: 500 },
    );
  });
});

describe('any frame', () => {
  test.each([
    ['anything', anyFenced(300)],
    ['nearly a frame', mutantOf(frames, 0)],
  ])('is one line of printable ASCII, and at least one layer: %s', (_, bytes) => {
    fc.assert(
      fc.property(bytes, fc.nat(2000), ({ memory, off, len }, more) => {
        expect(describeFrame(memory, off, len, len + more)).toMatch(/^[\x20-\x7e]+$/);
        expect(layersOf(memory, off, len).length).toBeGreaterThan(0);
      }),
      { numRuns: 3000 },
    );
  });
});
