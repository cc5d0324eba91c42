// One end of a simulated connection: a Tcb, and an application that writes, reads, pauses, closes, resets or vanishes by
// chance. Everything it reads is compared with what the other end has written. It acts only while there is something to
// do, so hours of silence cost nothing.

import { Account, type Arena } from '../../src/base/arena.ts';
import { assert } from '../../src/base/assert.ts';
import { type Ms, NEVER } from '../../src/base/clock.ts';
import { Drop, DropCounters } from '../../src/base/drop.ts';
import { Region } from '../../src/base/region.ts';
import { Timer, type Timers } from '../../src/base/timers.ts';
import type { Egress, Turn } from '../../src/base/turn.ts';
import { newCongestion } from '../../src/tcp/controls.ts';
import { TcpCounters } from '../../src/tcp/counters.ts';
import { segmentArrives } from '../../src/tcp/input.ts';
import { passiveOpen } from '../../src/tcp/input-handshake.ts';
import { output } from '../../src/tcp/output.ts';
import { takePredicted } from '../../src/tcp/predicted.ts';
import { resetFor } from '../../src/tcp/reset.ts';
import { Segment } from '../../src/tcp/segment.ts';
import { seqLt } from '../../src/tcp/seq.ts';
import { type CloseReason, checkTcb, type SegmentOut, Tcb, type TcpUser } from '../../src/tcp/tcb.ts';
import * as user from '../../src/tcp/user.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { Flag } from '../../src/wire/tcp.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import type { Message } from './channel.ts';
import type { EndpointConfig } from './config.ts';
import { Progress } from './progress.ts';
import { limitWindow, setUrgent, stripSynOptions } from './rewrite.ts';
import { SegmentWatch } from './segment-watch.ts';

const PSEUDO = 0x4321;
const SCRATCH_BYTES = 131_072;
const STREAM_BYTES = 1 << 20;
/** What the active end's stream is the beginning of, and the passive end's. */
const STREAMS = { active: stream(1), passive: stream(2) };
/** Longest time until a SYN is accepted. */
const ACCEPT_MS = 500;
const TIME_WAIT: Ms = 10_000;

export interface World {
  readonly arena: Arena;
  readonly turn: Turn;
  readonly timers: Timers;
}

/** How the connection ended for one end. */
export type EndReason = CloseReason | 'aborted-here' | 'vanished';

export class Endpoint implements TcpUser, SegmentOut, Egress {
  readonly config: EndpointConfig;
  readonly counters = new TcpCounters();
  readonly watch: SegmentWatch;
  readonly progress: Progress;
  tcb: Tcb | null = null;
  peer!: Endpoint;
  /** Where its segments go; kept by the callee. */
  transmit!: (message: Message, bare: boolean) => void;
  written = 0;
  read = 0;
  closed = false;
  finSeen = false;
  reason: EndReason | null = null;
  endedAt: Ms = NEVER;
  /** When it read the last byte so far, or saw the FIN. */
  readAt: Ms = 0;
  /** When its application did the last thing that TCP knows of. */
  actedAt: Ms = 0;
  private readonly world: World;
  private readonly random: SeededRandom;
  private readonly account = new Account();
  private readonly scratchAccount = new Account();
  private readonly inbox: number;
  private readonly outbox: number;
  private readonly segment = new Segment();
  private readonly region = new Region();
  private readonly stream: Uint8Array;
  private readonly app = new Timer((now) => this.act(now));
  private readonly link = new Timer(() => this.unblock());
  private readonly fate = new Timer((now) => this.meetFate(now));
  private readsFrom: Ms = 0;
  private writesFrom: Ms = 0;
  private readPaused = false;
  private writePaused = false;
  private blocked = false;

