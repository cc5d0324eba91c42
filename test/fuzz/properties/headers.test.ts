// Ethernet, ARP, IPv4, UDP, TCP and its options: any bytes are judged without a look beside them, what was accepted may be
// read, and what was written is read back.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Drop } from '../../../src/base/drop.ts';
import { createMemory } from '../../../src/base/memory.ts';
import * as arp from '../../../src/wire/arp.ts';
import { pseudoSumIpv4 } from '../../../src/wire/checksum.ts';
import * as ethernet from '../../../src/wire/ethernet.ts';
import * as ipv4 from '../../../src/wire/ipv4.ts';
import * as tcp from '../../../src/wire/tcp.ts';
import * as options from '../../../src/wire/tcp-options.ts';
import * as udp from '../../../src/wire/udp.ts';
import { FRAMES } from '../../support/frames.ts';
import { anyFenced, fenced, i32, mutantOf, u16 } from './fence.ts';

const RUNS = { numRuns: 1500 };
const frames = Object.values(FRAMES);
const memory = createMemory(65536, (buffer) => new Uint8Array(buffer), 'js');
const v = memory.view;

describe('any bytes', () => {
  test('as Ethernet', () => {
    fc.assert(
      fc.property(anyFenced(20), ({ memory: m, off, len }) => {
        const verdict = ethernet.check(len);
        expect(verdict).toBe(len < 14 ? Drop.EthernetTooShort : Drop.None);
        if (verdict !== Drop.None) return;
        const at = [ethernet.dstHi, ethernet.dstLo, ethernet.srcHi, ethernet.srcLo, ethernet.etherType];
        for (const read of at) expect(Number.isInteger(read(m.view, off))).toBe(true);
      }),
      RUNS,
    );
  });

  test.each([
    ['anything', anyFenced(40)],
    ['nearly ARP', mutantOf([FRAMES.arpReply, FRAMES.arpRequest], 14)],
  ])('as ARP: %s', (_, bytes) => {
    fc.assert(
      fc.property(bytes, ({ memory: m, off, len }) => {
        if (arp.check(m.view, off, len) !== Drop.None) return;
        expect([1, 2]).toContain(arp.op(m.view, off));
        for (const read of [arp.senderHi, arp.senderLo, arp.senderIp, arp.targetIp]) read(m.view, off);
      }),
      RUNS,
    );
  });

  test.each([
    ['anything', anyFenced(80)],
    ['nearly IPv4', mutantOf(frames, 14)],
  ])('as IPv4: %s', (_, bytes) => {
    fc.assert(
      fc.property(bytes, ({ memory: m, off, len }) => {
        if (ipv4.check(m, off, len) !== Drop.None) return;
        const header = ipv4.headerLen(m.view, off);
        expect(header).toBeGreaterThanOrEqual(20);
        expect(ipv4.totalLen(m.view, off)).toBeGreaterThanOrEqual(header);
        expect(ipv4.totalLen(m.view, off)).toBeLessThanOrEqual(len);
        for (const read of [ipv4.id, ipv4.ttl, ipv4.protocol, ipv4.src, ipv4.dst]) read(m.view, off);
        expect(ipv4.fragmentOffset(m.view, off) % 8).toBe(0);
        const isPiece = ipv4.moreFragments(m.view, off) || ipv4.fragmentOffset(m.view, off) > 0;
        expect(ipv4.isFragment(m.view, off)).toBe(isPiece);
      }),
      RUNS,
    );
  });

  test.each([
    ['anything', anyFenced(60)],
    ['nearly UDP', mutantOf([FRAMES.udpEcho, FRAMES.dnsQuery, FRAMES.dhcpDiscover], 34)],
  ])('as UDP: %s', (_, bytes) => {
    fc.assert(
      fc.property(bytes, fc.nat(200_000), ({ memory: m, off, len }, pseudo) => {
        if (udp.check(m, off, len, pseudo) !== Drop.None) return;
        expect(udp.payloadLen(m.view, off)).toBeLessThanOrEqual(len - 8);
        expect(udp.srcPort(m.view, off) * udp.dstPort(m.view, off)).not.toBe(0);
      }),
      RUNS,
    );
  });

  test.each([
    ['anything', anyFenced(80)],
    ['nearly TCP', mutantOf([FRAMES.tcpSyn, FRAMES.tcpData, FRAMES.tcpSack], 34)],
  ])('as TCP with its options: %s', (_, bytes) => {
    const read = new options.TcpOptions();
    fc.assert(
      fc.property(bytes, fc.nat(200_000), ({ memory: m, off, len }, pseudo) => {
        const verdict = tcp.check(m, off, len, pseudo);
        if (verdict === Drop.TcpBadOffset) return;
        // Whatever the checksum says: it could have been right.
        const header = tcp.headerLen(m.view, off);
        for (const get of [tcp.seq, tcp.ack, tcp.flags, tcp.window, tcp.urgent]) get(m.view, off);
        read.parse(m.view, off + 20, off + header);
        expectSane(read);
      }),
      RUNS,
    );
  });

  test('as a list of options', () => {
    const read = new options.TcpOptions();
    fc.assert(
      fc.property(anyFenced(44), ({ memory: m, off, len }) => {
        read.parse(m.view, off, off + len);
        expectSane(read);
      }),
      RUNS,
    );
  });
});

