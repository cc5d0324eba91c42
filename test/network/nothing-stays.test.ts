// What the NAT holds of a flow beside its TCP, and when that ends: a connect that nobody answers, a reset that the guest
// does not wait for, the last bytes of a guest whose cable is out, entries in TIME-WAIT. What the states of TCP themselves
// last is in timeouts.test.ts and in test/rfc/timeouts.test.ts.

import { describe, expect, test } from 'vitest';
import { pattern } from '../support/link-bench.ts';
import { ACK, FIN, PSH, RST, SYN, tcp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';
import { starve } from '../support/starve.ts';

function held({ network, host }: RawBench) {
  const { flows, timers, arena } = network.stats();
  return { flows: flows.tcp, timers, arena: arena.used, streams: host.openStreams.length };
}

/** A bench, and what it holds without a flow. */
function fresh(config = {}) {
  const bench = new RawBench(config);
  return { bench, nothing: held(bench) };
}

describe('connects that nobody answers', () => {
  test('they end after 75 s, and the guest may connect again', () => {
    const { bench, nothing } = fresh({ limits: { pendingConnects: 3 } });
    const syn = (sport: number) => bench.sends(tcp({ sport, flags: SYN }));
    for (const sport of [5000, 5001, 5002, 5003]) syn(sport);
    expect(bench.host.streams).toHaveLength(3);
    expect(bench.link.lastTcp.flags).toBe(RST | ACK);
    bench.clock.advance(74_000);
    expect(held(bench)).toMatchObject({ flows: 3, timers: 3 });
    bench.clock.advance(2000);
    expect(held(bench)).toEqual(nothing);
    syn(5003);
    expect(bench.host.streams).toHaveLength(4);
  });

  test('so do those whose guest has gone: at once', () => {
    const { bench } = fresh();
    bench.sends(tcp({ sport: 5000, flags: SYN }));
    bench.link.goesDown();
    bench.clock.runSoon();
    expect(held(bench)).toMatchObject({ flows: 0, timers: 0, streams: 0 });
  });
});

describe('a reset of the host, behind data that the guest does not take', () => {
  test.each(['in the ring', 'beyond it, for want of arena'])('%s: over when TCP gives up', (where) => {
    const { bench, nothing } = fresh();
    bench.connected();
    const giveBack = where === 'in the ring' ? () => {} : starve(bench.network.arena);
    bench.host.stream.gives(pattern(1, 5000));
    bench.clock.runSoon();
    bench.host.stream.fail('reset');
    bench.clock.runSoon();
    bench.clock.advance(1000);
    expect(held(bench)).toMatchObject({ flows: 1, streams: 0 });
    giveBack();
    bench.clock.advance(300_000);
    expect(held(bench)).toEqual(nothing);
  });
});

describe('a guest whose cable is out', () => {
  test('what it had finished saying is delivered for 30 s, then the host is reset', () => {
    const { bench } = fresh();
    const { ack, ...said } = bench.connected();
    const { stream } = bench.host;
    stream.holdWrites = true;
    bench.sends(tcp({ ...said, ack: ack!, flags: ACK | PSH | FIN }, 'late'));
    bench.link.goesDown();
    bench.clock.advance(29_000);
    expect(held(bench)).toMatchObject({ flows: 1, timers: 1, streams: 1 });
    bench.clock.advance(2000);
    expect(held(bench)).toMatchObject({ flows: 0, timers: 0, streams: 0 });
    expect(stream.wasReset).toBe(true);
  });

  test('what the host says meanwhile is read for nobody, and its FIN ends the flow', () => {
    const { bench } = fresh();
    const { ack, ...said } = bench.connected();
    const { stream } = bench.host;
    bench.sends(tcp({ ...said, ack: ack!, flags: ACK | PSH | FIN }, 'late'));
    bench.link.goesDown();
    stream.gives(pattern(1, 300_000)).ends();
    bench.clock.advance(1000);
    expect(stream.text).toBe('late');
    expect(stream.wasReset).toBe(false);
    expect(held(bench)).toMatchObject({ flows: 0, timers: 0, streams: 0 });
  });
});

describe('TIME-WAIT', () => {
  /** The host closes first, the guest after it. */
  function closes(bench: RawBench, sport: number): void {
    const { ack, ...said } = bench.connected(sport);
    bench.host.stream.ends();
    bench.clock.runSoon();
    bench.sends(tcp({ ...said, ack: ack! + 1, flags: ACK | FIN }));
    bench.clock.runSoon();
  }

  test('an entry is a flow and a timer, no socket, for 10 s', () => {
    const { bench, nothing } = fresh();
    for (let i = 0; i < 5; i++) closes(bench, 5000 + i);
    expect(held(bench)).toMatchObject({ flows: 5, timers: 5, streams: 0 });
    bench.clock.advance(11_000);
    expect(held(bench)).toEqual(nothing);
  });

  test('where the guest has no room for one more flow the oldest goes, and nothing of it stays', () => {
    const { bench, nothing } = fresh({ limits: { tcpFlows: 3 } });
    for (let i = 0; i < 10; i++) closes(bench, 5000 + i);
    expect(held(bench)).toMatchObject({ flows: 3, timers: 3, streams: 0 });
    bench.clock.advance(11_000);
    expect(held(bench)).toEqual(nothing);
  });
});

test('flows that end while the link has no room are not asked to send when it has', () => {
  const { bench, nothing } = fresh();
  const said = bench.connected();
  bench.link.full = true;
  bench.host.stream.gives(pattern(1, 5000));
  bench.clock.runSoon();
  bench.sends(tcp({ ...said, flags: RST | ACK }));
  bench.clock.runSoon();
  expect(held(bench)).toEqual(nothing);
  bench.link.takes();
  bench.link.hasRoom();
  bench.clock.runSoon();
  expect(bench.link.frames).toEqual([]);
});
