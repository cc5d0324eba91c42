// A whole connection between two Tcbs over a bad channel, from a seed: the same seed gives the same run for ever. What is
// demanded: every byte arrives in order or the connection ends with a reason; both ends end; nothing is left behind; the
// invariants hold after every segment and every output.

import { Arena } from '../../src/base/arena.ts';
import { assert } from '../../src/base/assert.ts';
import { createMemory } from '../../src/base/memory.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { Channel, type ChannelConfig } from './channel.ts';
import { Endpoint, type EndpointConfig } from './endpoint.ts';

export interface SimulationConfig {
  readonly channel: ChannelConfig;
  readonly active: EndpointConfig;
  readonly passive: EndpointConfig;
}

export interface SimulationResult {
  readonly seed: number;
  readonly config: SimulationConfig;
  /** What went wrong, null when nothing did. */
  readonly problem: string | null;
  /** How the two ends heard of the end. */
  readonly outcome: string;
  /** Bytes that were read at both ends together. */
  readonly bytes: number;
  readonly virtualMs: number;
  readonly segments: number;
  readonly retransmits: number;
  readonly timeouts: number;
}

/** Longer than two keep-alive times, and than anything that ends by itself. */
const LIMIT_MS = 10 * 3_600_000;
const ARENA_BYTES = 16 << 20;

/** Runs one after the other on one arena: whatever a run leaves in it shows. */
export class Simulator {
  private arena = newArena();

  /** One run. `most` limits the bytes of each direction. */
  run(seed: number, most = 300_000): SimulationResult {
    const random = new SeededRandom(seed);
    return this.runConfig(seed, random, configFor(random, most));
  }

  runConfig(seed: number, random: SeededRandom, config: SimulationConfig): SimulationResult {
    const clock = new ManualClock();
    const turn = new Turn(clock);
    const timers = new Timers(clock, turn);
    const world = { arena: this.arena, turn, timers, random };
    const before = this.arena.used;
    const active = new Endpoint(world, config.active);
    const passive = new Endpoint(world, config.passive);
    const there = new Channel(timers, random, config.channel, (bytes) => passive.receive(bytes));
    const back = new Channel(timers, random, config.channel, (bytes) => active.receive(bytes));
    active.peer = passive;
    passive.peer = active;
    active.transmit = (bytes) => there.send(bytes, turn.now);
    passive.transmit = (bytes) => back.send(bytes, turn.now);
    let problem: string | null = null;
    try {
      turn.run(() => active.start(turn.now));
      while (!isOver(active, passive, there) && clock.nextAlarm <= LIMIT_MS) clock.advanceTo(clock.nextAlarm);
      problem = isOver(active, passive, there) ? judge(active, passive, config) : hung(active, passive);
      active.free();
      passive.free();
      assert(this.arena.used === before, 'the arena has everything back');
    } catch (error) {
      problem ??= error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.arena = newArena();
    }
    const counters = [active.counters, passive.counters];
    return {
      seed,
      config,
      problem,
      outcome: outcomeOf(active, passive),
      bytes: active.read + passive.read,
      virtualMs: clock.now(),
      segments: there.sent + back.sent,
      retransmits: counters.reduce((sum, one) => sum + one.retransmits, 0),
      timeouts: counters.reduce((sum, one) => sum + one.timeouts, 0),
    };
  }
}

function newArena(): Arena {
  return new Arena(createMemory(ARENA_BYTES, (buffer) => new Uint8Array(buffer)));
}

function isOver(active: Endpoint, passive: Endpoint, there: Channel): boolean {
  return active.ended && (passive.ended || (passive.tcb === null && there.isEmpty));
}

function outcomeOf(active: Endpoint, passive: Endpoint): string {
  return `${active.reason}/${passive.tcb === null ? 'unborn' : passive.reason}`;
}

function hung(active: Endpoint, passive: Endpoint): string {
  const of = (end: Endpoint) =>
    `${end.tcb?.state ?? 'unborn'}, wrote ${end.written} of ${end.config.writes}, read ${end.read}`;
  return `hung: active ${of(active)}; passive ${of(passive)}`;
}

/** Both ends have ended: were they right to? */
function judge(active: Endpoint, passive: Endpoint, config: SimulationConfig): string | null {
  const { loss, corrupt } = config.channel;
  const ends = [active, passive];
  const aborted = ends.some((end) => end.aborted);
  const timedOut = ends.some((end) => end.reason === 'timed-out');
  const outcome = outcomeOf(active, passive);
  if (!aborted && !timedOut && outcome !== 'normal/normal') return `ended without a cause: ${outcome}`;
  if (timedOut && !aborted && loss + corrupt === 0)
    return `timed out on a channel that loses nothing: ${outcome}`;
  if (outcome !== 'normal/normal') return null;
  for (const end of ends) {
    if (end.read !== end.peer.config.writes)
      return `${end.config.role} read ${end.read} of ${end.peer.config.writes}`;
    if (!end.finSeen) return `${end.config.role} saw no FIN`;
  }
  return null;
}

// Configurations

const MTUS = [68, 296, 576, 576, 1280, 1500, 1500, 9000, 65_520] as const;

/** Everything that a seed decides before the run. */
function configFor(random: SeededRandom, most: number): SimulationConfig {
  const clean = random.below(5) === 0;
  const channel: ChannelConfig = {
    loss: clean ? 0 : random.below(2) * 0.2 * random.float(),
    duplicate: clean ? 0 : random.below(2) * 0.05 * random.float(),
    reorder: clean ? 0 : random.below(2) * 0.25 * random.float(),
    corrupt: clean ? 0 : random.below(3) === 0 ? 0.02 * random.float() : 0,
    delayMs: pick(random, [0, 1, 5, 20, 100, 400]),
    jitterMs: pick(random, [0, 0, 1, 10]),
  };
  const stripped = random.below(3) === 0 ? [2, 3, 4, 8].filter(() => random.below(2) === 0) : [];
  const mtus = [pick(random, MTUS), pick(random, MTUS)] as const;
  return {
    channel,
    active: endConfig(random, 'active', mtus, most, stripped),
    passive: endConfig(random, 'passive', [mtus[1], mtus[0]], most, stripped),
  };
}

function endConfig(
  random: SeededRandom,
  role: 'active' | 'passive',
  [mtu, otherMtu]: readonly [number, number],
  most: number,
  stripped: readonly number[],
): EndpointConfig {
  const flowBytes = 4096 << random.below(9);
  // Small segments over a long way take long: fewer bytes.
  const scale = Math.min(1, mtu / 1500, otherMtu / 1500, flowBytes / 32_768);
  const writes = random.below(8) === 0 ? 0 : Math.floor(most * scale * random.float());
  return {
    role,
    iss: pick(random, [-300, 0x7fffff00, -writes >> 1, random.word()]) | 0,
    mtu,
    flowBytes,
    writes,
    writeChunk: pick(random, [100, 3000, 65_536]),
    readChunk: pick(random, [50, 3000, 65_536, 1 << 20]),
    idleMs: pick(random, [1, 5, 20]),
    pauseMs: random.below(5) === 0 ? random.below(90_000) : 0,
    abortsAfter: random.below(8) === 0 ? Math.floor(writes * random.float()) : Number.POSITIVE_INFINITY,
    closesLast: role === 'passive' && random.below(2) === 0,
    blocked: random.below(4) === 0 ? 0.02 : 0,
    stripped,
  };
}

function pick<T>(random: SeededRandom, from: readonly T[]): T {
  return from[random.below(from.length)]!;
}