  constructor(world: World, config: EndpointConfig, seed: number) {
    this.world = world;
    this.config = config;
    this.random = new SeededRandom(seed);
    this.stream = STREAMS[config.role];
    this.inbox = world.arena.take(SCRATCH_BYTES, this.scratchAccount);
    this.outbox = world.arena.take(SCRATCH_BYTES, this.scratchAccount);
    this.watch = new SegmentWatch(config.iss, config.mtu, this.stream);
    this.progress = new Progress();
    const fateAt = Math.max(config.abortsAt, config.vanishesAt);
    if (fateAt >= 0) world.timers.arm(this.fate, fateAt);
  }

  get ended(): boolean {
    return this.reason !== null;
  }

  get vanished(): boolean {
    return this.reason === 'vanished';
  }

  /** Active open. */
  start(now: Ms): void {
    this.tcb = this.newTcb();
    user.connect(this.tcb, now);
    this.wake();
  }

  free(): void {
    for (const timer of [this.app, this.link, this.fate]) this.world.timers.disarm(timer);
    if (this.tcb !== null) {
      assert(this.tcb.timer.at === NEVER, 'no timer is left');
      user.freeRings(this.tcb);
    }
    assert(this.account.used === 0, 'the rings have given everything back');
    this.world.arena.give(this.inbox, SCRATCH_BYTES, this.scratchAccount);
    this.world.arena.give(this.outbox, SCRATCH_BYTES, this.scratchAccount);
  }

  /** A segment comes out of the channel. */
  receive(message: Message): void {
    if (this.vanished && !this.config.comesBack) return;
    const { memory } = this.world.arena;
    const { now } = this.world.turn;
    const { bytes } = message;
    memory.bytes.set(bytes, this.inbox);
    const { inbox } = this;
    if (tcp.checkShape(memory.view, inbox, bytes.length) !== Drop.None) return;
    this.segment.read(memory, inbox, inbox + bytes.length);
    if (tcp.checkSum(memory, inbox, bytes.length, PSEUDO) !== Drop.None) {
      this.takeDamaged(bytes.length);
      return;
    }
    if (this.tcb === null && this.isSyn() && this.reason === null) {
      this.watch.heard(this.segment);
      this.tcb = this.newTcb();
      passiveOpen(this.tcb, this.segment, now);
      this.world.timers.arm(this.app, now + this.random.below(ACCEPT_MS));
    } else if (this.tcb === null || this.ended) this.refuse(message);
    else if (this.isEarly(this.tcb)) this.drop(this.tcb);
    else this.take(this.tcb, message, now);
  }

  /** Ahead of its turn, and this end keeps nothing of that? */
  private isEarly({ synAcked, rcvNxt }: Tcb): boolean {
    const { segment, config } = this;
    return config.dropsEarly === true && synAcked && segment.len > 0 && seqLt(rcvNxt, segment.seq);
  }

  /** The segment is as good as lost, but for the ACK that it asks for. */
  private drop(tcb: Tcb): void {
    tcb.ackPending = true;
    if (tcb.dupAcksDue < 3) tcb.dupAcksDue++;
    this.wantOutput();
  }

  /** One whose checksum is wrong, as an endpoint finds out that looks at it only when it copies the text. */
  private takeDamaged(len: number): void {
    if (this.tcb === null || this.ended) return;
    const verdict = takePredicted(this.tcb, this.segment, this.inbox, len, PSEUDO, this.world.turn.now);
    assert(verdict === null || verdict === Drop.TcpBadChecksum, 'a damaged segment is not taken');
    checkTcb(this.tcb);
  }

  private take(tcb: Tcb, message: Message, now: Ms): void {
    const { segment, progress } = this;
    const again = this.watch.heard(segment);
    if (again && !message.copy) this.peer.watch.needless += segment.payloadLen;
    progress.before(tcb, segment, message, now);
    const { inbox } = this;
    takePredicted(tcb, segment, inbox, message.bytes.length, PSEUDO, now) ??
      segmentArrives(tcb, segment, now);
    checkTcb(tcb);
    progress.after(tcb, now, this.ended);
    if (!this.ended) this.wake();
  }

