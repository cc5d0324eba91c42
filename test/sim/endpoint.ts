// One end of a simulated connection: a Tcb, and an application that writes, reads, pauses, closes and resets by chance.
// Everything it reads is compared with what the other end has written.

import { Account, type Arena } from '../../src/base/arena.ts';
import { assert } from '../../src/base/assert.ts';
import { type Ms, NEVER } from '../../src/base/clock.ts';
import { Drop, DropCounters } from '../../src/base/drop.ts';
import { Region } from '../../src/base/region.ts';
import { Timer, type Timers } from '../../src/base/timers.ts';
import type { Egress, Turn } from '../../src/base/turn.ts';
import { TcpCounters } from '../../src/tcp/counters.ts';
import { segmentArrives } from '../../src/tcp/input.ts';
import { passiveOpen } from '../../src/tcp/input-handshake.ts';
import { NewReno } from '../../src/tcp/newreno.ts';
import { output } from '../../src/tcp/output.ts';
import { resetFor } from '../../src/tcp/reset.ts';
import { Segment } from '../../src/tcp/segment.ts';
import { type CloseReason, checkTcb, type SegmentOut, Tcb, type TcpUser } from '../../src/tcp/tcb.ts';
import * as user from '../../src/tcp/user.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { Flag } from '../../src/wire/tcp.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import { pattern } from '../support/segment-bytes.ts';
import { SegmentWatch, stripSynOptions } from './segment-watch.ts';

const PSEUDO = 0x4321;
const SCRATCH_BYTES = 131_072;
/** What any stream is a part of. */
const STREAM = pattern(1 << 20);

export interface EndpointConfig {
  readonly role: 'active' | 'passive';
  readonly iss: number;
  readonly mtu: number;
  readonly flowBytes: number;
  /** How many bytes it writes before it closes. */
  readonly writes: number;
  /** Largest chunk of a write and of a read. */
  readonly writeChunk: number;
  readonly readChunk: number;
  /** Longest time between two actions. */
  readonly idleMs: Ms;
  /** Reads nothing for so long, once. */
  readonly pauseMs: Ms;
  /** Resets when it has written as much; never where that is more than `writes`. */
  readonly abortsAfter: number;
  /** Closes only when it has seen the other's FIN. */
  readonly closesLast: boolean;
  /** Probability that the link has no room. */
  readonly blocked: number;
  /** Option kinds that never leave this end. */
  readonly stripped: readonly number[];
}

export interface World {
  readonly arena: Arena;
  readonly turn: Turn;
  readonly timers: Timers;
  readonly random: SeededRandom;
}

export class Endpoint implements TcpUser, SegmentOut, Egress {
  readonly config: EndpointConfig;
  readonly counters = new TcpCounters();
  readonly account = new Account();
  readonly watch: SegmentWatch;
  tcb: Tcb | null = null;
  peer!: Endpoint;
  /** Where its segments go; kept by the callee. */
  transmit!: (bytes: Uint8Array) => void;
  written = 0;
  read = 0;
  closed = false;
  aborted = false;
  finSeen = false;
  reason: CloseReason | 'aborted-here' | null = null;
  private readonly world: World;
  private readonly scratchAccount = new Account();
  private readonly inbox: number;
  private readonly outbox: number;
  private readonly segment = new Segment();
  private readonly region = new Region();
  private readonly app = new Timer((now) => this.act(now));
  private readonly link = new Timer(() => this.unblock());
  private pausedUntil: Ms = -1;
  private blocked = false;

  constructor(world: World, config: EndpointConfig) {
    this.world = world;
    this.config = config;
    this.inbox = world.arena.take(SCRATCH_BYTES, this.scratchAccount);
    this.outbox = world.arena.take(SCRATCH_BYTES, this.scratchAccount);
    this.watch = new SegmentWatch();
  }

  get ended(): boolean {
    return this.reason !== null;
  }

  /** Active open. */
  start(now: Ms): void {
    this.tcb = this.newTcb();
    user.connect(this.tcb, now);
    this.world.timers.arm(this.app, now);
  }

  free(): void {
    this.world.timers.disarm(this.app);
    this.world.timers.disarm(this.link);
    if (this.tcb !== null) {
      assert(this.tcb.timer.at === NEVER, 'no timer is left');
      user.freeRings(this.tcb);
    }
    assert(this.account.used === 0, 'the rings have given everything back');
    this.world.arena.give(this.inbox, SCRATCH_BYTES, this.scratchAccount);
    this.world.arena.give(this.outbox, SCRATCH_BYTES, this.scratchAccount);
  }

  /** A segment comes out of the channel. */
  receive(bytes: Uint8Array): void {
    const { memory } = this.world.arena;
    const { now } = this.world.turn;
    memory.bytes.set(bytes, this.inbox);
    if (tcp.check(memory, this.inbox, bytes.length, PSEUDO) !== Drop.None) return;
    this.segment.read(memory, this.inbox, this.inbox + bytes.length);
    if (this.tcb === null && this.isSyn()) {
      this.tcb = this.newTcb();
      passiveOpen(this.tcb, this.segment, now);
      this.world.timers.arm(this.app, now + this.world.random.below(500));
    } else if (this.tcb === null || this.ended) this.refuse();
    else {
      segmentArrives(this.tcb, this.segment, now);
      checkTcb(this.tcb);
    }
  }

