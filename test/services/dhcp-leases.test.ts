import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { OFFER_MS, OFFERS_PER_PORT, REST_MS } from '../../src/services/dhcp-leases.ts';
import type { Peer } from '../../src/services/service.ts';
import { MessageType } from '../../src/wire/dhcp.ts';
import { buildDiscover, buildRequest } from '../../src/wire/dhcp-client.ts';
import { number, Option, type OptionValue } from '../../src/wire/dhcp-options.ts';
import { DAY, DhcpBench, GATEWAY, mac, raw, withId, word } from '../support/dhcp-bench.ts';
import { peer } from '../support/fake-ports.ts';

/** A client behind a switch port. */
const from = (port: number): Peer => peer('0.0.0.0', 68, '52:54:00:00:00:01', port);
const serverId = (address: number): OptionValue => [Option.ServerId, number(4, address)];
const requested = (address: string): OptionValue => [Option.RequestedAddress, number(4, word(address))];
/** The type of the one answer. */
const outcomeOf = (b: DhcpBench, bytes: Uint8Array, who: Peer): number | undefined =>
  b.ask(bytes, who)?.message.type;

describe('who gets which address', () => {
  test('the same MAC gets the same address again, also after its lease has expired', () => {
    const b = new DhcpBench();
    b.lease(mac(1));
    b.lease(mac(2));
    b.ports.clock.advance(3 * DAY);
    expect(b.table).toEqual([]);
    expect(b.lease(mac(2))).toBe('10.0.2.16');
    expect(b.lease(mac(3))).toBe('10.0.2.17');
    expect(b.lease(mac(1))).toBe('10.0.2.15');
  });

  test('the same client id gets the same address with another MAC', () => {
    const b = new DhcpBench();
    b.lease(withId(mac(1), [0, 7, 7]));
    expect(b.lease(withId(mac(2), [0, 7, 7]))).toBe('10.0.2.15');
    expect(b.lease(withId(mac(3), [0, 7, 8]))).toBe('10.0.2.16');
  });

  test('a MAC that changes its client id, as from boot loader to system, keeps its address', () => {
    const b = new DhcpBench();
    expect(b.lease(withId(mac(1), [1, 2, 3]))).toBe('10.0.2.15');
    expect(b.lease(withId(mac(1), [255, 9, 9, 9]))).toBe('10.0.2.15');
    expect(b.lease(mac(1))).toBe('10.0.2.15');
  });

  test('two guests from one disk image, with the same client id on two ports, get two addresses', () => {
    const b = new DhcpBench();
    const one = withId(mac(1), [255, 1]);
    const two = withId(mac(2), [255, 1]);
    expect(b.lease(one, from(1))).toBe('10.0.2.15');
    expect(b.lease(two, from(2))).toBe('10.0.2.16');
    expect(b.lease(one, from(1))).toBe('10.0.2.15');
    expect(b.lease(two, from(2))).toBe('10.0.2.16');
  });

  test('a guest that comes back on another port keeps its address', () => {
    const b = new DhcpBench({ dhcp: { staticLeases: { '52:54:00:00:00:02': '10.0.2.7' } } });
    b.lease(mac(1), from(1));
    b.lease(mac(2), from(1));
    b.server.forgetPort(1);
    expect(b.lease(mac(1), from(2))).toBe('10.0.2.15');
    expect(b.lease(mac(2), from(2))).toBe('10.0.2.7');
  });

  test('two guests with the same MAC on two ports get two addresses', () => {
    const b = new DhcpBench();
    expect(b.lease(mac(1), from(1))).toBe('10.0.2.15');
    expect(b.lease(mac(1), from(2))).toBe('10.0.2.16');
    expect(b.lease(mac(1), from(1))).toBe('10.0.2.15');
    expect(b.lease(mac(1), from(2))).toBe('10.0.2.16');
  });

  test.each([
    ['a release', () => raw(MessageType.Release, { ciaddr: word('10.0.2.15') }, [serverId(GATEWAY)])],
    ['a decline', () => raw(MessageType.Decline, {}, [requested('10.0.2.15'), serverId(GATEWAY)])],
    ['a request to another server', () => raw(MessageType.Request, {}, [serverId(word('10.0.2.9'))])],
  ])("%s in another guest's name, from another port, changes nothing of it", (_, message) => {
    const b = new DhcpBench();
    b.lease(mac(1), from(1));
    expect(b.send(message(), from(2))).toBe(Drop.DhcpNotForUs);
    expect(b.lease(mac(2), from(2))).toBe('10.0.2.16');
    expect(outcomeOf(b, buildRequest(mac(1), { ciaddr: word('10.0.2.15') }), from(1))).toBe(MessageType.Ack);
  });

  test("a request for another guest's address in its name, from another port, gets a NAK", () => {
    const b = new DhcpBench({ dhcp: { staticLeases: { '52:54:00:00:00:02': '10.0.2.7' } } });
    b.lease(mac(1), from(1));
    b.lease(mac(2), from(1));
    expect(b.select(mac(1), '10.0.2.15', from(2))).toBe('NAK');
    expect(b.select(mac(2), '10.0.2.7', from(2))).toBe('NAK');
    expect(b.lease(mac(2), from(2))).toBe('10.0.2.16');
    expect(b.table).toEqual(['10.0.2.15', '10.0.2.7', '10.0.2.16']);
  });

  test('the lease of a guest whose link is gone is given on when the pool is empty, one of a guest that is there never', () => {
    const b = new DhcpBench({ dhcp: { first: '10.0.2.15', last: '10.0.2.16' } });
    b.lease(mac(1), from(1));
    b.lease(mac(2), from(2));
    b.server.forgetPort(2);
    expect(b.lease(mac(3), from(3))).toBe('10.0.2.16');
    expect(b.send(buildDiscover(mac(4), 0), from(4))).toBe(Drop.DhcpPoolEmpty);
    expect(b.lease(mac(1), from(1))).toBe('10.0.2.15');
  });

  test('a static lease is for its MAC alone, inside or outside of the pool', () => {
    const b = new DhcpBench({
      dhcp: { staticLeases: { '52:54:00:00:00:05': '10.0.2.15', '52:54:00:00:00:06': '10.0.2.7' } },
    });
    expect(b.lease(mac(1))).toBe('10.0.2.16');
    expect(b.select(mac(2), '10.0.2.15')).toBe('NAK');
    expect(b.select(mac(2), '10.0.2.7')).toBe('NAK');
    expect(b.lease(mac(5))).toBe('10.0.2.15');
    expect(b.lease(mac(6))).toBe('10.0.2.7');
    expect(b.select(mac(6), '10.0.2.30')).toBe('NAK');
  });

  test('the pool passes over network, gateway, name service and broadcast addresses', () => {
    const b = new DhcpBench({ dhcp: { first: '10.0.2.1', last: '10.0.2.5' } });
    const got = [1, 2, 3, 4].map((n) => b.lease(mac(n)));
    expect(got).toEqual(['10.0.2.1', '10.0.2.4', '10.0.2.5', null]);
  });
});

