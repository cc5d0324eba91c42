// One direction of a way with a bottleneck: frames are lost by chance, wait in a queue with tail drop while the ones before
// them are sent at the rate, and arrive after the delay. Departures are exact. Arrivals are on a grain of microseconds:
// what falls into the same one arrives together, as an emulator's chunk does.

import type { Micros, Ms } from '../../src/base/clock.ts';
import type { ManualClock } from '../../src/base/manual-clock.ts';
import type { SeededRandom } from '../../test/support/seeded-random.ts';

export interface BottleneckConfig {
  /** Bytes per ms; Infinity: no limit. */
  readonly rate: number;
  /** Frames that may wait behind the one being sent. */
  readonly queue: number;
  readonly delayMs: Ms;
  /** Probability, 0..1. */
  readonly loss: number;
  readonly grain: Micros;
}

/** Takes one frame; `last` of those that come together. */
export type Receiver = (bytes: Uint8Array, last: boolean) => void;

interface InFlight {
  readonly at: Micros;
  readonly bytes: Uint8Array;
  readonly to: Receiver;
}

export class Bottleneck {
  lost = 0;
  dropped = 0;
  private readonly config: BottleneckConfig;
  private readonly clock: ManualClock;
  private readonly random: SeededRandom;
  private readonly inFlight: InFlight[] = [];
  /** When the frames that have not begun to be sent will, exact microseconds. */
  private readonly begins: number[] = [];
  private freeAt = 0;

  constructor(clock: ManualClock, random: SeededRandom, config: BottleneckConfig) {
    this.clock = clock;
    this.random = random;
    this.config = config;
  }

  /** `bytes` are kept. */
  send(bytes: Uint8Array, to: Receiver): void {
    const { config, begins } = this;
    const now = this.clock.micros();
    if (this.random.float() < config.loss) {
      this.lost++;
      return;
    }
    while (begins.length > 0 && begins[0]! <= now) begins.shift();
    if (begins.length >= config.queue) {
      this.dropped++;
      return;
    }
    const begin = Math.max(now, this.freeAt);
    if (begin > now) begins.push(begin);
    this.freeAt = begin + (bytes.length * 1000) / config.rate;
    const at = Math.ceil((this.freeAt + config.delayMs * 1000) / config.grain) * config.grain;
    this.inFlight.push({ at, bytes, to });
    if (this.inFlight.length === 1) this.clock.soon(this.arrive, at);
  }

  private readonly arrive = (): void => {
    const now = this.clock.micros();
    let count = 0;
    while (count < this.inFlight.length && this.inFlight[count]!.at <= now) count++;
    const due = this.inFlight.splice(0, count);
    // A frame sent from in here asks for itself when nothing else is under way.
    if (this.inFlight.length > 0) this.clock.soon(this.arrive, this.inFlight[0]!.at);
    for (const [i, { bytes, to }] of due.entries()) to(bytes, due[i + 1]?.to !== to);
  };
}
