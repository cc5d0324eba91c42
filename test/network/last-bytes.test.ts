// What a guest had finished saying, FIN and all, and was told has arrived, is the host's: whatever becomes of the guest
// before the host has taken it. And what a guest is due when the host ends it: its reset, also over a link that is full.

import { beforeEach, describe, expect, test } from 'vitest';
import { pattern } from '../support/link-bench.ts';
import { ACK, FIN, PSH, RST, readTcp, SYN, type TcpFields, tcp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';

const SAID = 'all that I had to say';
/** A guest's closed connection is forgotten after so long, by Linux for one. */
const FORGOTTEN = 60_000;

let bench: RawBench;
/** What the guest says next. */
let next: TcpFields;

/** The guest has said everything, and the host takes nothing. */
function saysAll(b: RawBench, sport = 5000): TcpFields {
  const { ack, ...said } = b.connected(sport);
  b.host.stream.holdWrites = true;
  b.sends(tcp({ ...said, ack: ack!, flags: ACK | PSH | FIN }, SAID));
  b.clock.runSoon();
  return { ...said, ack: ack!, seq: said.seq! + SAID.length + 1 };
}

function held({ network, host }: RawBench): object {
  const { flows, timers } = network.stats();
  return { flows: flows.tcp, timers, streams: host.openStreams.length };
}

beforeEach(() => {
  bench = new RawBench();
});

describe('a guest that has closed', () => {
  beforeEach(() => {
    next = saysAll(bench);
  });

  test('and forgotten it, so that a reset answers our keep-alive: the host still gets all, and the end', () => {
    bench.clock.advance(FORGOTTEN + 20_000);
    expect(bench.link.lastTcp.flags).toBe(ACK);
    bench.sends(tcp({ ...next, flags: RST }));
    bench.clock.advance(300_000);
    expect(bench.host.stream).toMatchObject({ wasReset: false, ended: false });
    bench.host.stream.holdWrites = false;
    bench.host.stream.letGo();
    bench.clock.runSoon();
    expect(bench.host.stream).toMatchObject({ text: SAID, wasReset: false, ended: true });
    bench.host.stream.gives('thanks').ends();
    bench.clock.runSoon();
    expect(held(bench)).toEqual({ flows: 0, timers: 0, streams: 0 });
  });

  test('and fallen silent: the same', () => {
    bench.clock.advance(400_000);
    expect(bench.link.lastTcp.flags & RST).toBe(RST);
    bench.host.stream.holdWrites = false;
    bench.host.stream.letGo();
    bench.clock.runSoon();
    expect(bench.host.stream).toMatchObject({ text: SAID, wasReset: false, ended: true });
    bench.clock.advance(31_000);
    expect(held(bench)).toEqual({ flows: 0, timers: 0, streams: 0 });
  });

  test('and the host never takes it: over after ten minutes without a step', () => {
    bench.sends(tcp({ ...next, flags: RST }));
    bench.clock.advance(599_000);
    expect(held(bench)).toEqual({ flows: 1, timers: 1, streams: 1 });
    bench.clock.advance(2000);
    expect(held(bench)).toEqual({ flows: 0, timers: 0, streams: 0 });
    expect(bench.host.stream.wasReset).toBe(true);
  });

  test('and the host talks on and on: no more than a megabyte is read for nobody, and 30 s later it is reset', () => {
    bench.sends(tcp({ ...next, flags: RST }));
    bench.host.stream.gives(pattern(1, 4 << 20));
    bench.clock.advance(1000);
    expect(bench.host.stream.undelivered).toBeGreaterThan(2 << 20);
    expect(bench.host.stream.wasReset).toBe(false);
    bench.host.stream.holdWrites = false;
    bench.host.stream.letGo();
    bench.clock.runSoon();
    bench.clock.advance(29_000);
    expect(bench.host.stream).toMatchObject({ text: SAID, ended: true, wasReset: false });
    expect(bench.host.stream.undelivered).toBeGreaterThan(2 << 20);
    bench.clock.advance(2000);
    expect(bench.host.stream.wasReset).toBe(true);
    expect(held(bench)).toEqual({ flows: 0, timers: 0, streams: 0 });
  });

  test('and resets, with what the host had said not acknowledged: the host has all, and may say the rest', () => {
    bench.host.stream.gives('unheard');
    bench.clock.runSoon();
    bench.sends(tcp({ ...next, flags: RST }));
    bench.host.stream.holdWrites = false;
    bench.host.stream.letGo();
    bench.clock.runSoon();
    expect(bench.host.stream).toMatchObject({ text: SAID, ended: true, wasReset: false });
    bench.host.stream.gives('too').ends();
    bench.clock.runSoon();
    expect(bench.host.stream).toMatchObject({ undelivered: 0, wasReset: false });
    expect(held(bench)).toEqual({ flows: 0, timers: 0, streams: 0 });
  });
});

test('ten minutes are for each step of the host, not for all of them', () => {
  next = bench.connected();
  const { stream } = bench.host;
  stream.holdWrites = true;
  bench.sends(tcp({ ...next, flags: ACK | PSH }, 'one,'));
  bench.clock.runSoon();
  bench.sends(tcp({ ...next, seq: next.seq! + 4, flags: ACK | PSH | FIN }, 'two'));
  bench.clock.runSoon();
  bench.sends(tcp({ ...next, seq: next.seq! + 8, flags: RST }));
  bench.clock.advance(500_000);
  stream.letGo();
  bench.clock.advance(500_000);
  expect(held(bench)).toMatchObject({ flows: 1, streams: 1 });
  stream.letGo();
  bench.clock.runSoon();
  expect(stream).toMatchObject({ text: 'one,two', ended: true });
});

describe('TIME-WAIT', () => {
  /** The host closes first, then the guest, behind words that the host does not take. */
  function waits(b: RawBench): void {
    const said = b.connected();
    b.host.stream.holdWrites = true;
    b.host.stream.ends();
    b.clock.runSoon();
    b.sends(tcp({ ...said, ack: said.ack! + 1, flags: ACK | PSH | FIN }, SAID));
    b.clock.runSoon();
    expect(b.network.flows()).toMatchObject([{ state: 'TIME-WAIT' }]);
  }

  test('one whose host has not taken all makes no room for others', () => {
    const small = new RawBench({ limits: { tcpFlows: 1 } });
    waits(small);
    small.sends(tcp({ sport: 5001, flags: SYN }));
    expect(small.link.lastTcp.flags).toBe(RST | ACK);
    small.host.stream.holdWrites = false;
    small.host.stream.letGo();
    small.clock.runSoon();
    expect(small.host.stream).toMatchObject({ text: SAID, ended: true, wasReset: false });
    small.sends(tcp({ sport: 5001, flags: SYN }));
    expect(small.host.streams).toHaveLength(2);
  });
});

describe('a reset that the link has no room for', () => {
  test.each(['host-reset', 'killed'])('%s: it goes when there is room', (why) => {
    next = bench.connected();
    bench.link.takes();
    bench.link.full = true;
    if (why === 'killed') bench.network.kill(bench.network.flows()[0]!.id);
    else bench.host.stream.fail('reset');
    bench.clock.advance(60_000);
    expect(held(bench)).toMatchObject({ flows: 0, streams: 0 });
    expect(bench.link.takes()).toEqual([]);
    bench.link.hasRoom();
    bench.clock.runSoon();
    expect(bench.link.lastTcp).toMatchObject({ flags: RST | ACK, seq: next.ack });
    expect(bench.network.stats().losses).toEqual({});
    bench.link.takes();
    bench.link.hasRoom();
    expect(bench.link.takes()).toEqual([]);
  });

  test('a guest that asks again meanwhile is answered, not reset', () => {
    bench.sends(tcp({ flags: SYN }));
    bench.link.full = true;
    bench.host.stream.fail('refused');
    bench.clock.advance(1000);
    bench.sends(tcp({ flags: SYN }));
    bench.host.stream.open();
    bench.clock.runSoon();
    bench.link.hasRoom();
    bench.clock.runSoon();
    expect(bench.link.takes().map((frame) => readTcp(frame).flags)).toEqual([SYN | ACK]);
  });

  test('no more than 1024 wait, the others are counted; none when the link has gone', () => {
    const many = new RawBench({ limits: { pendingConnects: 2000 } });
    for (let i = 0; i < 1100; i++) many.sends(tcp({ sport: 5000 + i, flags: SYN }));
    many.link.full = true;
    for (const stream of many.host.streams) stream.fail('refused');
    many.clock.advance(10);
    expect(many.network.stats().losses).toEqual({ LinkQueueFull: 1100 - 1024 });
    many.link.takes();
    many.link.hasRoom();
    expect(many.link.takes()).toHaveLength(1024);
    many.sends(tcp({ sport: 9000, flags: SYN }));
    many.link.full = true;
    many.host.stream.fail('refused');
    many.clock.advance(10);
    many.link.goesDown();
    many.link.hasRoom();
    expect(many.link.takes()).toEqual([]);
  });
});
