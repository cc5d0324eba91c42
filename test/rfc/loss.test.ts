// What a loss may and must not do to a sender, as far as recovery.test.ts and retransmission.test.ts do not have it: when
// a second one counts, what is no sign of one, and how long what was learnt of the path is believed.

import { describe, expect, test } from 'vitest';
import { pattern } from '../support/segment-bytes.ts';
import { established, type HostSegment, type PeerOptions, TcpPeer } from '../support/tcp-peer.ts';

const MSS = 1460;
const ROUND_TRIP = 100;

/** A connection with a round trip of 100 ms or so much, and nothing out. What the host gives next begins at 2. */
function withRoundTrip(options: PeerOptions = {}, roundTrip = ROUND_TRIP): TcpPeer {
  const peer = new TcpPeer({ sackPermitted: true, ...options });
  peer.guest.sendsSyn();
  peer.host.accepts();
  peer.guest.takesAll();
  peer.clock.advance(roundTrip);
  peer.guest.sends({});
  peer.host.gives('x');
  peer.guest.takesAll();
  peer.clock.advance(roundTrip);
  peer.guest.sends({});
  return peer;
}

/** The same with much to send; ten segments are out. The first of them begins at 2. */
function tenOut(options: PeerOptions = {}, roundTrip = ROUND_TRIP): TcpPeer {
  const peer = withRoundTrip(options, roundTrip);
  peer.host.gives(pattern(200 * MSS));
  return peer;
}

/** Sequence number, counted from the SYN, where segment `i` begins. */
function at(i: number): number {
  return 2 + MSS * i;
}

function numberOf({ seq }: HostSegment): number {
  return (seq - 2) / MSS;
}

/** An ACK of everything before segment `next`, with the segments of `ranges`, [from, to). */
function sacks(
  { guest, tcb }: TcpPeer,
  next: number,
  ...ranges: readonly (readonly [number, number])[]
): void {
  const edge = (i: number) => (tcb.iss + at(i)) | 0;
  const sack = ranges.slice(0, 4).map(([from, to]) => [edge(from), edge(to)] as const);
  guest.sends({ ack: at(next), ...(sack.length > 0 ? { options: { sack } } : {}) });
}

/** A guest that gets what was sent a round trip ago, but for the first sending of the segments in `lost`. */
class LossyGuest {
  /** ssthresh each time that it had changed. */
  readonly thresholds: number[] = [];
  private readonly peer: TcpPeer;
  private readonly lost: Set<number>;
  private readonly got = new Set<number>();
  private next = 0;

  constructor(peer: TcpPeer, lost: readonly number[]) {
    this.peer = peer;
    this.lost = new Set(lost);
  }

  round(): void {
    const { peer, got } = this;
    const arriving = peer.guest.takesAll().map(numberOf);
    peer.clock.advance(ROUND_TRIP);
    for (const i of arriving) {
      if (this.lost.delete(i)) continue;
      got.add(i);
      while (got.has(this.next)) this.next++;
      sacks(peer, this.next, ...this.ranges(i));
      const { ssthresh } = peer.tcb.congestion;
      if (ssthresh !== this.thresholds.at(-1)) this.thresholds.push(ssthresh);
    }
  }

  /** What it has beyond `next`, the range of segment `latest` first. */
  private ranges(latest: number): [number, number][] {
    const ranges: [number, number][] = [];
    for (const i of [...this.got].filter((one) => one > this.next).sort((a, b) => a - b)) {
      const last = ranges.at(-1);
      if (last !== undefined && last[1] === i) last[1]++;
      else ranges.push([i, i + 1]);
    }
    return ranges.sort(([, a], [, b]) => Number(b > latest) - Number(a > latest));
  }
}

