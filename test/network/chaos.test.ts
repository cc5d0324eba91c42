// Seeds. Guests, hosts and cables do at random what they may do: connections that transfer, are refused, reset or left
// half open on either side, users that read late, frames that are lost, cables that are pulled, an arena without room.
// Whatever happens: what arrives is a prefix of what was sent, a connection that ended in order has all of it, every
// frame has a verdict, and in the end nothing is left. A seed that failed stays in the list.

import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import type { EmbeddedGuest } from '../../src/guest/guest.ts';
import type { PlayedStream } from '../../src/host/played-host.ts';
import type { Link, LinkHost, LinkSink } from '../../src/link/link.ts';
import { checkTcb } from '../../src/tcp/tcb.ts';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { starve } from '../support/starve.ts';

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1035, 1041, 1088, 1094];
const CONNECTIONS = 12;
const FIRST_PORT = 1000;
/** What a starved network has left for all flows. */
const LEFT = 256 << 10;

/** A link around a link that loses frames both ways. */
class Lossy implements Link, LinkSink {
  readonly name: string;
  readonly maxFrame: number;
  loss = 0;
  private readonly inner: Link;
  private readonly random: SeededRandom;
  private sink: LinkSink | null = null;

  constructor(inner: Link, random: SeededRandom) {
    this.inner = inner;
    this.random = random;
    this.name = inner.name;
    this.maxFrame = inner.maxFrame;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    this.sink = sink;
    this.inner.attach(this, host);
  }

  reserve(maxLen: number): number {
    return this.inner.reserve(maxLen);
  }

  /** A frame that is lost was reserved and is not committed. */
  commit(len: number): void {
    if (this.random.float() >= this.loss) this.inner.commit(len);
  }

  send(off: number, len: number): boolean {
    return this.random.float() < this.loss || this.inner.send(off, len);
  }

  flush(): void {
    this.inner.flush();
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  onFrame(off: number, len: number): Drop {
    return this.random.float() < this.loss ? Drop.None : (this.sink?.onFrame(off, len) ?? Drop.None);
  }

  onLinkWritable(): void {
    this.sink?.onLinkWritable();
  }

  onLinkDown(reason: string): void {
    this.sink?.onLinkDown(reason);
  }
}

/** One connection: what each side sends, and what came. */
interface Talk {
  readonly record: SocketRecord;
  readonly up: Buffer;
  readonly down: Buffer;
  readonly guest: EmbeddedGuest;
  stream: PlayedStream | null;
  guestEnded: boolean;
  hostEnded: boolean;
  /** The host has reset: what it had not taken it will not take. */
  hostFailed: boolean;
  /** The guest has reset, or its cable was pulled. */
  guestFailed: boolean;
}

class Chaos {
  readonly bench: NetworkBench;
  readonly random: SeededRandom;
  readonly talks: Talk[] = [];
  private readonly guests: EmbeddedGuest[] = [];
  private readonly links: Lossy[] = [];
  private giveBack: () => void = () => {};

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.bench = new NetworkBench({ limits: { flowBytes: 65536 << (seed % 5) } });
    this.bench.keepLines = false;
  }

  async start(): Promise<void> {
    // A SYN can be lost, and its connection reset before the next: the port tells which stream is whose.
    this.bench.host.onConnect = (stream) => {
      const talk = this.talks[stream.to.port - FIRST_PORT];
      if (talk !== undefined) talk.stream = stream;
    };
    for (let i = 0; i < 2; i++) {
      const guest = await this.bench.boot(`guest${i}`, {
        alone: i === 0,
        wrap: (link: Link) => {
          const lossy = new Lossy(link, this.random);
          this.links.push(lossy);
          return lossy;
        },
      });
      this.guests.push(guest);
    }
    for (const link of this.links) link.loss = this.random.below(3) * 0.015;
    if (this.random.below(3) === 0) this.giveBack = starve(this.bench.network.arena, LEFT);
  }

  step(): void {
    const { random, bench, talks } = this;
    if (talks.length < CONNECTIONS && random.below(4) === 0) this.connect();
    for (const talk of talks) {
      this.hostActs(talk);
      this.guestActs(talk);
    }
    if (random.below(1000) === 0) this.pull(this.guests[random.below(2)]!);
    bench.clock.advance(random.below(8) === 0 ? random.below(500) : random.below(3));
    for (const { record } of talks) if (record.socket?.isOver === false) checkTcb(record.socket.tcb);
  }

