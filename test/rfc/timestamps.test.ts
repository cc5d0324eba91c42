// RFC 7323 3.2, 5.5 and RFC 6191, as far as options.test.ts does not have them: which echo is none, how long TS.Recent is
// worth something, and what a timestamp says of a SYN that comes in TIME-WAIT.

import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { ACK, FIN, RST, SYN, type TcpFields, tcp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';
import { established, TcpPeer } from '../support/tcp-peer.ts';

describe('RFC 7323 3.2: without ACK the TSecr is ignored', () => {
  test('of a SYN: it is no round trip, and is not echoed', () => {
    const peer = new TcpPeer({ timestamps: true });
    const { guest, host, clock, tcb } = peer;
    clock.advance(5000);
    guest.sends({ seq: 0, flags: 'S', options: { mss: 1460, ts: [1000, 77] } });
    host.accepts();
    guest.expects({ flags: 'SA', options: { ts: [clock.now() + 77, 1000] } });
    clock.advance(40);
    guest.sends({ options: { ts: [1001, clock.now() - 40 + 77] } });
    expect(host.heard).toEqual(['established']);
    expect(tcb.rtt.srtt).toBe(40);
  });

  test('of text: nothing that it may say is measured, and the segment is dropped', () => {
    const { guest, host, clock, tcb } = established({ timestamps: true });
    const { srtt } = tcb.rtt;
    host.gives('hello');
    guest.takesAll();
    clock.advance(50);
    expect(guest.sends({ flags: 'P', data: 'x', options: { ts: [2000, 77] } })).toBe(Drop.TcpNotAcceptable);
    expect([tcb.rtt.srtt, tcb.sendRing.length, host.takes()]).toEqual([srtt, 5, '']);
  });
});

describe('RFC 7323 5.5: TS.Recent is worth nothing 24 days after it was taken', () => {
  test.each([true, false])(
    'not after the first of them: a flow that talks wants PAWS for ever; predicted: %s',
    (predicts) => {
      const { guest, host, clock } = established({ timestamps: true, predicts });
      for (let hour = 0; hour < 25 * 24; hour++) {
        clock.advance(3_600_000);
        guest.sends({ data: 'x', options: { ts: [5000 + hour, 77] } });
        guest.takesAll();
      }
      expect(host.takes()).toBe('x'.repeat(25 * 24));
      expect(guest.sends({ data: 'old', options: { ts: [4000, 77] } })).toBe(Drop.TcpNotAcceptable);
      expect(host.takes()).toBe('');
    },
  );
});

describe('RFC 9293 3.6.1 (SHLD-4), RFC 6191 2: a SYN in TIME-WAIT', () => {
  const stamps = (value: number): Buffer =>
    Buffer.from([1, 1, 8, 10, 0, 0, value >> 8, value & 255, 0, 0, 0, 0]);

  /** The connection has said 500 as its first timestamp and 600 as its last, and numbers up to 5002. */
  function timeWait(stamped = true): RawBench {
    const bench = new RawBench();
    const options = (value: number): TcpFields => (stamped ? { tcpOptions: stamps(value) } : {});
    bench.sends(tcp({ seq: 5000, flags: SYN, ...options(500) }));
    bench.host.stream.open();
    bench.clock.runSoon();
    const ack = (bench.link.lastTcp.seq + 1) >>> 0;
    bench.sends(tcp({ seq: 5001, ack, flags: ACK, ...options(501) }));
    bench.host.stream.ends();
    bench.clock.runSoon();
    bench.sends(tcp({ seq: 5001, ack: ack + 1, flags: ACK | FIN, ...options(600) }));
    bench.clock.runSoon();
    expect(bench.network.flows()).toMatchObject([{ state: 'TIME-WAIT' }]);
    return bench;
  }

  test.each([
    ['newer time, lower number', 601, 1000, true],
    ['newer time, higher number', 601, 900_000, true],
    ['same time, higher number', 600, 900_000, true],
    ['same time, lower number', 600, 1000, false],
    ['same time, the next number', 600, 5002, false],
    ['older time, higher number', 599, 900_000, false],
  ])('%s', (_, time, seq, opens) => {
    const bench = timeWait();
    bench.sends(tcp({ seq, flags: SYN, tcpOptions: stamps(time) }));
    bench.clock.runSoon();
    expect(bench.host.streams).toHaveLength(opens ? 2 : 1);
    if (!opens) return;
    bench.host.stream.open();
    bench.clock.runSoon();
    expect(bench.link.lastTcp).toMatchObject({ flags: SYN | ACK, ack: seq + 1 });
  });

  test.each([
    ['of a connection that had none', false, stamps(700)],
    ['of one that had, without any', true, undefined],
  ])('%s: its number decides', (_, stamped, tcpOptions) => {
    for (const seq of [1000, 900_000]) {
      const bench = timeWait(stamped);
      // What somebody else says of the time is nothing to it.
      bench.sends(tcp({ sport: 6000, flags: ACK, tcpOptions: stamps(100) }));
      bench.sends(tcp({ seq, flags: SYN, ...(tcpOptions === undefined ? {} : { tcpOptions }) }));
      bench.clock.runSoon();
      expect(bench.host.streams).toHaveLength(seq === 1000 ? 1 : 2);
    }
  });

  test('with ACK or RST it opens nothing, whatever its time', () => {
    for (const flags of [SYN | ACK, SYN | RST]) {
      const bench = timeWait();
      bench.sends(tcp({ seq: 900_000, ack: 1, flags, tcpOptions: stamps(700) }));
      bench.clock.runSoon();
      expect(bench.host.streams).toHaveLength(1);
      expect(bench.network.flows()).toMatchObject([{ state: 'TIME-WAIT' }]);
    }
  });
});
