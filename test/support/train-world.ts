// A network behind a chunked link, and a second one that is the same but for what is compared. See framed-link.ts.

import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Memory } from '../../src/base/memory.ts';
import { PlayedHost } from '../../src/host/played-host.ts';
import type { NetworkConfig } from '../../src/network/config.ts';
import { createNetwork, type Network } from '../../src/network/network.ts';
import { Flag } from '../../src/wire/tcp.ts';
import { FramedLink, type FramedLinkOptions } from './framed-link.ts';
import { isTcp, readTcp } from './raw-frames.ts';
import { SeededRandom } from './seeded-random.ts';
import { framed, type SegmentSpec, segmentFrame } from './train-frames.ts';

export interface TrainWorldOptions extends FramedLinkOptions {
  readonly kernel?: 'wasm' | 'js';
  readonly config?: NetworkConfig;
  readonly links?: number;
}

/** Frames that the kernel has taken, and made. */
export interface TrainCount {
  taken: number;
  made: number;
}

/** Counts what the kernel does from now on. */
export function countTrains(memory: Memory): TrainCount {
  const count = { taken: 0, made: 0 };
  const { trains } = memory;
  if (trains === null) return count;
  Object.assign(memory, {
    trains: {
      ...trains,
      takeTrain: (...args: Parameters<typeof trains.takeTrain>) => {
        const at = trains.takeTrain(...args);
        count.taken += trains.framesTaken();
        return at;
      },
      makeTrain: (...args: Parameters<typeof trains.makeTrain>) => {
        trains.makeTrain(...args);
        count.made += args[4];
      },
    },
  });
  return count;
}

export class TrainWorld {
  readonly clock = new ManualClock();
  readonly host = new PlayedHost();
  readonly network: Network;
  readonly links: FramedLink[];
  readonly trains: TrainCount;
  /** Frames of the first link that were held against those of another network. */
  compared = 0;

  constructor({ kernel = 'wasm', config = {}, links = 1, ...link }: TrainWorldOptions) {
    const makeView = (buffer: ArrayBuffer): Buffer => Buffer.from(buffer);
    const { clock, host } = this;
    const random = new SeededRandom(7);
    this.network = createNetwork(config, { clock, host, random, makeView, kernel });
    this.trains = countTrains(this.network.arena.memory);
    this.links = Array.from({ length: links }, (_, i) => new FramedLink(`g${i}`, link));
    for (const one of this.links) this.network.attach(one);
  }

  get link(): FramedLink {
    return this.links[0]!;
  }

  receives(link: number, ...frames: Uint8Array[]): void {
    this.links[link]!.receives(framed(frames));
    this.clock.runSoon();
  }

  /** What the network has last acknowledged to this port. */
  ackTo(sport: number, link = 0): number {
    const mine = this.links[link]!.frames.filter((frame) => isTcp(frame) && frame.readUInt16BE(36) === sport);
    return readTcp(mine.at(-1)!).ack;
  }

  /** A connection that both sides are ready for: what the guest's next segment says. */
  connected(
    spec: Pick<SegmentSpec, 'sport' | 'ts'> & Partial<SegmentSpec>,
    mss = 1460,
    trip = 0,
  ): SegmentSpec {
    const syn = { mss, shift: 7 };
    const { sport } = spec;
    const base = { dport: 80, seq: 1000, ack: 0, wnd: 60_000, ...spec };
    this.receives(0, segmentFrame({ ...base, flags: Flag.Syn, syn }));
    this.host.stream.open();
    this.clock.runSoon();
    this.clock.advance(trip);
    const mine = this.link.frames.filter((frame) => isTcp(frame) && frame.readUInt16BE(36) === sport);
    const { seq } = readTcp(mine.at(-1)!);
    const next = { ...base, seq: (base.seq + 1) | 0, ack: (seq + 1) | 0, flags: Flag.Ack };
    this.receives(0, segmentFrame(next));
    return next;
  }

  /** All that can be told of it: two that were treated alike say the same. */
  get tale(): object {
    const { network, host, links } = this;
    return {
      stats: network.stats(),
      flows: network.flows(),
      host: host.streams.map(({ state, ended, wasReset, written }) => [
        state,
        ended,
        wasReset,
        written.length,
      ]),
      bytes: host.streams.map(({ written }) => sumOf(written)),
      frames: links.map(({ frames }) => frames.length),
    };
  }
}

function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) | 0;
  return sum;
}