describe('RFC 5681 3.2, 4.3: when the window goes down', () => {
  test('once for the losses of one window', () => {
    const peer = tenOut();
    const guest = new LossyGuest(peer, [0, 3, 5, 9]);
    for (let i = 0; i < 5; i++) guest.round();
    expect(guest.thresholds.slice(-1)).toEqual([5 * MSS]);
    expect([peer.counters.fastRetransmits, peer.counters.timeouts]).toEqual([1, 0]);
  });

  test('twice for losses in two windows in a row', () => {
    const peer = tenOut();
    // Ten segments were out when the first loss was found, and two more by limited transmit.
    const guest = new LossyGuest(peer, [0, 14]);
    for (let i = 0; i < 8; i++) guest.round();
    expect([peer.counters.fastRetransmits, peer.counters.timeouts]).toEqual([2, 0]);
    expect(guest.thresholds.at(-2)).toBe(5 * MSS);
    expect(guest.thresholds.at(-1)).toBeLessThan(5 * MSS);
  });

  test('RFC 6675 5.1: not again for SACKs of what a timeout has sent again', () => {
    const peer = tenOut();
    peer.guest.takesAll();
    while (peer.counters.timeouts === 0) peer.clock.advance(1);
    expect(peer.guest.takesAll().map(numberOf)).toContain(0);
    const { ssthresh } = peer.tcb.congestion;
    for (let i = 2; i <= 9; i++) sacks(peer, 0, [1, i]);
    expect(peer.counters.fastRetransmits).toBe(0);
    expect(peer.tcb.congestion.ssthresh).toBe(ssthresh);
  });
});

describe('RFC 5681 3.1: what SACK alone reports, where segments overtake each other', () => {
  /** Twelve are out or so, all in flight, and the window is full; `reordered`: some have been seen to overtake others. */
  function windowFull(reordered: boolean): { peer: TcpPeer; next: number } {
    const peer = tenOut();
    peer.clock.advance(ROUND_TRIP);
    if (reordered) sacks(peer, 0, [1, 2]);
    sacks(peer, 4);
    peer.guest.takesAll();
    expect(peer.tcb.recovery.reordered).toBe(reordered);
    return { peer, next: 4 };
  }

  test('opens the window, and what it filled in does not do so a second time', () => {
    const { peer, next } = windowFull(true);
    const { congestion } = peer.tcb;
    const before = congestion.cwnd;
    sacks(peer, next, [next + 1, next + 3]);
    expect(congestion.cwnd).toBe(before + 2 * MSS);
    sacks(peer, next, [next + 1, next + 4]);
    sacks(peer, next + 4);
    expect(congestion.cwnd).toBe(before + 4 * MSS);
  });

  test('waits for the ACK that moves SND.UNA where they never have', () => {
    const { peer, next } = windowFull(false);
    const { congestion } = peer.tcb;
    const before = congestion.cwnd;
    sacks(peer, next, [next + 1, next + 3]);
    expect(congestion.cwnd).toBe(before);
  });

  test('does nothing of the kind for a duplicate, in a recovery, or after a timeout', () => {
    const { peer, next } = windowFull(true);
    const { congestion, recovery } = peer.tcb;
    let grown = 0;
    const onAck = congestion.onAck.bind(congestion);
    congestion.onAck = (ack) => {
      grown++;
      onAck(ack);
    };
    sacks(peer, next, [0, 1]);
    expect([recovery.phase, grown]).toEqual(['open', 0]);
    sacks(peer, next, [next + 1, next + 6]);
    expect(grown).toBe(1);
    peer.clock.advance(ROUND_TRIP);
    expect(recovery.phase).toBe('recovery');
    sacks(peer, next, [next + 1, next + 8]);
    while (peer.counters.timeouts === 0) peer.clock.advance(10);
    sacks(peer, next, [next + 1, next + 9]);
    expect([recovery.phase, recovery.log.sackedCount, grown]).toEqual(['loss', 8, 1]);
  });
});

describe('what is no sign of a loss', () => {
  test('RFC 5681 3.2: duplicates on either side of an ACK of something new do not add up', () => {
    const { guest, counters } = tenOut({ sackPermitted: false });
    for (let i = 0; i < 5; i++) {
      guest.sends({ ack: at(i) });
      guest.sends({ ack: at(i) });
    }
    expect([counters.fastRetransmits, counters.retransmits]).toEqual([0, 0]);
  });

  test('RFC 3042 2: with SACK a duplicate without news lets nothing out', () => {
    const peer = tenOut();
    expect(peer.guest.takesAll()).toHaveLength(10);
    for (let i = 0; i < 6; i++) sacks(peer, 0);
    expect(peer.guest.takesAll()).toEqual([]);
    sacks(peer, 0, [1, 2]);
    expect(peer.guest.takesAll().map(numberOf)).toEqual([10]);
    for (let i = 0; i < 6; i++) sacks(peer, 0, [1, 2]);
    expect(peer.guest.takesAll()).toEqual([]);
  });
});