  private isSyn(): boolean {
    return this.segment.has(Flag.Syn) && !this.segment.has(Flag.Ack | Flag.Rst);
  }

  private refuse(): void {
    if (this.segment.has(Flag.Rst)) return;
    const { memory } = this.world.arena;
    resetFor(memory, this.outbox, 1, 2, PSEUDO, this.segment);
    this.transmit(memory.bytes.slice(this.outbox, this.outbox + tcp.MIN_HEADER_LEN));
  }

  private newTcb(): Tcb {
    const { arena, timers, random } = this.world;
    const { flowBytes, mtu, iss } = this.config;
    const drops = new DropCounters();
    const env = {
      ...{ arena, timers, drops, counters: this.counters, flowBytes, mtu, timeWait: 10_000 },
      newCongestion: () => new NewReno(),
    };
    const init = { ownPort: 1, peerPort: 2, pseudoSum: PSEUDO, iss, tsOffset: random.word() };
    return new Tcb(env, this, this, this.account, init);
  }

  // The application

  private act(now: Ms): void {
    const { random, timers } = this.world;
    const tcb = this.tcb!;
    if (this.ended) return;
    if (tcb.synAckHeld) user.accept(tcb);
    this.readSome(now);
    this.writeSome(now);
    if (!this.ended) {
      checkTcb(tcb);
      timers.arm(this.app, now + 1 + random.below(this.config.idleMs));
    }
  }

  private readSome(now: Ms): void {
    const { config } = this;
    const tcb = this.tcb!;
    if (now < this.pausedUntil) return;
    if (this.pausedUntil < 0 && this.read > 0 && config.pauseMs > 0) {
      this.pausedUntil = now + config.pauseMs;
      return;
    }
    let budget = 1 + this.world.random.below(config.readChunk);
    while (budget > 0 && tcb.recvRing.length > 0) {
      tcb.recvRing.readable(0, this.region);
      const len = Math.min(budget, this.region.len);
      this.compare(this.region.off, len);
      user.received(tcb, len, now);
      budget -= len;
    }
  }

  private compare(off: number, len: number): void {
    const got = this.world.arena.memory.bytes.subarray(off, off + len);
    const want = STREAM.subarray(this.read, this.read + len);
    assert(this.read + len <= this.peer.written, 'no byte is read that was not written');
    assert(Buffer.compare(got, want) === 0, `bytes read from ${this.read} on are those that were written`);
    this.read += len;
  }

  private writeSome(now: Ms): void {
    const { config } = this;
    const tcb = this.tcb!;
    if (this.closed) return;
    const room = Math.min(tcb.sendRing.room, config.writes - this.written);
    const len = Math.min(room, 1 + this.world.random.below(config.writeChunk));
    if (len > 0 && tcb.sendRing.ensure(tcb.sendRing.length + len)) {
      this.fill(len);
      user.sent(tcb, now);
    }
    if (this.written >= config.abortsAfter) {
      this.aborted = true;
      this.reason = 'aborted-here';
      user.abort(tcb, now);
    } else if (this.written === config.writes && (!config.closesLast || this.finSeen)) {
      this.closed = true;
      user.close(tcb, now);
    }
  }

  private fill(len: number): void {
    const ring = this.tcb!.sendRing;
    for (let left = len; left > 0; ) {
      ring.writable(this.region);
      const part = Math.min(left, this.region.len);
      const from = STREAM.subarray(this.written, this.written + part);
      this.world.arena.memory.bytes.set(from, this.region.off);
      ring.extend(part);
      this.written += part;
      left -= part;
    }
  }

  // TcpUser

  onEstablished(): void {}

  onReadable(): void {}

  onPeerFin(): void {
    assert(!this.finSeen, 'one FIN');
    this.finSeen = true;
  }

  onSendSpace(): void {}

  wantOutput(): void {
    this.world.turn.wantEgress(this);
  }

  onClosed(reason: CloseReason): void {
    assert(!this.ended, 'one end');
    this.reason = reason;
    // What came in order is the application's, whatever became of the connection.
    if (reason === 'normal') this.drain();
  }

  private drain(): void {
    const { recvRing } = this.tcb!;
    while (recvRing.length > 0) {
      recvRing.readable(0, this.region);
      const { len } = this.region;
      this.compare(this.region.off, len);
      recvRing.consume(len);
    }
  }

  // SegmentOut, Egress

  runEgress(now: Ms): void {
    if (this.ended || this.blocked) return;
    output(this.tcb!, now);
    checkTcb(this.tcb!);
  }

  reserve(len: number): number {
    assert(len <= this.config.mtu - 20, 'a segment fits the MTU');
    if (this.blocked) return -1;
    if (this.config.blocked > 0 && this.world.random.float() < this.config.blocked) {
      this.blocked = true;
      this.world.timers.arm(this.link, this.world.turn.now + 1 + this.world.random.below(20));
      return -1;
    }
    return this.outbox;
  }

  commit(len: number): void {
    const { memory } = this.world.arena;
    const bytes = memory.bytes.slice(this.outbox, this.outbox + len);
    this.watch.check(this.tcb!, bytes, this.peer.watch);
    if (this.config.stripped.length > 0) stripSynOptions(bytes, this.config.stripped);
    this.transmit(bytes);
  }

  private unblock(): void {
    this.blocked = false;
    if (!this.ended) this.wantOutput();
  }
}