describe('limits', () => {
  test('an exhausted pool has a name; live leases are never taken away', () => {
    const b = new DhcpBench({ dhcp: { first: '10.0.2.15', last: '10.0.2.16' } });
    b.lease(mac(1));
    b.lease(mac(2));
    expect(b.send(buildDiscover(mac(3), null))).toBe(Drop.DhcpPoolEmpty);
    expect(b.send(raw(MessageType.None, { chaddr: mac(4).mac }))).toBe(Drop.DhcpPoolEmpty);
    expect(b.select(mac(3), '10.0.2.17')).toBe('NAK');
    b.ports.clock.advance(DAY);
    expect(b.offer(mac(3))).toBe('10.0.2.15');
  });

  test('the table has at most limits.leases rows; the longest expired goes first', () => {
    const b = new DhcpBench({ limits: { leases: 3 } });
    for (const n of [1, 2, 3]) {
      b.lease(mac(n));
      b.ports.clock.advance(1000);
    }
    expect(b.offer(mac(4))).toBeNull();
    expect(b.select(mac(4), '10.0.2.99')).toBe('NAK');
    b.ports.clock.advance(DAY);
    expect(b.reboot(mac(4), '10.0.2.99')).toBe('10.0.2.99');
    expect(b.lease(mac(3))).toBe('10.0.2.17');
    expect(b.lease(mac(5))).toBe('10.0.2.15');
    expect(b.table.length).toBe(3);
  });

  test('a flood of DISCOVERs with invented MACs takes no lease, and offers of its own port only', () => {
    const b = new DhcpBench({ dhcp: { first: '10.0.2.15', last: '10.0.2.100' } });
    b.lease(mac(1), from(1));
    expect(b.offer(mac(2), null, from(2))).toBe('10.0.2.16');
    for (let n = 0; n < 5000; n++) b.send(buildDiscover(mac(1000 + n), null), from(3));
    expect(b.offer(mac(3), null, from(2))).not.toBeNull();
    expect(b.select(mac(2), '10.0.2.16', from(2))).toBe('10.0.2.16');
    expect(b.lease(mac(1), from(1))).toBe('10.0.2.15');
    expect(b.table).toEqual(['10.0.2.15', '10.0.2.16']);
  });

  test('invented MACs that take leases, or decline them, leave a quarter of the pool to other ports', () => {
    for (const declines of [false, true]) {
      const b = new DhcpBench();
      let got = 0;
      for (let n = 0; n < 1000; n++) {
        const address = b.lease(mac(1000 + n), from(3));
        if (address !== null && address !== 'NAK') got++;
        if (!declines || address === null) continue;
        const requested: OptionValue = [Option.RequestedAddress, number(4, word(address))];
        b.send(raw(MessageType.Decline, { chaddr: mac(1000 + n).mac }, [requested]), from(3));
      }
      expect(got).toBe(180);
      for (let n = 0; n < 60; n++) expect(b.lease(mac(n + 1), from(4))).toMatch(/^10\.0\.2\./);
      expect(b.lease(mac(61), from(4))).toBeNull();
    }
  });

  test('a lease is renewed also where its port holds all that it may', () => {
    const b = new DhcpBench();
    for (let n = 1; n <= 181; n++) b.lease(mac(n));
    expect(b.table.length).toBe(180);
    expect(b.renew(mac(180), '10.0.2.194')).toBe('10.0.2.194');
    expect(b.reboot(mac(300), '10.0.2.250')).toBe('NAK');
  });

  test('a port that floods keeps its latest offers', () => {
    const b = new DhcpBench();
    for (let n = 0; n <= OFFERS_PER_PORT; n++) {
      b.offer(mac(n + 1));
      b.ports.clock.advance(1);
    }
    expect(b.offer(mac(9999))).toBe('10.0.2.15');
    expect(b.select(mac(3), '10.0.2.17')).toBe('10.0.2.17');
  });

  test('offers that nobody takes up are not remembered instead of expired leases', () => {
    const b = new DhcpBench({ limits: { leases: 4 } });
    b.lease(mac(1));
    b.ports.clock.advance(DAY);
    for (let n = 0; n < 50; n++) {
      b.offer(mac(100 + n));
      b.ports.clock.advance(OFFER_MS);
    }
    expect(b.offer(mac(1))).toBe('10.0.2.15');
  });

  test('there is no timer, and stop() gives the port up', () => {
    const b = new DhcpBench();
    b.lease(mac(1));
    expect(b.ports.timers.armed).toBe(0);
    b.server.stop();
    expect(b.ports.boundUdp).toBe(0);
  });
});

