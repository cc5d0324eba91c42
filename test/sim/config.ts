// What a seed decides before the run: the two ways, the two ends, and what becomes of them. A config is plain data, so
// that one which failed can be written down and stays what it is when the making of configs changes.

import type { Ms } from '../../src/base/clock.ts';
import type { CongestionName } from '../../src/base/settings.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import type { ChannelConfig } from './channel.ts';

/** Kinds of channel, the rows of the table. */
export const CHANNELS = [
  'clean',
  'loss <= 1 %',
  'loss <= 5 %',
  'loss <= 20 %',
  'reordering <= 25 %',
  'duplicates, damage',
  'loss and reordering',
  'bursts of loss',
  'loss one way',
  'loss of ACKs',
  'blackout <= 10 s',
  'rate and queue',
  'outage, short queue',
  'all at once',
] as const;
export type ChannelKind = (typeof CHANNELS)[number];

/** Never, where a time or a count is asked for. */
export const NOT = -1;

export interface EndpointConfig {
  readonly role: 'active' | 'passive';
  readonly iss: number;
  readonly mtu: number;
  /** Bytes of each ring, a power of two. */
  readonly flowBytes: number;
  readonly control: CongestionName;
  /** How many bytes it writes before it closes. */
  readonly writes: number;
  /** Largest chunk of a write and of a read. */
  readonly writeChunk: number;
  readonly readChunk: number;
  /** Longest time between two actions. */
  readonly paceMs: Ms;
  /** Reads nothing for so long, once, when it has read the first byte. */
  readonly readPauseMs: Ms;
  /** Writes nothing for so long, once, when it has written half. */
  readonly writePauseMs: Ms;
  /** Resets when it has written as much, or at a time; or NOT. */
  readonly abortsAfter: number;
  readonly abortsAt: Ms;
  /** Is gone at this time without a word, or NOT; answers by resets afterwards, or not at all. */
  readonly vanishesAt: Ms;
  readonly comesBack: boolean;
  /** Closes only when it has seen the other's FIN. */
  readonly closesLast: boolean;
  /** Probability that the link has no room for a segment. */
  readonly blocked: number;
  /** Probability that a segment is marked urgent. */
  readonly urgent: number;
  /** Probability that a segment offers less than was offered before. */
  readonly takesBack: number;
  /** Option kinds that its SYN does not say. */
  readonly stripped: readonly number[];
  /** Keeps nothing that comes ahead of its turn; left out: it does. */
  readonly dropsEarly?: boolean;
}

export interface SimulationConfig {
  readonly kind: ChannelKind;
  readonly there: ChannelConfig;
  readonly back: ChannelConfig;
  readonly active: EndpointConfig;
  readonly passive: EndpointConfig;
}

const CLEAN: ChannelConfig = {
  loss: 0,
  duplicate: 0,
  reorder: 0,
  corrupt: 0,
  burst: 0,
  burstMs: 0,
  losesOnlyAcks: false,
  delayMs: 0,
  jitterMs: 0,
  rate: 0,
  queue: 0,
  deadAt: NOT,
  deadMs: 0,
};

const MTUS = [68, 296, 576, 576, 1280, 1500, 1500, 1500, 9000, 65_520] as const;
/** Bytes of one direction: of most, and of one in twelve. */
const MOST_BYTES = 200_000;
const MOST_BYTES_LONG = 1 << 20;

export function configFor(seed: number): SimulationConfig {
  const random = new SeededRandom(seed);
  const kind = pick(random, CHANNELS);
  const way = {
    ...CLEAN,
    delayMs: pick(random, [0, 1, 5, 20, 100, 400]),
    jitterMs: pick(random, [0, 0, 1, 10]),
  };
  const [there, back] = channels(random, kind, way);
  const stripped = random.below(3) === 0 ? [2, 3, 4, 8].filter(() => random.below(2) === 0) : [];
  const first = endConfig(random, 'active', stripped);
  const second = endConfig(random, 'passive', stripped);
  const active = sized(random, first, second);
  const passive = sized(random, second, first);
  if (kind === 'outage, short queue') {
    const said = pick(random, [[], [3, 4], [8], [3, 4, 8]] as const);
    return { kind, there, back, active: plain(random, active, said), passive: plain(random, passive, said) };
  }
  const fate = random.below(8);
  return {
    kind,
    there,
    back,
    active: fate === 0 ? withFate(random, active) : active,
    passive: fate === 1 ? withFate(random, passive) : passive,
  };
}

/** The same way, with nothing that is bad about it. */
export function withoutFaults(config: SimulationConfig): SimulationConfig {
  const better = ({ delayMs, jitterMs, rate }: ChannelConfig) => ({
    ...CLEAN,
    delayMs,
    jitterMs,
    rate,
    queue: 1e9,
  });
  return { ...config, there: better(config.there), back: better(config.back) };
}

function channels(
  random: SeededRandom,
  kind: ChannelKind,
  way: ChannelConfig,
): [ChannelConfig, ChannelConfig] {
  const both = faultsOf(random, kind, way);
  if (kind === 'loss one way') return random.below(2) === 0 ? [both, way] : [way, both];
  if (kind === 'rate and queue' && random.below(2) === 0) return [both, { ...both, rate: both.rate * 4 }];
  return [both, both];
}