function expectSane(read: options.TcpOptions): void {
  expect(read.sackBlocks).toBeLessThanOrEqual(4);
  expect(read.windShift).toBeGreaterThanOrEqual(-1);
  expect(read.windShift).toBeLessThanOrEqual(14);
}

describe('what is written is read back', () => {
  test('Ethernet', () => {
    fc.assert(
      fc.property(u16, i32, u16, i32, u16, (toHi, toLo, fromHi, fromLo, type) => {
        const { memory: m, off } = fenced(new Uint8Array(14), 3, 3);
        ethernet.write(m.view, off, toHi, toLo, fromHi, fromLo, type);
        expect([ethernet.dstHi(m.view, off), ethernet.dstLo(m.view, off)]).toEqual([toHi, toLo]);
        expect([ethernet.srcHi(m.view, off), ethernet.srcLo(m.view, off)]).toEqual([fromHi, fromLo]);
        expect(ethernet.etherType(m.view, off)).toBe(type);
        expect(ethernet.isGroup(toHi)).toBe((toHi & 0x100) > 0);
        expect(ethernet.isBroadcast(toHi, toLo)).toBe(toHi === 0xffff && toLo === -1);
      }),
      RUNS,
    );
  });

  test('ARP', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 2), u16, i32, i32, i32, (op, hi, lo, from, to) => {
        const { memory: m, off } = fenced(new Uint8Array(28), 1, 1);
        arp.write(m.view, off, op, hi, lo, from, 0, 0, to);
        expect(arp.check(m.view, off, 28)).toBe(Drop.None);
        expect([arp.op(m.view, off), arp.senderHi(m.view, off), arp.senderLo(m.view, off)]).toEqual([
          op,
          hi,
          lo,
        ]);
        expect([arp.senderIp(m.view, off), arp.targetIp(m.view, off)]).toEqual([from, to]);
      }),
      RUNS,
    );
  });

  test('IPv4, whole and in fragments', () => {
    fc.assert(
      fc.property(fc.nat(1400), u16, fc.nat(255), i32, i32, fc.nat(8100), fc.boolean(), (...all) => {
        const [len, ident, proto, from, to, unit, more] = all;
        ipv4.write(v, 0, len, ident, proto, from, to);
        expect(ipv4.check(memory, 0, 20 + len)).toBe(Drop.None);
        expect([ipv4.isFragment(v, 0), ipv4.dontFragment(v, 0)]).toEqual([false, true]);
        ipv4.writeAsFragment(v, 0, len, ident, proto, from, to, 8 * unit, more);
        expect(ipv4.check(memory, 0, 20 + len)).toBe(Drop.None);
        expect([ipv4.fragmentOffset(v, 0), ipv4.moreFragments(v, 0)]).toEqual([8 * unit, more]);
        expect([ipv4.id(v, 0), ipv4.protocol(v, 0), ipv4.ttl(v, 0)]).toEqual([ident, proto, 64]);
        expect([ipv4.src(v, 0), ipv4.dst(v, 0), ipv4.totalLen(v, 0)]).toEqual([from, to, 20 + len]);
      }),
      RUNS,
    );
  });

  const port = fc.integer({ min: 1, max: 65535 });

  test('UDP', () => {
    fc.assert(
      fc.property(port, port, i32, i32, fc.uint8Array({ maxLength: 60 }), (from, to, src, dst, payload) => {
        const pseudo = pseudoSumIpv4(src, dst, 17);
        memory.bytes.set(payload, 8);
        udp.write(v, 0, from, to, payload.length, pseudo + memory.sum(8, payload.length));
        // Zero would say that there is none.
        expect(v.getUint16(6)).not.toBe(0);
        expect(udp.check(memory, 0, 8 + payload.length, pseudo)).toBe(Drop.None);
        expect([udp.srcPort(v, 0), udp.dstPort(v, 0), udp.payloadLen(v, 0)]).toEqual([
          from,
          to,
          payload.length,
        ]);
      }),
      RUNS,
    );
  });

  test('TCP', () => {
    fc.assert(
      fc.property(port, port, i32, i32, fc.nat(255), u16, (from, to, seq, ack, flags, wnd) => {
        tcp.write(v, 0, from, to, seq, ack, 20, flags, wnd);
        expect(tcp.check(memory, 0, 20, 0)).toBe(isZeroSum() ? Drop.None : Drop.TcpBadChecksum);
        tcp.setChecksum(v, 0, ~memory.sum(0, 20) & 0xffff);
        const pseudo = 0xffff - 20;
        expect(tcp.check(memory, 0, 20, pseudo)).toBe(Drop.None);
        expect([tcp.srcPort(v, 0), tcp.dstPort(v, 0), tcp.headerLen(v, 0)]).toEqual([from, to, 20]);
        expect([tcp.seq(v, 0), tcp.ack(v, 0)]).toEqual([seq, ack]);
        expect([tcp.flags(v, 0), tcp.window(v, 0), tcp.urgent(v, 0)]).toEqual([flags, wnd, 0]);
      }),
      RUNS,
    );
  });

  /** Could the checksum that was not written yet be right? */
  function isZeroSum(): boolean {
    const sum = memory.sum(0, 20) + 20;
    return (sum & 0xffff) + (sum >>> 16) === 0xffff;
  }

  test('TCP options', () => {
    const read = new options.TcpOptions();
    fc.assert(
      fc.property(
        u16,
        fc.nat(14),
        i32,
        i32,
        fc.array(i32, { maxLength: 6 }),
        (mss, shift, val, ecr, edges) => {
          let end = options.writeMss(v, 0, mss);
          end = options.writeWindowScale(v, end, shift);
          end = options.writeSackPermitted(v, end);
          end = options.writeTimestamps(v, end, val, ecr);
          const blocks = edges.length >> 1;
          if (blocks > 0) end = options.writeSackHead(v, end, blocks);
          for (const edge of edges.slice(0, 2 * blocks)) {
            v.setInt32(end, edge);
            end += 4;
          }
          read.parse(v, 0, end);
          expect([read.mss, read.windShift, read.sackPermitted]).toEqual([mss, shift, true]);
          expect([read.hasTimestamps, read.tsVal, read.tsEcr]).toEqual([true, val, ecr]);
          expect([...read.sack.subarray(0, 2 * read.sackBlocks)]).toEqual(edges.slice(0, 2 * blocks));
        },
      ),
      RUNS,
    );
  });
});
