// One run: flows of given controls through one bottleneck, on a clock moved by hand. The same seed gives the same run.

import { Arena } from '../../src/base/arena.ts';
import type { Ms } from '../../src/base/clock.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { createMemory } from '../../src/base/memory.ts';
import { Timer, Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import type { Congestion } from '../../src/tcp/congestion.ts';
import { SeededRandom } from '../../test/support/seeded-random.ts';
import { Bottleneck, type BottleneckConfig } from './bottleneck.ts';
import { End } from './flow.ts';

export interface RunConfig {
  readonly way: BottleneckConfig;
  /** Of one flow each. */
  readonly controls: readonly (() => Congestion)[];
  /** The second flow begins so much later than the first, and so on. */
  readonly staggerMs: Ms;
  readonly durationMs: Ms;
  /** Goodput is counted from here on. */
  readonly fromMs: Ms;
  /** Data segments that are answered with one ACK, as far as they come together. */
  readonly perAck: number;
  readonly flowBytes: number;
  readonly seed: number;
}

export interface FlowResult {
  /** Mbit/s of payload. */
  readonly goodput: number;
  readonly retransmits: number;
  readonly timeouts: number;
}

/** Runs without loss differ by when the flows begin. */
const START_JITTER_MS = 50;
const ARENA_BYTES = 128 << 20;

export function runFlows(config: RunConfig): FlowResult[] {
  const clock = new ManualClock();
  const turn = new Turn(clock);
  const timers = new Timers(clock, turn);
  const arena = new Arena(createMemory(ARENA_BYTES, (buffer) => new Uint8Array(buffer)));
  const random = new SeededRandom(config.seed);
  const there = new Bottleneck(clock, random, config.way);
  const back = new Bottleneck(clock, random, { ...config.way, rate: Number.POSITIVE_INFINITY, queue: 1e9 });
  const world = { arena, timers };
  const { flowBytes, perAck } = config;
  const flows = config.controls.map((newCongestion, i) => {
    const iss = random.word();
    const sender = new End(world, turn, { sends: true, iss, flowBytes, perAck: 1e9, newCongestion });
    // A turn of its own for each receiver: it answers every `perAck` segments, whatever comes together.
    const own = new Turn(clock);
    const receiver = new End(world, own, { sends: false, iss: ~iss, flowBytes, perAck, newCongestion });
    const toReceiver = receiver.receive.bind(receiver);
    const toSender = sender.receive.bind(sender);
    sender.transmit = (bytes) => there.send(bytes, toReceiver);
    receiver.transmit = (bytes) => back.send(bytes, toSender);
    timers.arm(new Timer(() => sender.connect()), 1 + i * config.staggerMs + random.below(START_JITTER_MS));
    return { sender, receiver, before: 0 };
  });
  clock.advanceTo(config.fromMs);
  for (const flow of flows) flow.before = flow.receiver.taken;
  clock.advanceTo(config.durationMs);
  return flows.map(({ sender, receiver, before }) => ({
    goodput: ((receiver.taken - before) * 8) / (config.durationMs - config.fromMs) / 1000,
    retransmits: sender.counters.retransmits,
    timeouts: sender.counters.timeouts,
  }));
}