function faultsOf(random: SeededRandom, kind: ChannelKind, way: ChannelConfig): ChannelConfig {
  switch (kind) {
    case 'clean':
      return way;
    case 'loss <= 1 %':
      return { ...way, loss: 0.01 * random.float() };
    case 'loss <= 5 %':
      return { ...way, loss: 0.01 + 0.04 * random.float() };
    case 'loss <= 20 %':
      return { ...way, loss: 0.05 + 0.15 * random.float() };
    case 'reordering <= 25 %':
      return { ...way, reorder: 0.25 * random.float() };
    case 'duplicates, damage':
      return { ...way, duplicate: 0.1 * random.float(), corrupt: 0.03 * random.float() };
    case 'loss and reordering':
      return { ...way, loss: 0.05 * random.float(), reorder: 0.25 * random.float() };
    case 'bursts of loss':
      return { ...way, burst: 0.02 * random.float(), burstMs: upTo(random, 2000) };
    case 'loss one way':
      return { ...way, loss: 0.2 * random.float() };
    case 'loss of ACKs':
      return { ...way, loss: 0.2 * random.float(), losesOnlyAcks: true };
    case 'blackout <= 10 s':
      return { ...way, ...blackout(random), loss: 0.01 * random.float() };
    case 'rate and queue':
      return { ...way, ...narrow(random) };
    case 'outage, short queue':
      return {
        ...{ ...way, rate: pick(random, [125, 1250]), queue: 8 },
        ...{ deadAt: upTo(random, 5000), deadMs: 200 + random.below(2000) },
      };
    case 'all at once':
      return {
        ...way,
        ...blackout(random),
        ...(random.below(2) === 0 ? narrow(random) : {}),
        loss: 0.1 * random.float(),
        duplicate: 0.05 * random.float(),
        reorder: 0.25 * random.float(),
        corrupt: 0.02 * random.float(),
        burst: 0.01 * random.float(),
        burstMs: upTo(random, 2000),
      };
  }
}

function blackout(random: SeededRandom): { deadAt: Ms; deadMs: Ms } {
  return { deadAt: upTo(random, 20_000), deadMs: upTo(random, 10_000) };
}

/** 0.1 to 100 Mbit/s. */
function narrow(random: SeededRandom): { rate: number; queue: number } {
  return { rate: pick(random, [12.5, 125, 1250, 12_500]), queue: pick(random, [8, 16, 50, 200, 1000]) };
}

function endConfig(
  random: SeededRandom,
  role: 'active' | 'passive',
  stripped: readonly number[],
): EndpointConfig {
  const rarely = (n: number) => random.below(n) === 0;
  return {
    role,
    iss: 0,
    mtu: pick(random, MTUS),
    flowBytes: rarely(10) ? 1 << random.below(12) : 4096 << random.below(9),
    control: pick(random, ['newreno', 'cubic'] as const),
    writes: rarely(8) ? 0 : rarely(12) ? MOST_BYTES_LONG : MOST_BYTES,
    writeChunk: pick(random, [100, 3000, 65_536]),
    readChunk: pick(random, [50, 3000, 65_536, 1 << 20]),
    paceMs: pick(random, [1, 5, 20]),
    readPauseMs: rarely(6) ? upTo(random, 2 * 3_600_000) : 0,
    writePauseMs: rarely(8) ? upTo(random, 5 * 3_600_000) : 0,
    abortsAfter: NOT,
    abortsAt: NOT,
    vanishesAt: NOT,
    comesBack: false,
    closesLast: role === 'passive' && random.below(2) === 0,
    blocked: rarely(4) ? 0.02 : 0,
    urgent: rarely(10) ? 0.3 * random.float() : 0,
    takesBack: rarely(12) ? 0.5 * random.float() : 0,
    stripped,
  };
}

/** An end that says much in small messages, or all at once, to one of the simplest guests: every option may be missing. */
function plain(random: SeededRandom, end: EndpointConfig, stripped: readonly number[]): EndpointConfig {
  const isChat = random.below(2) === 0;
  return {
    ...end,
    ...{ mtu: 1500, flowBytes: 1 << (15 + random.below(4)), writes: random.below(isChat ? 20_000 : 400_000) },
    ...{ writeChunk: isChat ? 40 : 65_536, readChunk: 1 << 20, paceMs: pick(random, [1, 5]) },
    ...{ readPauseMs: 0, writePauseMs: 0, blocked: 0, takesBack: 0 },
    stripped,
    dropsEarly: random.below(2) === 0,
  };
}

/** The end comes to something: it resets, by a count or at a time, or is gone. */
function withFate(random: SeededRandom, end: EndpointConfig): EndpointConfig {
  const at = upTo(random, 60_000);
  switch (random.below(3)) {
    case 0:
      return { ...end, abortsAfter: Math.floor(end.writes * random.float()) };
    case 1:
      return { ...end, abortsAt: at };
    default:
      return { ...end, vanishesAt: at, comesBack: random.below(2) === 0 };
  }
}

/** Small segments and a small window take long: fewer bytes. */
function sized(random: SeededRandom, end: EndpointConfig, peer: EndpointConfig): EndpointConfig {
  const mtu = Math.min(end.mtu, peer.mtu) / 1500;
  const ring = Math.min(end.flowBytes, peer.flowBytes) / 16_384;
  const most = end.writes === 0 ? 0 : Math.max(200, end.writes * Math.min(1, mtu, ring));
  const writes = Math.floor(most * random.float());
  return { ...end, writes, iss: pick(random, [-300, 0x7fffff00, -writes >> 1, random.word()]) | 0 };
}

/** From 1 to `most`, small ones as likely as large ones. */
function upTo(random: SeededRandom, most: number): number {
  const doublings = 32 - Math.clz32(most);
  return Math.ceil((most * (0.5 + random.float() / 2)) / 2 ** random.below(doublings));
}

function pick<T>(random: SeededRandom, from: readonly T[]): T {
  return from[random.below(from.length)]!;
}
