// One Tcb between two doubles. The guest is scripted: it sends the segments a test writes and checks the ones it gets.
// The host takes and gives bytes. Sequence numbers are counted from each side's SYN, which is 0, so data begins at 1.
// After every segment and every output the invariants of checkTcb hold, and the right edge of the window has not moved
// left.

import { expect } from 'vitest';
import { Account, Arena } from '../../src/base/arena.ts';
import type { Ms } from '../../src/base/clock.ts';
import { type Drop, DropCounters } from '../../src/base/drop.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { createMemory } from '../../src/base/memory.ts';
import { Region } from '../../src/base/region.ts';
import { Timers } from '../../src/base/timers.ts';
import { type Egress, Turn } from '../../src/base/turn.ts';
import { TcpCounters } from '../../src/tcp/counters.ts';
import { segmentArrives } from '../../src/tcp/input.ts';
import { passiveOpen } from '../../src/tcp/input-handshake.ts';
import { NewReno } from '../../src/tcp/newreno.ts';
import { output } from '../../src/tcp/output.ts';
import { takePredicted } from '../../src/tcp/predicted.ts';
import { resetFor } from '../../src/tcp/reset.ts';
import { Segment } from '../../src/tcp/segment.ts';
import { type CloseReason, checkTcb, type SegmentOut, Tcb, type TcpUser } from '../../src/tcp/tcb.ts';
import * as user from '../../src/tcp/user.ts';
import { pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import { checkShape, MIN_HEADER_LEN } from '../../src/wire/tcp.ts';
import {
  bytesOf,
  type Options,
  readSegment,
  type SegmentFields,
  textOf,
  writeSegment,
} from './segment-bytes.ts';

export interface PeerOptions {
  /** Option MSS of the guest's SYN; 0: none. */
  readonly mss?: number;
  /** The guest's window scale; -1: none. */
  readonly windShift?: number;
  readonly timestamps?: boolean;
  readonly sackPermitted?: boolean;
  /** Initial sequence number of the host's side and of the guest's. */
  readonly iss?: number;
  readonly irs?: number;
  /** Window of the guest's segments, as the field says. */
  readonly wnd?: number;
  readonly flowBytes?: number;
  readonly mtu?: number;
  readonly arenaBytes?: number;
  /** Default false: what the rules of TCP let go is seen at once. */
  readonly paced?: boolean;
  /** Default true: predicted.ts is asked first, as for what comes from a guest. */
  readonly predicts?: boolean;
}

/** A segment the guest sends. What is left out is what an obedient guest would say. */
export interface GuestSegment {
  readonly seq?: number;
  readonly ack?: number;
  readonly flags?: string;
  readonly wnd?: number;
  readonly urgent?: number;
  readonly data?: string | Uint8Array;
  /** Timestamps are added where they are in force; `ts: null` leaves them out. */
  readonly options?: Omit<Options, 'ts'> & { readonly ts?: readonly [number, number] | null };
}

/** A segment the guest got. */
export interface HostSegment {
  readonly seq: number;
  readonly ack: number;
  /** Without P, which says nothing that a test must know. */
  readonly flags: string;
  readonly push: boolean;
  readonly wnd: number;
  readonly len: number;
  readonly text: string;
  readonly options: Options;
}

const GUEST = 0x0a00020f;
const GATEWAY = 0x0a000202;
const PSEUDO = pseudoSumIpv4(GUEST, GATEWAY, 6);
const GUEST_PORT = 40000;
const HOST_PORT = 80;
const BOX_BYTES = 131072;

export class TcpPeer {
  readonly clock = new ManualClock();
  readonly turn = new Turn(this.clock);
  readonly timers = new Timers(this.clock, this.turn);
  readonly drops = new DropCounters();
  readonly counters = new TcpCounters();
  readonly account = new Account();
  readonly arena: Arena;
  readonly tcb: Tcb;
  readonly guest: Guest;
  readonly host: Host;
  readonly options: Required<PeerOptions>;
  readonly wire: Wire;
  /** A Tcb serves for one connection. */
  opened = false;
  private readonly inbox: number;
  private readonly segment = new Segment();

  constructor(options: PeerOptions = {}) {
    this.options = {
      mss: 1460,
      windShift: 7,
      timestamps: false,
      sackPermitted: false,
      iss: 1_000_000,
      irs: 5000,
      wnd: 65535,
      flowBytes: 1 << 20,
      mtu: 1500,
      arenaBytes: 8 << 20,
      paced: false,
      predicts: true,
      ...options,
    };
    const { arenaBytes, flowBytes, mtu, iss } = this.options;
    this.arena = new Arena(createMemory(arenaBytes, (buffer) => new Uint8Array(buffer)));
    this.inbox = this.arena.take(BOX_BYTES, new Account());
    this.wire = new Wire(this.arena, this.arena.take(BOX_BYTES, new Account()));
    this.host = new Host(this);
    const { arena, timers, drops, counters } = this;
    const env = {
      ...{ arena, timers, drops, counters, flowBytes, mtu, timeWait: 10_000 },
      pacing: this.options.paced,
      newCongestion: () => new NewReno(),
    };
    const init = { ownPort: HOST_PORT, peerPort: GUEST_PORT, pseudoSum: PSEUDO, iss, tsOffset: 77 };
    this.tcb = new Tcb(env, this.host, this.wire, this.account, init);
    this.guest = new Guest(this);
    this.wire.tcb = this.tcb;
  }

  /** What `what` makes happen, and the output at the end of that turn. */
  run(what: () => void): void {
    this.turn.run(what);
    this.check();
  }

  check(): void {
    checkTcb(this.tcb);
  }

  /** A segment arrives within the turn that runs. */
  deliver(fields: SegmentFields): Drop {
    const len = writeSegment(this.arena.memory, this.inbox, PSEUDO, fields);
    this.segment.read(this.arena.memory, this.inbox, this.inbox + len);
    if (this.tcb.state === 'CLOSED' && fields.flags === 'S' && !this.opened) {
      this.opened = true;
      passiveOpen(this.tcb, this.segment, this.turn.now);
      return 0;
    }
    const { tcb, segment, turn } = this;
    const verdict = this.predicted(len) ?? segmentArrives(tcb, segment, turn.now);
    this.check();
    return verdict;
  }

  /** The same with one bit of it changed, which its checksum shows. What predicted.ts says of it. */
  deliverDamaged(fields: SegmentFields, bit: number): Drop | null {
    const { memory } = this.arena;
    const len = writeSegment(memory, this.inbox, PSEUDO, fields);
    memory.bytes[this.inbox + (bit >>> 3)]! ^= 1 << (bit & 7);
    if (checkShape(memory.view, this.inbox, len) !== 0) return null;
    this.segment.read(memory, this.inbox, this.inbox + len);
    const verdict = this.predicted(len);
    this.check();
    return verdict;
  }

  private predicted(len: number): Drop | null {
    const { tcb, segment, inbox, turn, options } = this;
    return options.predicts ? takePredicted(tcb, segment, inbox, len, PSEUDO, turn.now) : null;
  }

  /** The reset that answers a segment for which there is no connection. */
  resetFor(what: GuestSegment): HostSegment {
    const len = writeSegment(this.arena.memory, this.inbox, PSEUDO, this.guest.fields(what));
    this.segment.read(this.arena.memory, this.inbox, this.inbox + len);
    const at = this.wire.reserve(MIN_HEADER_LEN);
    resetFor(this.arena.memory, at, HOST_PORT, GUEST_PORT, PSEUDO, this.segment);
    this.wire.commit(MIN_HEADER_LEN);
    return this.wire.segments.pop()!;
  }

  /** Moves the clock; timers fire on the way. */
  advance(ms: Ms): void {
    this.clock.advance(ms);
    this.check();
  }

  get state(): string {
    return this.tcb.state;
  }
}

/** What the Tcb sends, checked and kept for the guest. */
export class Wire implements SegmentOut {
  /** Segments still to go before the link is full. */
  room = Number.POSITIVE_INFINITY;
  readonly segments: HostSegment[] = [];
  tcb!: Tcb;
  private readonly arena: Arena;
  private readonly outbox: number;
  private edge = 0;
  private edgeKnown = false;

  constructor(arena: Arena, outbox: number) {
    this.arena = arena;
    this.outbox = outbox;
  }

  reserve(len: number): number {
    expect(len, 'a segment fits the MTU').toBeLessThanOrEqual(this.tcb.env.mtu - 20);
    if (this.room <= 0) return -1;
    return this.outbox;
  }

  commit(len: number): void {
    this.room--;
    const { tcb } = this;
    const sent = readSegment(this.arena.memory, this.outbox, len, PSEUDO);
    expect([sent.from, sent.to]).toEqual([HOST_PORT, GUEST_PORT]);
    this.checkWindow(sent);
    this.segments.push({
      seq: (sent.seq - tcb.iss) | 0,
      ack: sent.flags.includes('A') ? (sent.ack - tcb.irs) | 0 : 0,
      flags: sent.flags.replace('P', ''),
      push: sent.flags.includes('P'),
      wnd: sent.wnd,
      len: sent.data.length,
      text: textOf(sent.data),
      options: sent.options,
    });
  }

  /** RFC 9293 3.8.6 (SHLD-14): the right edge never moves left, but for what the shift cannot say (RFC 7323 2.4). */
  private checkWindow(sent: SegmentFields): void {
    if (sent.flags.includes('R') || !sent.flags.includes('A')) return;
    const shift = sent.flags.includes('S') ? 0 : this.tcb.rcvWindShift;
    const edge = (sent.ack + (sent.wnd << shift)) | 0;
    const moved = this.edgeKnown ? (edge - this.edge) | 0 : 0;
    if (moved <= -(1 << shift)) throw new Error(`the window's right edge moved left by ${-moved}`);
    if (!this.edgeKnown || moved > 0) this.edge = edge;
    this.edgeKnown = true;
  }
}

/** The scripted end. */
export class Guest {
  /** Where its next segment begins, and what it has heard. Both counted from the SYNs. */
  seq = 0;
  ack = 0;
  wnd: number;
  private readonly peer: TcpPeer;
  private tsVal = 1000;
  private tsEcr = 0;

  constructor(peer: TcpPeer) {
    this.peer = peer;
    this.wnd = peer.options.wnd;
  }

  /** Sends one segment in a turn of its own and returns the verdict on it. */
  sends(what: GuestSegment): Drop {
    return this.sendsTogether(what)[0]!;
  }

  /** Sends several in one turn. */
  sendsTogether(...all: GuestSegment[]): Drop[] {
    const verdicts: Drop[] = [];
    this.peer.run(() => {
      for (const what of all) verdicts.push(this.peer.deliver(this.fields(what)));
    });
    return verdicts;
  }

  /** The SYN with the options of the test. */
  sendsSyn(flags = 'S'): Drop {
    return this.sends({ seq: 0, flags, options: this.synOptions() });
  }

  synOptions(): Options {
    const { mss, windShift, timestamps, sackPermitted } = this.peer.options;
    return {
      ...(mss > 0 ? { mss } : {}),
      ...(windShift >= 0 ? { windShift } : {}),
      ...(timestamps ? { ts: [this.tsVal, this.tsEcr] as const } : {}),
      ...(sackPermitted ? { sackPermitted } : {}),
    };
  }

  /** Takes the oldest segment that was sent, which must look so. */
  expects(what: Partial<HostSegment>): HostSegment {
    const sent = this.peer.wire.segments.shift();
    if (sent === undefined) throw new Error(`nothing was sent, expected ${JSON.stringify(what)}`);
    expect(sent).toMatchObject(what);
    this.heard(sent);
    return sent;
  }

  expectsNothing(): void {
    expect(this.peer.wire.segments.map(describe)).toEqual([]);
  }

  /** Takes all segments that were sent. */
  takesAll(): HostSegment[] {
    const all = this.peer.wire.segments.splice(0);
    for (const sent of all) this.heard(sent);
    return all;
  }

  private heard(sent: HostSegment): void {
    const end = sent.seq + sent.len + (/[SF]/.test(sent.flags) ? 1 : 0);
    // In order only: a test that plays a loss says `ack` itself.
    if (sent.seq <= this.ack && end > this.ack) this.ack = end;
    if (sent.options.ts !== undefined) this.tsEcr = sent.options.ts[0];
  }

  fields(what: GuestSegment): SegmentFields {
    const { tcb, options } = this.peer;
    const flags = what.flags ?? 'A';
    const data = typeof what.data === 'string' ? bytesOf(what.data) : (what.data ?? new Uint8Array());
    const seq = what.seq ?? this.seq;
    this.seq = Math.max(this.seq, seq + data.length + (/[SF]/.test(flags) ? 1 : 0));
    const { ts, ...rest } = what.options ?? {};
    const stamps = ts === undefined && tcb.timestamps ? ([++this.tsVal, this.tsEcr] as const) : ts;
    return {
      from: GUEST_PORT,
      to: HOST_PORT,
      seq: (options.irs + seq) | 0,
      ack: flags.includes('A') ? (tcb.iss + (what.ack ?? this.ack)) | 0 : 0,
      flags,
      wnd: what.wnd ?? this.wnd,
      ...(what.urgent === undefined ? {} : { urgent: what.urgent }),
      data,
      options: { ...rest, ...(stamps ? { ts: stamps } : {}) },
    };
  }
}

/** The user of the Tcb. */
export class Host implements TcpUser, Egress {
  /** What it was told, in order. */
  readonly heard: string[] = [];
  reason: CloseReason | null = null;
  private readonly peer: TcpPeer;
  private readonly region = new Region();

  constructor(peer: TcpPeer) {
    this.peer = peer;
  }

  /** Puts bytes behind the send ring's queue. */
  gives(data: string | Uint8Array): void {
    const bytes = typeof data === 'string' ? bytesOf(data) : data;
    this.peer.run(() => this.put(bytes));
  }

  /** As gives(), within the turn that runs. */
  put(bytes: Uint8Array): void {
    const { tcb, arena, turn } = this.peer;
    const ring = tcb.sendRing;
    expect(ring.ensure(ring.length + bytes.length), 'room in the send ring').toBe(true);
    for (let at = 0; at < bytes.length; ) {
      ring.writable(this.region);
      const part = Math.min(this.region.len, bytes.length - at);
      arena.memory.bytes.set(bytes.subarray(at, at + part), this.region.off);
      ring.extend(part);
      at += part;
    }
    user.sent(tcb, turn.now);
  }

  /** Takes up to `n` bytes that have come in order. */
  takes(n = Number.POSITIVE_INFINITY): string {
    return textOf(this.takesBytes(n));
  }

  takesBytes(n = Number.POSITIVE_INFINITY): Uint8Array {
    const { tcb, arena } = this.peer;
    const parts: number[] = [];
    this.peer.run(() => {
      while (parts.length < n && tcb.recvRing.length > 0) {
        tcb.recvRing.readable(0, this.region);
        const len = Math.min(this.region.len, n - parts.length);
        for (let i = 0; i < len; i++) parts.push(arena.memory.bytes[this.region.off + i]!);
        user.received(tcb, len, this.peer.turn.now);
      }
    });
    return Uint8Array.from(parts);
  }

  closes(): void {
    this.peer.run(() => user.close(this.peer.tcb, this.peer.turn.now));
  }

  aborts(): void {
    this.peer.run(() => user.abort(this.peer.tcb, this.peer.turn.now));
  }

  accepts(): void {
    this.peer.run(() => user.accept(this.peer.tcb));
  }

  connects(): void {
    this.peer.opened = true;
    this.peer.run(() => user.connect(this.peer.tcb, this.peer.turn.now));
  }

  /** The link has room again. */
  linkIsWritable(): void {
    this.peer.wire.room = Number.POSITIVE_INFINITY;
    this.peer.run(() => this.wantOutput());
  }

  runEgress(now: Ms): void {
    output(this.peer.tcb, now);
    this.peer.check();
  }

  wantOutput(): void {
    this.peer.turn.wantEgress(this);
  }

  onEstablished(): void {
    this.heard.push('established');
  }

  onReadable(): void {}

  onPeerFin(): void {
    this.heard.push('fin');
  }

  onSendSpace(): void {}

  onClosed(reason: CloseReason): void {
    this.reason = reason;
    this.heard.push(`closed: ${reason}`);
  }
}

function describe(segment: HostSegment): string {
  return `${segment.flags} seq ${segment.seq} ack ${segment.ack} len ${segment.len} wnd ${segment.wnd}`;
}

/** A connection that the guest has opened and the host accepted, with nothing under way. */
export function established(options: PeerOptions = {}): TcpPeer {
  const peer = new TcpPeer(options);
  peer.guest.sendsSyn();
  peer.host.accepts();
  peer.guest.expects({ flags: 'SA', seq: 0, ack: 1 });
  peer.guest.sends({});
  peer.guest.expectsNothing();
  expect(peer.host.heard).toEqual(['established']);
  return peer;
}

/** The same, opened by the host. */
export function establishedActively(options: PeerOptions = {}): TcpPeer {
  const peer = new TcpPeer(options);
  peer.host.connects();
  peer.guest.expects({ flags: 'S', seq: 0 });
  peer.guest.sendsSyn('SA');
  peer.guest.expects({ flags: 'A', seq: 1, ack: 1 });
  peer.guest.expectsNothing();
  return peer;
}