  private isSyn(): boolean {
    return this.segment.has(Flag.Syn) && !this.segment.has(Flag.Ack | Flag.Rst);
  }

  /** RFC 9293 3.10.7.1. */
  private refuse({ chain }: Message): void {
    if (this.segment.has(Flag.Rst)) return;
    const { memory } = this.world.arena;
    resetFor(memory, this.outbox, 1, 2, PSEUDO, this.segment);
    const bytes = memory.bytes.slice(this.outbox, this.outbox + tcp.MIN_HEADER_LEN);
    this.transmit({ bytes, chain: chain + 1, answers: false, copy: false }, true);
  }

  private newTcb(): Tcb {
    const { arena, timers } = this.world;
    const { flowBytes, mtu, iss } = this.config;
    const drops = new DropCounters();
    const env = {
      ...{ arena, timers, drops, counters: this.counters, flowBytes, mtu, timeWait: TIME_WAIT },
      pacing: true,
      newCongestion: () => newCongestion(this.config.control),
    };
    const init = { ownPort: 1, peerPort: 2, pseudoSum: PSEUDO, iss, tsOffset: this.random.word() };
    return new Tcb(env, this, this, this.account, init);
  }

  // The application

  /** Makes the application act when there is something to do. */
  private wake(): void {
    const at = this.actsAt(this.world.turn.now);
    if (at < this.app.at) this.world.timers.arm(this.app, at);
  }

  private actsAt(now: Ms): Ms {
    const tcb = this.tcb!;
    if (tcb.synAckHeld) return NEVER;
    const readsAt = tcb.recvRing.length > 0 ? this.readsFrom : NEVER;
    const writesAt = this.hasWork() ? this.writesFrom : NEVER;
    const soon = now + 1 + this.random.below(this.config.paceMs);
    return Math.max(soon, Math.min(readsAt, writesAt));
  }

  /** Something to write that fits, or the end of it. */
  private hasWork(): boolean {
    const { config } = this;
    if (this.closed) return false;
    if (this.written < config.writes) return this.tcb!.sendRing.room > 0;
    return !config.closesLast || this.finSeen;
  }

  private act(now: Ms): void {
    const tcb = this.tcb!;
    if (this.ended) return;
    if (tcb.synAckHeld) user.accept(tcb);
    this.readSome(now);
    this.writeSome(now);
    if (this.ended) return;
    checkTcb(tcb);
    this.progress.appActed(tcb, now);
    this.wake();
  }

  private readSome(now: Ms): void {
    const { config } = this;
    const tcb = this.tcb!;
    if (!this.readPaused && this.read > 0) {
      this.readPaused = true;
      this.readsFrom = now + config.readPauseMs;
    }
    if (now < this.readsFrom) return;
    let budget = 1 + this.random.below(config.readChunk);
    while (budget > 0 && tcb.recvRing.length > 0) {
      tcb.recvRing.readable(0, this.region);
      const len = Math.min(budget, this.region.len);
      this.compare(this.region.off, len);
      user.received(tcb, len, now);
      budget -= len;
      this.actedAt = now;
    }
  }

  private compare(off: number, len: number): void {
    const got = this.world.arena.memory.bytes.subarray(off, off + len);
    const want = this.peer.stream.subarray(this.read, this.read + len);
    assert(this.read + len <= this.peer.written, 'no byte is read that was not written');
    assert(Buffer.compare(got, want) === 0, `bytes read from ${this.read} on are those that were written`);
    this.read += len;
    this.readAt = this.world.turn.now;
  }

