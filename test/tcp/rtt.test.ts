import { expect, test } from 'vitest';
import { Rtt } from '../../src/tcp/rtt.ts';

test('RFC 6298 2.1: one second before anything was measured', () => {
  expect(new Rtt().rto).toBe(1000);
});

test('2.2: the first sample R makes SRTT R and RTTVAR R/2', () => {
  const rtt = new Rtt();
  rtt.sample(400);
  expect(rtt.srtt).toBe(400);
  expect(rtt.rto).toBe(400 + 4 * 200);
});

test('2.3: further samples by 1/8 and 1/4', () => {
  const rtt = new Rtt();
  rtt.sample(400);
  rtt.sample(800);
  const [srtt, rttvar] = [(7 / 8) * 400 + 800 / 8, (3 / 4) * 200 + 400 / 4];
  expect(rtt.srtt).toBe(srtt);
  expect(rtt.rto).toBe(srtt + 4 * rttvar);
});

test('a steady round trip brings the RTO down to 50 ms above it, not below 200 ms', () => {
  const [slow, fast] = [new Rtt(), new Rtt()];
  for (let i = 0; i < 200; i++) {
    slow.sample(1500);
    fast.sample(0);
  }
  expect(slow.rto).toBe(1550);
  expect(fast.rto).toBe(200);
});

test('5.5, 2.5: each timeout doubles it, up to a minute; a sample ends that', () => {
  const rtt = new Rtt();
  rtt.sample(100);
  const seen: number[] = [];
  for (let i = 0; i < 10; i++) {
    rtt.backOff();
    seen.push(rtt.rto);
  }
  expect(seen).toEqual([600, 1200, 2400, 4800, 9600, 19_200, 38_400, 60_000, 60_000, 60_000]);
  rtt.sample(100);
  expect(rtt.rto).toBeLessThan(400);
});

test('5.7: three seconds when the SYN was lost and nothing is known', () => {
  const rtt = new Rtt();
  rtt.backOff();
  rtt.afterLostSyn();
  expect(rtt.rto).toBe(3000);
});

test('RFC 5681 4.1: a pause is silence of 200 ms beyond a round trip, or of an RTO where that is longer', () => {
  const [steady, uneven] = [new Rtt(), new Rtt()];
  for (let i = 0; i < 200; i++) {
    steady.sample(150);
    uneven.sample(i % 2 === 0 ? 50 : 250);
  }
  expect([steady.rto, steady.pause]).toEqual([200, 350]);
  expect(uneven.pause).toBe(uneven.rto);
  expect(new Rtt().pause).toBe(1000);
});
