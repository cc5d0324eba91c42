// The DHCP server, and its leases: whatever clients say, an address is one client's, and what is answered makes sense.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseIpv4Word } from '../../../src/base/addr.ts';
import { Drop } from '../../../src/base/drop.ts';
import { parseConfig } from '../../../src/network/config.ts';
import { DhcpLeases } from '../../../src/services/dhcp-leases.ts';
import { MessageType } from '../../../src/wire/dhcp.ts';
import { number, Option, type OptionValue } from '../../../src/wire/dhcp-options.ts';
import { DhcpBench, GATEWAY, raw, word } from '../../support/dhcp-bench.ts';
import { peer } from '../../support/fake-ports.ts';
import { FRAMES } from '../../support/frames.ts';
import { u8 } from './fence.ts';

const CONFIG = {
  dhcp: {
    first: '10.0.2.15',
    last: '10.0.2.20',
    leaseSeconds: 60,
    staticLeases: { '52:54:00:00:00:03': '10.0.2.17' },
  },
  limits: { leases: 5 },
};

const address = fc.integer({ min: word('10.0.2.12'), max: word('10.0.2.22') });
const message = fc.record({
  type: fc.constantFrom(...[1, 1, 1, 3, 3, 3, 4, 7, 8, 0, 2, 9]),
  lo: fc.nat(8),
  id: fc.option(fc.nat(3)),
  ciaddr: fc.oneof(fc.constant(0), address),
  requested: fc.option(address),
  server: fc.option(fc.constantFrom(GATEWAY, word('192.0.2.1'))),
  giaddr: fc.constantFrom(0, 0, 0, word('10.0.2.14'), word('192.0.2.1')),
  flags: fc.constantFrom(0, 0x8000),
  ingress: fc.constantFrom(1, 2),
  /** Seconds that pass first. */
  wait: fc.constantFrom(0, 0, 0, 1, 31, 61, 601),
});

type Message = typeof message extends fc.Arbitrary<infer T> ? T : never;

function bytesOf(m: Message): Uint8Array {
  const options: OptionValue[] = [];
  if (m.id !== null) options.push([Option.ClientId, number(1, m.id)]);
  if (m.requested !== null) options.push([Option.RequestedAddress, number(4, m.requested)]);
  if (m.server !== null) options.push([Option.ServerId, number(4, m.server)]);
  const { ciaddr, giaddr, flags } = m;
  return raw(m.type, { chaddr: { hi: 0x5254, lo: m.lo }, ciaddr, giaddr, flags }, options);
}

describe('the server', () => {
  test('whatever is asked for, an address is one client’s, and answers are for the pool', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 60 }), (messages) => {
        const bench = new DhcpBench(CONFIG);
        for (const m of messages) {
          bench.ports.clock.advance(m.wait * 1000);
          const answer = bench.ask(bytesOf(m), peer('0.0.0.0', 68, `52:54:00:00:00:0${m.lo}`, m.ingress));
          expect(new Set(bench.table).size).toBe(bench.table.length);
          expect(bench.table.length).toBeLessThanOrEqual(CONFIG.limits.leases);
          if (answer === null) continue;
          const { type, yiaddr, xid, op } = answer.message;
          expect([op, xid]).toEqual([2, 9]);
          expect(answer.bytes.length).toBeGreaterThanOrEqual(300);
          expect(answer.to.ingress).toBe(m.ingress);
          if (type === MessageType.Offer || type === MessageType.Ack) {
            const isInform = m.type === MessageType.Inform;
            expect(yiaddr === 0).toBe(isInform);
            if (!isInform) expect(isOfPool(yiaddr)).toBe(true);
          }
          // The static one is nobody else's.
          if (yiaddr === word('10.0.2.17')) expect(m.lo).toBe(3);
        }
      }),
      { numRuns: 400 },
    );
  });

  test('any bytes, and nearly messages: one verdict, at most one answer', () => {
    const change = fc.tuple(fc.nat(300), u8);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.tuple(fc.array(change, { maxLength: 5 }), fc.nat(400)).map(([changes, cut]) => {
        const nearly = Uint8Array.from(FRAMES.dhcpRequest.subarray(42));
        for (const [at, value] of changes) nearly[at % nearly.length] = value;
        return cut < 300 ? nearly : nearly.subarray(0, cut - 200);
      }),
    );
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 10 }), (all) => {
        const bench = new DhcpBench(CONFIG);
        const verdicts: number[] = [Drop.None, Drop.DhcpMalformed, Drop.DhcpNotForUs, Drop.DhcpPoolEmpty];
        for (const one of all) {
          bench.ports.sent.length = 0;
          expect(verdicts).toContain(bench.send(one));
          expect(bench.ports.sent.length).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function isOfPool(yiaddr: number): boolean {
  return yiaddr >= word('10.0.2.15') && yiaddr <= word('10.0.2.20');
}

describe('the leases', () => {
  const client = fc.record({
    lo: fc.nat(6),
    id: fc.constantFrom('', '', '1', '2'),
    ingress: fc.constantFrom(1, 2),
  });
  const call = fc.record({
    do: fc.constantFrom(
      ...(['offer', 'offer', 'bind', 'bind', 'release', 'decline', 'withdraw', 'forget'] as const),
    ),
    client,
    address,
    wait: fc.constantFrom(0, 0, 0, 1000, 31_000, 61_000, 601_000),
  });

  test('a bound address is never offered to another, and never two clients’ at a time', () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 80 }), (calls) => {
        const settings = parseConfig(CONFIG);
        const leases = new DhcpLeases(settings, settings.dhcp!);
        let now = 0;
        for (const { do: what, client: who, address: wanted, wait } of calls) {
          now += wait;
          const one = { mac: { hi: 0x5254, lo: who.lo }, id: who.id, ingress: who.ingress };
          const before = new Map(leases.rows(now).map((row) => [parseIpv4Word(row.address), row.mac]));
          if (what === 'offer') {
            const offered = leases.offer(one, wanted, now);
            if (offered !== null && who.id === '' && before.has(offered))
              expect(before.get(offered)).toBe(`52:54:00:00:00:0${who.lo}`);
          } else if (what === 'bind') leases.bind(one, wanted, now);
          else if (what === 'release') leases.release(one, wanted, now);
          else if (what === 'decline') leases.decline(one, wanted, now);
          else if (what === 'withdraw') leases.withdrawOffers(one, now);
          else leases.forgetPort(who.ingress);
          const rows = leases.rows(now);
          expect(new Set(rows.map((row) => row.address)).size).toBe(rows.length);
          expect(leases.size).toBeLessThanOrEqual(CONFIG.limits.leases);
        }
      }),
      { numRuns: 500 },
    );
  });
});
