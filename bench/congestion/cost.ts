// What an ACK costs in congestion control, ns.

import type { Congestion } from '../../src/tcp/congestion.ts';
import { Cubic } from '../../src/tcp/cubic.ts';
import { NewReno } from '../../src/tcp/newreno.ts';

const ACKS = 2_000_000;
const ROUNDS = 7;
const MSS = 1448;

export function costs(): string[] {
  const rows = [
    ['NewReno', () => new NewReno()],
    ['CUBIC', () => new Cubic()],
  ] as const;
  const lines = ['an ACK in congestion avoidance, ns, the least of seven rounds', ''];
  for (const [name, make] of rows) {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < ROUNDS; i++) least = Math.min(least, once(make()));
    lines.push(`${name}: ${least.toFixed(1)}`);
  }
  return lines;
}

function once(control: Congestion): number {
  control.setMss(MSS);
  control.cwnd = 1000 * MSS;
  control.onLoss(control.cwnd, 0);
  control.onRecovered(0);
  const sample = { now: 0, delivered: 2 * MSS, flight: 0, rtt: 40, srtt: 40.5 };
  const begin = performance.now();
  for (let i = 0; i < ACKS; i++) {
    sample.now = i >> 4;
    sample.flight = control.cwnd;
    control.onAck(sample);
  }
  return ((performance.now() - begin) * 1e6) / ACKS;
}
