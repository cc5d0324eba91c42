// A whole connection between two Tcbs over a bad channel, from a seed: the same seed gives the same run for ever. What is
// demanded: every byte arrives in order or the connection ends with a reason that there is; both ends end; neither is
// silent, or busy without getting on, for longer than its timers allow; nothing is left behind; the invariants hold after
// every segment and every output.

import { Arena } from '../../src/base/arena.ts';
import { assert } from '../../src/base/assert.ts';
import type { Ms } from '../../src/base/clock.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { createMemory } from '../../src/base/memory.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { Channel, type Fate } from './channel.ts';
import { configFor, type SimulationConfig, withoutFaults } from './config.ts';
import { Endpoint } from './endpoint.ts';
import { judge, judgeTime, outcomeOf, stateOf } from './judge.ts';

export interface SimulationResult {
  readonly seed: number;
  readonly config: SimulationConfig;
  /** What went wrong, null when nothing did. */
  readonly problem: string | null;
  /** How the two ends heard of the end. */
  readonly outcome: string;
  /** Bytes that were read at both ends together, and when the last of them was, or the FIN. */
  readonly bytes: number;
  readonly readAt: Ms;
  /** The same time on the same way without faults; 0 where the connection did not come to a normal end. */
  readonly idealAt: Ms;
  readonly segments: number;
  /** Segments that the channel lost, or damaged. */
  readonly lost: number;
  /** Bytes of text in all segments, and of those that told the other end nothing new. */
  readonly textSent: number;
  readonly needless: number;
  readonly timeouts: number;
  readonly longestChain: number;
  readonly longestSilence: Ms;
  readonly mostInVain: number;
}

/** What a trace is told: who sent it, what became of it. */
export type Trace = (now: Ms, from: 'active' | 'passive', fate: Fate, bytes: Uint8Array) => void;

/** Longer than anything that ends by itself: pauses of hours, and keep-alive behind them. */
const LIMIT_MS = 48 * 3_600_000;
const ARENA_BYTES = 16 << 20;

/** Runs one after the other on one arena: whatever a run leaves in it shows. */
export class Simulator {
  trace: Trace | null = null;
  private arena = newArena();

  /** The run of `seed`, and the same without faults beside it. When that one fails, `config` is its. */
  run(seed: number, config = configFor(seed)): SimulationResult {
    const result = this.runConfig(seed, config);
    if (result.problem !== null || result.outcome !== 'normal/normal') return result;
    if (config.kind === 'clean') return { ...result, idealAt: result.readAt };
    const { trace } = this;
    this.trace = null;
    const ideal = this.runConfig(seed, withoutFaults(config));
    this.trace = trace;
    const { readAt } = ideal;
    if (ideal.problem === null)
      return { ...result, idealAt: readAt, problem: judgeTime(config, result.readAt, readAt) };
    return { ...result, config: ideal.config, problem: `without faults: ${ideal.problem}` };
  }

  runConfig(seed: number, config: SimulationConfig): SimulationResult {
    const clock = new ManualClock();
    const turn = new Turn(clock);
    const timers = new Timers(clock, turn);
    const world = { arena: this.arena, turn, timers };
    const before = this.arena.used;
    // Each has its own chance, so that what one does changes nothing for the others.
    const seeds = new SeededRandom(~seed);
    const random = () => new SeededRandom(seeds.word());
    const active = new Endpoint(world, config.active, seeds.word());
    const passive = new Endpoint(world, config.passive, seeds.word());
    const there = new Channel(timers, random(), config.there, (message) => passive.receive(message));
    const back = new Channel(timers, random(), config.back, (message) => active.receive(message));
    active.peer = passive;
    passive.peer = active;
    active.transmit = (message, bare) => there.send(message, bare, turn.now);
    passive.transmit = (message, bare) => back.send(message, bare, turn.now);
    this.traceInto(clock, there, back);
    let problem: string | null = null;
    try {
      turn.run(() => active.start(turn.now));
      while (!isOver(active, passive, there) && clock.nextAlarm <= LIMIT_MS) clock.advanceTo(clock.nextAlarm);
      const over = isOver(active, passive, there);
      problem = over ? judge(active, passive, config) : `hung: ${stateOf(active)}; ${stateOf(passive)}`;
      active.free();
      passive.free();
      assert(this.arena.used === before, 'the arena has everything back');
    } catch (error) {
      problem ??= error instanceof Error ? (error.stack ?? error.message) : String(error);
      problem = `at ${clock.now()} ms: ${problem}; ${stateOf(active)}; ${stateOf(passive)}`;
      this.arena = newArena();
    }
    return { seed, config, problem, ...figures([active, passive], [there, back]) };
  }

  private traceInto(clock: ManualClock, there: Channel, back: Channel): void {
    const { trace } = this;
    if (trace === null) return;
    there.trace = (fate, bytes) => trace(clock.now(), 'active', fate, bytes);
    back.trace = (fate, bytes) => trace(clock.now(), 'passive', fate, bytes);
  }
}

type Figures = Omit<SimulationResult, 'seed' | 'config' | 'problem'>;

function figures(ends: readonly [Endpoint, Endpoint], ways: readonly [Channel, Channel]): Figures {
  const sum = <T>(of: readonly [T, T], what: (one: T) => number) => what(of[0]) + what(of[1]);
  const most = (what: (one: Endpoint) => number) => Math.max(what(ends[0]), what(ends[1]));
  return {
    outcome: outcomeOf(...ends),
    bytes: sum(ends, (end) => end.read),
    readAt: most((end) => end.readAt),
    idealAt: 0,
    segments: sum(ways, (way) => way.sent),
    lost: sum(ways, (way) => way.lost + way.damaged),
    textSent: sum(ends, (end) => end.watch.textSent),
    needless: sum(ends, (end) => end.watch.needless),
    timeouts: sum(ends, (end) => end.counters.timeouts),
    longestChain: most((end) => end.watch.longestChain),
    longestSilence: most((end) => end.progress.longestSilence),
    mostInVain: most((end) => end.progress.mostInVain),
  };
}

function newArena(): Arena {
  return new Arena(createMemory(ARENA_BYTES, (buffer) => new Uint8Array(buffer)));
}

/** Nothing of the connection is left at either end, and nothing under way that could bring it back. */
function isOver(active: Endpoint, passive: Endpoint, there: Channel): boolean {
  return active.ended && (passive.ended || (passive.tcb === null && there.isEmpty));
}