  private writeSome(now: Ms): void {
    const { config } = this;
    const tcb = this.tcb!;
    if (!this.writePaused && 2 * this.written >= config.writes) {
      this.writePaused = true;
      this.writesFrom = now + config.writePauseMs;
    }
    if (now < this.writesFrom || !this.hasWork()) return;
    const room = Math.min(tcb.sendRing.room, config.writes - this.written);
    const len = Math.min(room, 1 + this.random.below(config.writeChunk));
    if (len > 0 && tcb.sendRing.ensure(tcb.sendRing.length + len)) {
      this.fill(len);
      user.sent(tcb, now);
    }
    this.actedAt = now;
    if (config.abortsAfter >= 0 && this.written >= config.abortsAfter) this.abort(now);
    else if (this.written === config.writes && (!config.closesLast || this.finSeen)) {
      this.closed = true;
      user.close(tcb, now);
    }
  }

  private fill(len: number): void {
    const ring = this.tcb!.sendRing;
    for (let left = len; left > 0; ) {
      ring.writable(this.region);
      const part = Math.min(left, this.region.len);
      const from = this.stream.subarray(this.written, this.written + part);
      this.world.arena.memory.bytes.set(from, this.region.off);
      ring.extend(part);
      this.written += part;
      left -= part;
    }
  }

  private abort(now: Ms): void {
    this.endWith('aborted-here', now);
    user.abort(this.tcb!, now);
  }

  private meetFate(now: Ms): void {
    if (this.ended || (this.tcb === null && this.config.abortsAt >= 0)) return;
    if (this.config.abortsAt >= 0) this.abort(now);
    else {
      this.endWith('vanished', now);
      if (this.tcb !== null) user.discard(this.tcb);
    }
  }

  private endWith(reason: EndReason, now: Ms): void {
    assert(!this.ended, 'one end');
    this.reason = reason;
    this.endedAt = now;
  }

  // TcpUser

  onEstablished(): void {}

  onReadable(): void {}

  onPeerFin(): void {
    assert(!this.finSeen, 'one FIN');
    this.finSeen = true;
    this.readAt = this.world.turn.now;
  }

  onSendSpace(): void {}

  wantOutput(): void {
    this.world.turn.wantEgress(this);
  }

  onClosed(reason: CloseReason): void {
    this.endWith(reason, this.world.turn.now);
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
    this.progress.look(this.tcb!, now);
  }

  reserve(len: number): number {
    assert(len <= SCRATCH_BYTES, 'a segment fits the scratch');
    if (this.blocked) return -1;
    if (this.config.blocked > 0 && this.random.float() < this.config.blocked) {
      this.blocked = true;
      this.world.timers.arm(this.link, this.world.turn.now + 1 + this.random.below(20));
      return -1;
    }
    return this.outbox;
  }

  commit(len: number): void {
    const { memory } = this.world.arena;
    const bytes = memory.bytes.slice(this.outbox, this.outbox + len);
    if (this.config.stripped.length > 0) stripSynOptions(bytes, this.config.stripped);
    const isNew = this.watch.sending(this.tcb!, bytes);
    const bare = bytes.length === (bytes[12]! >>> 4) << 2 && (bytes[13]! & (Flag.Syn | Flag.Fin)) === 0;
    const { chain, answers } = this.progress.sending(this.watch.textEnd, bare, isNew, this.world.turn.now);
    this.watch.longestChain = Math.max(this.watch.longestChain, chain);
    this.rewrite(bytes);
    this.transmit({ bytes, chain, answers, copy: false }, bare);
  }

  /** A peer that is odd, but within its rights. */
  private rewrite(bytes: Uint8Array): void {
    const { urgent, takesBack } = this.config;
    const { random } = this;
    if (bytes[13]! & (Flag.Rst | Flag.Syn)) return;
    if (urgent > 0 && random.float() < urgent) setUrgent(bytes, random.below(65_536));
    if (takesBack > 0 && random.float() < takesBack) limitWindow(bytes, random.below(1 << random.below(17)));
  }

  private unblock(): void {
    this.blocked = false;
    if (!this.ended) this.wantOutput();
  }
}

function stream(seed: number): Uint8Array {
  const random = new SeededRandom(seed);
  return Uint8Array.from({ length: STREAM_BYTES }, () => random.word());
}
