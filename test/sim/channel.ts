// A bad way between two ends: it loses, delays, reorders, duplicates and damages what is sent, by a seeded generator; it
// may have a rate with a queue in front of it, and a time at which it is dead. One direction; the other has its own.
//
// Loss has two states (Gilbert, Elliott): in the good one `loss` is the probability, in the bad one BURST_LOSS. A burst
// begins with a segment and lasts for a time: counted in segments it would outlast all retransmissions.

import type { Ms } from '../../src/base/clock.ts';
import { Timer, type Timers } from '../../src/base/timers.ts';
import type { SeededRandom } from '../support/seeded-random.ts';

export interface ChannelConfig {
  /** Probabilities, 0..1. */
  readonly loss: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly corrupt: number;
  /** Of a burst to begin, with every segment. */
  readonly burst: number;
  /** Longest burst. */
  readonly burstMs: Ms;
  /** Only segments without text, SYN or FIN are lost. */
  readonly losesOnlyAcks: boolean;
  /** One way. */
  readonly delayMs: Ms;
  readonly jitterMs: Ms;
  /** Bytes a millisecond, 0: no limit. */
  readonly rate: number;
  /** Segments that may wait for the rate; the one that finds no room is lost. */
  readonly queue: number;
  /** From when on nothing arrives, and for how long. */
  readonly deadAt: Ms;
  readonly deadMs: Ms;
}

/** What a segment carries beside its bytes: whom it tells what, for the invariants. */
export interface Message {
  readonly bytes: Uint8Array;
  /** Segments in a row that caused one another and told neither end anything new. */
  readonly chain: number;
  /** Sent after one of the other end's had arrived that asks for an answer. */
  readonly answers: boolean;
  /** A second copy, made by the channel. */
  readonly copy: boolean;
}

/** What became of a segment, for the trace. */
export type Fate = 'sent' | 'lost' | 'no room' | 'dead' | 'damaged' | 'duplicated' | 'arrives';

interface InFlight {
  readonly at: Ms;
  readonly message: Message;
}

const BURST_LOSS = 0.7;
/** Ethernet and IP headers, which take time on the wire too. */
const LOWER_HEADERS = 34;

export class Channel {
  sent = 0;
  lost = 0;
  damaged = 0;
  duplicated = 0;
  reordered = 0;
  trace: ((fate: Fate, bytes: Uint8Array) => void) | null = null;
  private readonly config: ChannelConfig;
  private readonly random: SeededRandom;
  private readonly timers: Timers;
  private readonly deliver: (message: Message) => void;
  private readonly timer = new Timer((now) => this.fire(now));
  /** Sorted, the next one last. */
  private readonly queue: InFlight[] = [];
  private lastAt: Ms = 0;
  private burstUntil: Ms = 0;
  /** When the segments that wait for the rate will have left, the first one first. */
  private readonly leaving: number[] = [];

  constructor(
    timers: Timers,
    random: SeededRandom,
    config: ChannelConfig,
    deliver: (message: Message) => void,
  ) {
    this.timers = timers;
    this.random = random;
    this.config = config;
    this.deliver = deliver;
  }

  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  /** `message` is kept. `bare`: it has no text, SYN or FIN. */
  send(message: Message, bare: boolean, now: Ms): void {
    const { config, random } = this;
    const { bytes } = message;
    this.sent++;
    this.trace?.('sent', bytes);
    const leavesAt = this.leavesAt(bytes.length, now);
    const fate = this.fateOf(leavesAt, bare, now);
    if (fate !== 'sent') {
      this.lost++;
      this.trace?.(fate, bytes);
      return;
    }
    this.put(this.perhapsDamaged(message), leavesAt);
    if (random.float() >= config.duplicate) return;
    this.duplicated++;
    this.trace?.('duplicated', bytes);
    this.put(this.perhapsDamaged({ ...message, copy: true }), leavesAt);
  }

  private fateOf(leavesAt: number, bare: boolean, now: Ms): 'sent' | 'lost' | 'no room' | 'dead' {
    const { config } = this;
    const unlucky = this.isUnlucky(now);
    if (now >= config.deadAt && now < config.deadAt + config.deadMs) return 'dead';
    if (leavesAt < 0) return 'no room';
    return unlucky && (bare || !config.losesOnlyAcks) ? 'lost' : 'sent';
  }

  private isUnlucky(now: Ms): boolean {
    const { config, random } = this;
    if (config.burst > 0 && now >= this.burstUntil && random.float() < config.burst) {
      this.burstUntil = now + 1 + random.below(config.burstMs);
    }
    return random.float() < (now < this.burstUntil ? BURST_LOSS : config.loss);
  }

  /** When the last bit has left, -1: there is no room to wait in. */
  private leavesAt(len: number, now: Ms): number {
    const { leaving, config } = this;
    if (config.rate === 0) return now;
    while (leaving.length > 0 && leaving[0]! <= now) leaving.shift();
    if (leaving.length > config.queue) return -1;
    const at = Math.max(now, leaving.at(-1) ?? 0) + (len + LOWER_HEADERS) / config.rate;
    leaving.push(at);
    return at;
  }

  private put(message: Message, leavesAt: number): void {
    const { config, random } = this;
    let at = Math.ceil(leavesAt) + config.delayMs + random.below(config.jitterMs + 1);
    // In order, unless it is one of those that take another way.
    if (random.float() < config.reorder) {
      at += random.below(4 * config.delayMs + 10);
      this.reordered++;
    } else {
      at = Math.max(at, this.lastAt);
      this.lastAt = at;
    }
    let place = this.queue.length;
    while (place > 0 && this.queue[place - 1]!.at <= at) place--;
    this.queue.splice(place, 0, { at, message });
    this.arm();
  }

  private perhapsDamaged(message: Message): Message {
    if (this.random.float() >= this.config.corrupt) return message;
    this.damaged++;
    const copy = message.bytes.slice();
    const bit = this.random.below(8 * copy.length);
    copy[bit >> 3]! ^= 1 << (bit & 7);
    this.trace?.('damaged', copy);
    return { ...message, bytes: copy };
  }

  private fire(now: Ms): void {
    for (let next = this.queue.at(-1); next !== undefined && next.at <= now; next = this.queue.at(-1)) {
      this.queue.pop();
      this.trace?.('arrives', next.message.bytes);
      this.deliver(next.message);
    }
    this.arm();
  }

  private arm(): void {
    const next = this.queue.at(-1);
    if (next !== undefined) this.timers.arm(this.timer, next.at);
  }
}
