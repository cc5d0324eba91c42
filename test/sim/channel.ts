// A bad way between two ends: it loses, delays, reorders, duplicates and damages what is sent, by a seeded generator.

import type { Ms } from '../../src/base/clock.ts';
import { Timer, type Timers } from '../../src/base/timers.ts';
import type { SeededRandom } from '../support/seeded-random.ts';

export interface ChannelConfig {
  /** Probabilities, 0..1. */
  readonly loss: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly corrupt: number;
  /** One way. */
  readonly delayMs: Ms;
  readonly jitterMs: Ms;
}

interface InFlight {
  readonly at: Ms;
  readonly order: number;
  readonly bytes: Uint8Array;
}

/** One direction. */
export class Channel {
  sent = 0;
  lost = 0;
  private readonly config: ChannelConfig;
  private readonly random: SeededRandom;
  private readonly timers: Timers;
  private readonly deliver: (bytes: Uint8Array) => void;
  private readonly timer = new Timer((now) => this.fire(now));
  /** Sorted, the next one last. */
  private readonly queue: InFlight[] = [];
  private lastAt: Ms = 0;

  constructor(
    timers: Timers,
    random: SeededRandom,
    config: ChannelConfig,
    deliver: (bytes: Uint8Array) => void,
  ) {
    this.timers = timers;
    this.random = random;
    this.config = config;
    this.deliver = deliver;
  }

  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  /** `bytes` are kept. */
  send(bytes: Uint8Array, now: Ms): void {
    const { config, random } = this;
    this.sent++;
    if (random.float() < config.loss) {
      this.lost++;
      return;
    }
    const copies = random.float() < config.duplicate ? 2 : 1;
    for (let i = 0; i < copies; i++)
      this.put(random.float() < config.corrupt ? this.damaged(bytes) : bytes, now);
  }

  private put(bytes: Uint8Array, now: Ms): void {
    const { config, random } = this;
    let at = now + config.delayMs + random.below(config.jitterMs + 1);
    // In order, unless it is one of those that take another way.
    if (random.float() < config.reorder) at += random.below(4 * config.delayMs + 10);
    else {
      at = Math.max(at, this.lastAt);
      this.lastAt = at;
    }
    let place = this.queue.length;
    while (place > 0 && this.queue[place - 1]!.at <= at) place--;
    this.queue.splice(place, 0, { at, order: this.sent, bytes });
    this.arm();
  }

  private damaged(bytes: Uint8Array): Uint8Array {
    const copy = bytes.slice();
    const bit = this.random.below(8 * copy.length);
    copy[bit >> 3]! ^= 1 << (bit & 7);
    return copy;
  }

  private fire(now: Ms): void {
    for (let next = this.queue.at(-1); next !== undefined && next.at <= now; next = this.queue.at(-1)) {
      this.queue.pop();
      this.deliver(next.bytes);
    }
    this.arm();
  }

  private arm(): void {
    const next = this.queue.at(-1);
    if (next !== undefined) this.timers.arm(this.timer, next.at);
  }
}