  private pull(guest: EmbeddedGuest): void {
    for (const talk of this.talks) if (talk.guest === guest) talk.guestFailed = true;
    guest.close();
  }

  /** What arrived is a prefix of what was sent. */
  check(): void {
    for (const { record, down, stream, up } of this.talks) {
      const heard = record.bytes;
      expect(heard.equals(down.subarray(0, heard.length))).toBe(true);
      const taken = Buffer.from(stream?.written ?? []);
      expect(taken.equals(up.subarray(0, taken.length))).toBe(true);
    }
  }

  private connect(): void {
    const { random } = this;
    const guest = this.guests[random.below(2)]!;
    if (guest.config === null) return;
    const record = new SocketRecord();
    const talk: Talk = {
      record,
      guest,
      up: pattern(random.below(100), random.below(200_000)),
      down: pattern(random.below(100), random.below(200_000)),
      stream: null,
      guestEnded: false,
      hostEnded: false,
      hostFailed: false,
      guestFailed: false,
    };
    this.talks.push(talk);
    record.socket = guest.connectTcp(to('198.51.100.1', FIRST_PORT + this.talks.length - 1), record);
    record.write(talk.up);
  }

  private hostActs(talk: Talk): void {
    const { random } = this;
    const { stream } = talk;
    if (stream === null || stream.state === 'closed') return;
    if (stream.state === 'connecting') {
      const dice = random.below(12);
      if (dice === 0) stream.fail('refused');
      else if (dice === 1) stream.fail('host-unreachable');
      else if (dice < 6) stream.open().gives(talk.down);
      return;
    }
    if (random.below(30) === 0) stream.holdWrites = !stream.holdWrites;
    if (stream.isHolding && random.below(5) === 0) stream.letGo();
    if (!talk.hostEnded && random.below(20) === 0) {
      talk.hostEnded = true;
      stream.ends();
    }
    if (random.below(300) === 0) {
      talk.hostFailed = true;
      stream.fail('reset');
    }
  }

  private guestActs(talk: Talk): void {
    const { random } = this;
    const { record } = talk;
    if (record.socket === null || record.socket.isOver) return;
    if (random.below(20) === 0) record.reads = !record.reads;
    if (record.reads) record.onReadable(record.socket);
    if (!talk.guestEnded && random.below(20) === 0 && record.isAllWritten) {
      talk.guestEnded = true;
      record.socket.end();
    }
    if (random.below(300) === 0) {
      talk.guestFailed = true;
      record.socket.reset();
    }
  }

  /** Everybody reads and lets go, nothing is lost any more, all the time there is. */
  settle(): void {
    for (const link of this.links) link.loss = 0;
    this.giveBack();
    for (let i = 0; i < 250; i++) {
      for (const { stream, record } of this.talks) {
        if (stream !== null && stream.state === 'open') {
          stream.holdWrites = false;
          if (stream.isHolding) stream.letGo();
          if (i === 100) stream.ends();
        }
        record.reads = true;
        if (record.socket !== null && !record.socket.isOver) {
          record.onReadable(record.socket);
          if (record.isAllWritten) record.socket.end();
        }
      }
      this.bench.clock.advance(1000);
    }
    this.check();
  }
}

describe('whatever happens', () => {
  test.each(SEEDS)('seed %i', async (seed) => {
    const chaos = new Chaos(seed);
    await chaos.start();
    for (let i = 0; i < 600; i++) chaos.step();
    chaos.settle();
    const { bench } = chaos;
    for (const { record, up, down, stream, hostFailed, guestFailed } of chaos.talks) {
      if (hostFailed || guestFailed || record.events[0] !== 'open') continue;
      expect(record.events).toEqual(['open', 'end', 'normal']);
      expect(record.bytes.equals(down)).toBe(true);
      expect(Buffer.from(stream!.written).equals(up)).toBe(true);
    }
    const stats = bench.network.stats();
    const framesIn = stats.links.reduce((n, link) => n + link.framesIn, 0);
    const dropped = Object.values(stats.drops).reduce((a, b) => a + b, 0);
    expect(stats.accepted + dropped).toBe(framesIn);
    expect(stats.flows.tcp).toBe(0);
    expect(bench.host.openStreams).toEqual([]);
    expect(await bench.close()).toEqual({ flows: 0, timers: 0, arena: 0 });
  });
});