describe('the table', () => {
  test('the lease table as rows', () => {
    const b = new DhcpBench();
    b.lease(mac(1));
    b.offer(mac(2));
    b.ports.clock.advance(400_500);
    expect(b.server.leases(b.ports.clock.now())).toEqual([
      { mac: '52:54:00:00:00:01', address: '10.0.2.15', secondsLeft: 86_000 },
    ]);
  });

  test('any message: no throw, one verdict, at most one reply, nobody has two addresses or one that is ours', () => {
    const b = new DhcpBench({ dhcp: { first: '10.0.2.1', last: '10.0.2.8' }, limits: { leases: 5 } });
    const address = fc.constantFrom(
      0,
      ...['1', '2', '3', '4', '5', '8', '9', '255'].map((n) => word(`10.0.2.${n}`)),
    );
    const message = fc.record({
      type: fc.integer({ min: 0, max: 9 }),
      n: fc.integer({ min: 1, max: 6 }),
      ciaddr: address,
      wanted: address,
      server: fc.constantFrom(0, GATEWAY, word('10.0.2.9')),
      id: fc.constantFrom(0, 1, 2),
      ingress: fc.integer({ min: 1, max: 2 }),
      wait: fc.constantFrom(0, 1000, OFFER_MS, REST_MS, DAY / 2),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 40 }), (messages) => {
        for (const m of messages) {
          b.ports.clock.advance(m.wait);
          const more: OptionValue[] = [];
          if (m.wanted !== 0) more.push([Option.RequestedAddress, number(4, m.wanted)]);
          if (m.server !== 0) more.push([Option.ServerId, number(4, m.server)]);
          if (m.id !== 0) more.push([Option.ClientId, Uint8Array.of(0, m.id)]);
          const from = peer('10.0.2.9', 68, '52:54:00:00:00:01', m.ingress);
          const answer = b.ask(raw(m.type, { chaddr: mac(m.n).mac, ciaddr: m.ciaddr }, more), from);
          if (answer !== null) expect(answer.message.op).toBe(2);
          const rows = b.table;
          expect(new Set(rows).size).toBe(rows.length);
          expect(rows.length).toBeLessThanOrEqual(5);
          for (const ours of ['10.0.2.0', '10.0.2.2', '10.0.2.3', '10.0.2.9'])
            expect(rows).not.toContain(ours);
        }
      }),
      { numRuns: 100 },
    );
  });
});
