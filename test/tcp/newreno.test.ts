import { describe, expect, test } from 'vitest';
import { NewReno } from '../../src/tcp/newreno.ts';

const MSS = 1000;

function started(): NewReno {
  const reno = new NewReno();
  reno.setMss(MSS);
  return reno;
}

test.each([
  [500, 5000],
  [1000, 10_000],
  [1460, 14_600],
  [5000, 14_600],
  [9000, 18_000],
])('RFC 6928 2: with an MSS of %i the initial window is %i', (mss, window) => {
  const reno = new NewReno();
  reno.setMss(mss);
  expect(reno.cwnd).toBe(window);
});

describe('RFC 5681 3.1', () => {
  test('slow start: the window grows by what is acknowledged', () => {
    const reno = started();
    reno.onAck(2000, 10_000);
    expect(reno.cwnd).toBe(12_000);
  });

  test('congestion avoidance: by one segment a round trip', () => {
    const reno = started();
    reno.onFastRetransmit(20_000);
    reno.onRecovered(20_000);
    expect(reno.cwnd).toBe(10_000);
    for (let i = 0; i < 10; i++) reno.onAck(1000, 10_000);
    expect(reno.cwnd).toBeGreaterThan(10_900);
    expect(reno.cwnd).toBeLessThanOrEqual(11_000);
  });

  test('what was not used is not grown', () => {
    const reno = started();
    reno.onAck(1000, 2000);
    expect(reno.cwnd).toBe(10_000);
  });

  test('a timeout: one segment, and half the flight; the same segment again halves no further', () => {
    const reno = started();
    reno.onTimeout(10_000, false);
    expect([reno.cwnd, reno.ssthresh]).toEqual([MSS, 5000]);
    reno.onTimeout(1000, true);
    expect([reno.cwnd, reno.ssthresh]).toEqual([MSS, 5000]);
  });

  test('never less than two segments', () => {
    const reno = started();
    reno.onTimeout(1000, false);
    expect(reno.ssthresh).toBe(2000);
  });
});

describe('RFC 5681 3.2, RFC 6582 3.2', () => {
  test('fast retransmit: half the flight and three segments that have left the network', () => {
    const reno = started();
    reno.onFastRetransmit(20_000);
    expect([reno.ssthresh, reno.cwnd]).toEqual([10_000, 13_000]);
    reno.onDuplicateAck();
    expect(reno.cwnd).toBe(14_000);
  });

  test('step 3: a partial ACK takes off what it acknowledges and adds one segment', () => {
    const reno = started();
    reno.onFastRetransmit(20_000);
    reno.onPartialAck(3000);
    expect(reno.cwnd).toBe(11_000);
    reno.onPartialAck(500);
    expect(reno.cwnd).toBe(10_500);
    reno.onPartialAck(50_000);
    expect(reno.cwnd).toBe(MSS);
  });

  test('step 3: the full ACK ends with ssthresh, or one segment more than is out', () => {
    const [busy, drained] = [started(), started()];
    for (const reno of [busy, drained]) reno.onFastRetransmit(20_000);
    busy.onRecovered(15_000);
    drained.onRecovered(0);
    expect([busy.cwnd, drained.cwnd]).toEqual([10_000, 2000]);
  });
});

test('RFC 5681 4.1: after a pause no more than the initial window', () => {
  const reno = started();
  for (let i = 0; i < 50; i++) reno.onAck(10_000, reno.cwnd);
  reno.onIdle();
  expect(reno.cwnd).toBe(10_000);
});
