import { describe, expect, test } from 'vitest';
import type { AckSample } from '../../src/tcp/congestion.ts';
import { NewReno } from '../../src/tcp/newreno.ts';

const MSS = 1000;

function started(): NewReno {
  const reno = new NewReno();
  reno.setMss(MSS);
  return reno;
}

/** An ACK of `delivered` bytes while `flight` were out. */
function ack(delivered: number, flight: number): AckSample {
  return { now: 0, delivered, flight, rtt: -1, srtt: 0 };
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
    reno.onAck(ack(2000, 10_000));
    expect(reno.cwnd).toBe(12_000);
  });

  test('congestion avoidance: by one segment a round trip', () => {
    const reno = started();
    reno.onLoss(20_000);
    reno.onRecovered();
    expect(reno.cwnd).toBe(10_000);
    for (let i = 0; i < 10; i++) reno.onAck(ack(1000, 10_000));
    expect(reno.cwnd).toBeGreaterThan(10_900);
    expect(reno.cwnd).toBeLessThanOrEqual(11_000);
  });

  test('what was not used is not grown', () => {
    const reno = started();
    reno.onAck(ack(1000, 2000));
    expect(reno.cwnd).toBe(10_000);
  });

  test('the ACKs of one turn, between which nothing could be sent, all count', () => {
    const reno = started();
    for (let flight = 10_000; flight > 0; flight -= 1000) reno.onAck(ack(1000, flight));
    expect(reno.cwnd).toBe(20_000);
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

test('RFC 5681 3.1 (4): a recovery ends at half of what was in flight', () => {
  const reno = started();
  reno.onLoss(20_000);
  expect(reno.ssthresh).toBe(10_000);
  reno.onRecovered();
  expect(reno.cwnd).toBe(10_000);
});

test('RFC 4015: a loss that was none is taken back', () => {
  const reno = started();
  const { ssthresh } = reno;
  reno.onTimeout(10_000, false);
  reno.onTimeout(10_000, true);
  reno.undo();
  expect([reno.cwnd, reno.ssthresh]).toEqual([10_000, ssthresh]);
});

test('RFC 5681 4.1: after a pause no more than the initial window', () => {
  const reno = started();
  for (let i = 0; i < 50; i++) reno.onAck(ack(10_000, reno.cwnd));
  reno.onIdle();
  expect(reno.cwnd).toBe(10_000);
});
