// A bulk transfer between two Tcbs: one end always has something to send, the other takes everything at once.

import { Account, type Arena } from '../../src/base/arena.ts';
import { Drop, DropCounters } from '../../src/base/drop.ts';
import type { Timers } from '../../src/base/timers.ts';
import type { Egress, Turn } from '../../src/base/turn.ts';
import type { Congestion } from '../../src/tcp/congestion.ts';
import { TcpCounters } from '../../src/tcp/counters.ts';
import { segmentArrives } from '../../src/tcp/input.ts';
import { passiveOpen } from '../../src/tcp/input-handshake.ts';
import { output } from '../../src/tcp/output.ts';
import { Segment } from '../../src/tcp/segment.ts';
import { type SegmentOut, Tcb, type TcpUser } from '../../src/tcp/tcb.ts';
import * as user from '../../src/tcp/user.ts';
import * as tcp from '../../src/wire/tcp.ts';

const PSEUDO = 0x4321;
const SCRATCH_BYTES = 131_072;
const MTU = 1500;

export interface EndConfig {
  readonly sends: boolean;
  readonly iss: number;
  readonly flowBytes: number;
  /** Data segments that are answered with one ACK, as far as they come together. */
  readonly perAck: number;
  newCongestion(): Congestion;
}

export interface World {
  readonly arena: Arena;
  readonly timers: Timers;
}

export class End implements TcpUser, SegmentOut, Egress {
  readonly tcb: Tcb;
  readonly counters = new TcpCounters();
  /** Payload bytes taken by the user. */
  taken = 0;
  /** Where its segments go; kept by the callee. */
  transmit!: (bytes: Uint8Array) => void;
  private readonly config: EndConfig;
  private readonly turn: Turn;
  private readonly memory: Arena['memory'];
  private readonly inbox: number;
  private readonly outbox: number;
  private readonly segment = new Segment();
  private waiting: Uint8Array[] = [];

  /** `turn` is this end's own: it may answer in the middle of a turn of the other one. */
  constructor({ arena, timers }: World, turn: Turn, config: EndConfig) {
    this.config = config;
    this.turn = turn;
    this.memory = arena.memory;
    const account = new Account();
    this.inbox = arena.take(SCRATCH_BYTES, account);
    this.outbox = arena.take(SCRATCH_BYTES, account);
    const env = {
      ...{ arena, timers, drops: new DropCounters(), counters: this.counters, mtu: MTU, timeWait: 1000 },
      flowBytes: config.flowBytes,
      pacing: true,
      newCongestion: config.newCongestion,
    };
    const init = { ownPort: 1, peerPort: 2, pseudoSum: PSEUDO, iss: config.iss, tsOffset: 0 };
    this.tcb = new Tcb(env, this, this, new Account(), init);
  }

  connect(): void {
    this.turn.run(() => user.connect(this.tcb, this.turn.now));
  }

  /** A frame has come: answered with `perAck - 1` others, or when it is the last that came together. */
  receive(bytes: Uint8Array, last: boolean): void {
    this.waiting.push(bytes);
    if (!last && this.waiting.length < this.config.perAck) return;
    const { waiting } = this;
    this.waiting = [];
    this.turn.run(() => {
      for (const one of waiting) this.take(one);
    });
  }

  private take(bytes: Uint8Array): void {
    const { tcb, memory, turn } = this;
    memory.bytes.set(bytes, this.inbox);
    if (tcp.check(memory, this.inbox, bytes.length, PSEUDO) !== Drop.None)
      throw new Error('a segment is damaged');
    this.segment.read(memory, this.inbox, this.inbox + bytes.length);
    if (tcb.state === 'CLOSED') {
      passiveOpen(tcb, this.segment, turn.now);
      user.accept(tcb);
    } else segmentArrives(tcb, this.segment, turn.now);
  }

  private fill(): void {
    const ring = this.tcb.sendRing;
    if (!this.config.sends || ring.room === 0) return;
    const len = ring.room;
    if (!ring.ensure(ring.length + len)) throw new Error('the arena is full');
    ring.extend(len);
    user.sent(this.tcb, this.turn.now);
  }

  // TcpUser, Egress, SegmentOut

  onEstablished(): void {
    this.fill();
  }

  onReadable(): void {
    const { length } = this.tcb.recvRing;
    this.taken += length;
    user.received(this.tcb, length, this.turn.now);
  }

  onPeerFin(): void {}

  onSendSpace(): void {
    this.fill();
  }

  wantOutput(): void {
    this.turn.wantEgress(this);
  }

  onClosed(reason: string): void {
    throw new Error(`the connection ended: ${reason}`);
  }

  runEgress(now: number): void {
    output(this.tcb, now);
  }

  reserve(): number {
    return this.outbox;
  }

  commit(len: number): void {
    this.transmit(this.memory.bytes.slice(this.outbox, this.outbox + len));
  }
}