describe('RFC 8985 6.2: what RACK believes of the path', () => {
  /** The milliseconds that a segment with only one behind it is waited for. */
  function patience(peer: TcpPeer, roundTrip: number): number {
    const [first] = peer.guest.takesAll().map(numberOf);
    peer.clock.advance(roundTrip);
    sacks(peer, first!, [first! + 1, first! + 2]);
    peer.guest.takesAll();
    for (let ms = 1; ms < 1000; ms++) {
      peer.clock.advance(1);
      if (!peer.guest.takesAll().map(numberOf).includes(first!)) continue;
      expect(peer.counters.timeouts, 'not found by RACK').toBe(0);
      return ms;
    }
    throw new Error('it was not sent again');
  }

  test('step 4: D-SACKs widen the reordering window, to a smoothed round trip at most', () => {
    // The timer comes at 200 ms, and this would seem to be its work with a round trip of half as much.
    const roundTrip = 50;
    const peer = tenOut({}, roundTrip);
    for (let round = 0; round < 10; round++) {
      peer.guest.takesAll();
      peer.clock.advance(roundTrip);
      const next = Math.floor((peer.tcb.sndNxt - peer.tcb.iss - 2) / MSS);
      sacks(peer, next, [0, 1]);
      if (peer.tcb.sendRing.length < 100 * MSS) peer.host.gives(pattern(200 * MSS));
    }
    const { srtt } = peer.tcb.rtt;
    const waited = patience(peer, roundTrip);
    expect(waited).toBeGreaterThan(roundTrip / 2);
    expect(waited).toBeLessThanOrEqual(Math.ceil(srtt) + 1);
  });

  test('step 4: after 16 recoveries without a D-SACK it is a quarter of the round trip again', () => {
    const peer = tenOut();
    sacks(peer, 0, [-1, 0]);
    const { recovery } = peer.tcb;
    expect(recovery.reoWndMult).toBe(2);
    const guest = new LossyGuest(
      peer,
      Array.from({ length: 40 }, (_, i) => 15 * i),
    );
    for (let i = 0; i < 400 && peer.counters.fastRetransmits < 17; i++) {
      guest.round();
      if (peer.tcb.sendRing.length < 40 * MSS) peer.host.gives(pattern(200 * MSS));
      if (peer.counters.fastRetransmits < 16) expect(recovery.reoWndMult).toBe(2);
    }
    expect(peer.counters.fastRetransmits).toBe(17);
    expect(recovery.reoWndMult).toBe(1);
  });

  test('step 1: the least round trip is of the last five minutes', () => {
    const { guest, host, clock, tcb } = established({ sackPermitted: true });
    for (let minute = 0; minute < 7; minute++) {
      host.gives('x');
      guest.takesAll();
      // The way becomes longer after the first.
      clock.advance(minute === 0 ? ROUND_TRIP : ROUND_TRIP + 50);
      guest.sends({});
      if (minute < 5) expect(tcb.recovery.minRtt).toBe(ROUND_TRIP);
      clock.advance(60_000);
    }
    expect(tcb.recovery.minRtt).toBe(ROUND_TRIP + 50);
  });
});

test('RFC 8985 7.3: no second probe without a sample since the last; the RTO is armed instead', () => {
  const { guest, host, clock, tcb, counters } = withRoundTrip();
  host.gives('a');
  guest.takesAll();
  // The timeout is backed off, so that probes come before it; its retransmission gives no sample (Karn).
  while (counters.timeouts === 0) clock.advance(1);
  guest.takesAll();
  guest.sends({});
  host.gives('b');
  guest.takesAll();
  while (counters.tailLossProbes === 0) clock.advance(1);
  // The probe repeats b: no sample either.
  guest.takesAll();
  guest.sends({});
  host.gives('c');
  guest.takesAll();
  clock.advance(tcb.rtt.rto - 1);
  expect(counters.tailLossProbes).toBe(1);
});
