// TCP, theory of operation.
//
// One Tcb is one connection of a guest. We are the other end of it: not a relay of segments but a full endpoint of RFC
// 9293 that stands in for whatever the guest talks to. nat/ joins it to a host socket, guest/ uses the same code from
// the other side. TCP here knows no Ethernet, no socket and no clock: segments come in through segmentArrives(), go out
// through SegmentOut, time is an argument (but for pacing.ts), and what it has to tell its user goes through TcpUser.
//
// Bytes. Each direction has one ring in the arena (base/ring.ts).
//   guest -> host  A segment's payload is copied once, into `recvRing`, in order or not: out-of-order bytes are written
//                  where they will belong, behind the queue, and `gaps` remembers which ranges are there. Bytes join
//                  the queue, and rcvNxt moves, when everything before them has come. The user takes them off the
//                  front when the host's kernel has them.
//   host -> guest  The user's socket reads into `sendRing`. A byte stays there until it is acknowledged; a segment is
//                  built by copying from the ring into the frame, the checksum made in the same pass. A
//                  retransmission is the same copy once more.
//
// What is acknowledged when. Input never sends. It sets `ackPending`, and output() runs once at the end of the turn: a
// burst of fifty segments costs one ACK, a single one is acknowledged at once, but for a small one in a conversation of
// question and answer: that is left to the answer for some milliseconds (delayed-ack.ts). RFC 9293 3.8.6.3 (SHLD-19) asks
// for an ACK at least every second full segment "of a stream": within a turn nobody could tell the difference. Where
// segments are missing somebody can: sack-blocks.ts says which further ACKs such a turn owes.
//
// Back-pressure. The window we advertise is what the receive ring may still take: `rcvLimit` less what waits for the
// host. A host that does not read fills its socket, then the ring, then the window closes. In the other direction the
// user stops its socket when `sendRing` is full. rcvLimit starts at 64 KiB and grows by what a user that keeps up
// takes, as fast as the peer's slow start, up to the ring's limit; the right edge we have advertised (`rcvAdv`) never
// moves left (SHLD-14: a TCP should not shrink the window). An advertised window is a promise and not a reservation:
// where the arena cannot keep it, the segment is dropped unacknowledged and counted.
//
// Loss. A log of what is out (sent-log.ts), RACK and a tail loss probe (RFC 8985) where the peer says SACK, duplicate ACKs
// (RFC 6582) where it does not, the RFC 6298 timer behind both, and one way to send again what is lost (recovery.ts). How
// wide the window is the Congestion interface says, and pacing.ts how much of it goes at once.
//
// Deadlines are fields, in ms on the network's clock, NEVER when off. One Timer per connection stands at the earliest
// of them; timers.ts maps what is due to what is done.
//
// Variables are the RFC's with the dot removed: SND.UNA is sndUna. Sequence numbers are signed words, compared in seq.ts
// only. Windows and sizes are bytes.

import type { Account, Arena } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import type { Ms } from '../base/clock.ts';
import { NEVER } from '../base/clock.ts';
import type { DropCounters } from '../base/drop.ts';
import { Ring } from '../base/ring.ts';
import { Timer, type Timers } from '../base/timers.ts';
import type { Congestion } from './congestion.ts';
import type { TcpCounters } from './counters.ts';
import { Gaps } from './gaps.ts';
import type { Pacer } from './pacing.ts';
import { Recovery } from './recovery.ts';
import { Rtt } from './rtt.ts';
import { Sent } from './sent-log.ts';
import { seqDiff, seqLeq, seqMin } from './seq.ts';
import { type Event, nextState, type State } from './state.ts';
import { timerFired } from './timers.ts';

/** Why a connection is over. */
export type CloseReason = 'normal' | 'peer-reset' | 'timed-out';

/** What TCP needs from whoever uses it. Called inside a turn's ingress; none of these may call back into input. */
export interface TcpUser {
  /** The three-way handshake is complete. */
  onEstablished(): void;
  /** recvRing holds more bytes than before. */
  onReadable(): void;
  /** The peer sent FIN, and everything before it is in recvRing or was taken from it. */
  onPeerFin(): void;
  /** Bytes of sendRing were acknowledged and left it. */
  onSendSpace(): void;
  /** Something is to be sent: call output() at the end of this turn. */
  wantOutput(): void;
  /** The state is CLOSED: the last call. */
  onClosed(reason: CloseReason): void;
}

/** Where segments go. What implements it adds the headers below. */
export interface SegmentOut {
  /** Room for a segment of `len` bytes: its offset in the arena, or -1 when the link is full (ask again when it is not). */
  reserve(len: number): number;
  /** The segment is complete, checksum and all. */
  commit(len: number): void;
  /**
   * Behind the segment that was committed last, which had `header` bytes of header and `len` of text, up to `count` more of
   * them, each the next in sequence and alike but for that; their text is in the arena from `src` on. How many went.
   */
  repeat?(header: number, len: number, src: number, count: number): number;
}

/** What all connections of one endpoint share. */
export interface TcpEnv {
  readonly arena: Arena;
  readonly timers: Timers;
  readonly drops: DropCounters;
  readonly counters: TcpCounters;
  /** Most bytes of a ring, a power of two. */
  readonly flowBytes: number;
  /** Largest IP packet of the network. */
  readonly mtu: number;
  /** How long TIME-WAIT lasts, ms. */
  readonly timeWait: Ms;
  /** Are sends spread over the round trip, where it is long? See pacing.ts. */
  readonly pacing: boolean;
  /** A connection's congestion control, one of its own. */
  newCongestion(): Congestion;
}

/** What is to know of a connection before its first segment. */
export interface TcbInit {
  readonly ownPort: number;
  readonly peerPort: number;
  /** checksum.pseudoSumIpv4 of the two addresses. */
  readonly pseudoSum: number;
  readonly iss: number;
  /** Added to the clock in timestamps, so that they tell nothing. RFC 7323 5.4. */
  readonly tsOffset: number;
}

/** The window until we know that more is wanted, and the most without window scaling. */
export const INITIAL_RCV_LIMIT = 65536;
/** RFC 9293 3.7.1: what to assume without an MSS option. */
export const DEFAULT_MSS = 536;

export class Tcb {
  state: State = 'CLOSED';
  readonly env: TcpEnv;
  readonly user: TcpUser;
  readonly out: SegmentOut;
  readonly ownPort: number;
  readonly peerPort: number;
  readonly pseudoSum: number;

  // Send sequence space, RFC 9293 3.3.1.
  readonly iss: number;
  /** Oldest unacknowledged. Never moves back. */
  sndUna: number;
  /** Next to send. Goes back to sndUna when the peer has taken its window back, and a lost SYN is to go again. */
  sndNxt: number;
  /** Highest ever sent: what an ACK may acknowledge. Ahead of sndNxt by a window probe, or where that went back. */
  sndMax: number;
  /** The peer's window, scaled. */
  sndWnd = 0;
  sndWl1 = 0;
  sndWl2 = 0;
  /** Largest sndWnd seen: for silly-window avoidance (RFC 9293 3.8.6.2.1) and old ACKs (RFC 5961 5.2). */
  maxSndWnd = 0;
  /** Shift for windows the peer sends. RFC 7323 2.3. */
  sndWindShift = 0;
  /** Bytes of payload in a full segment, our options already taken off. RFC 6691. */
  sendMss = DEFAULT_MSS;
  /** Not yet acknowledged bytes; the first one is sndUna, once our SYN is acknowledged. */
  readonly sendRing: Ring;
  /** Our FIN comes behind the last byte of sendRing. */
  finQueued = false;
  /** Our SYN is acknowledged, our FIN is acknowledged. */
  synAcked = false;
  finAcked = false;

  // Receive sequence space.
  irs = 0;
  rcvNxt = 0;
  /** Right edge last advertised. */
  rcvAdv = 0;
  rcvWindShift = 0;
  /** Bytes we are willing to hold for the user now. */
  rcvLimit = INITIAL_RCV_LIMIT;
  /** Bytes up to readMark came at readMarkAt, NEVER: nothing is timed. Does the user take them in good time? */
  readMark = 0;
  readMarkAt: Ms = NEVER;
  readerKeepsUp = true;
  readonly recvRing: Ring;
  /** Ranges beyond rcvNxt that have come. */
  readonly gaps = new Gaps();
  /** The peer's FIN has come, at this sequence number, maybe ahead of data. */
  peerFinSeen = false;
  peerFinSeq = 0;

  // Options in force.
  /** Both SYNs said a shift, be it 0. RFC 7323 2.2. */
  windowScaling = false;
  timestamps = false;
  sackPermitted = false;
  readonly tsOffset: number;
  /** TS.Recent and when it was taken. RFC 7323 5.4, 5.5. */
  tsRecent = 0;
  tsRecentAt: Ms = 0;
  /** Last.ACK.sent. */
  lastAckSent = 0;

  // What is to be sent.
  /** An ACK is due at the end of this turn. */
  ackPending = false;
  /** Segments with text that have come since ours last went out, and exchanges of one each in a row: delayed-ack.ts. */
  textsIn = 0;
  exchanges = 0;
  /** Further ACKs of this turn that the peer will count as duplicates, and how many rcvNxt was due, up to three. */
  dupAcksDue = 0;
  outOfOrderRun = 0;
  /** The SYN-ACK waits until the user has what the guest asked for: accept(). */
  synAckHeld = false;
  /** A probe of the closed window is due. */
  probe = false;
  /** A probe for the end of what is out is due. */
  tlpDue = false;
  keepaliveDue = false;
  /** The peer acknowledged in the handshake what we never sent: a reset with this number tells it. */
  refusalDue = false;
  refusedAck = 0;
  /** Challenge ACKs left in this second of the clock. RFC 5961 7. */
  challengeSecond = -1;
  challengesLeft = 0;
  /** The link had no room; output() goes on when it has. */
  linkBlocked = false;

  // Congestion and timing.
  readonly congestion: Congestion;
  readonly rtt = new Rtt();
  readonly recovery = new Recovery();
  /** null: this way is not paced. */
  pacer: Pacer | null = null;
  /** Where the recovery that is under way, or the last one, ends: sndMax when it began. RFC 6582 3.2. */
  recover: number;
  /** When our SYN was sent first: the first round trip. */
  synSentAt: Ms = 0;
  /** End of what was sent twice, and the timestamp clock when that was done last. */
  resentEnd: number;
  resentTs = 0;
  /** Segments sent a second time or more. */
  retransmits = 0;
  /** Timeouts in a row. */
  retries = 0;
  probes = 0;
  lastSentAt: Ms = 0;
  lastHeardAt: Ms = 0;

  // Deadlines.
  rtoAt: Ms = NEVER;
  /** When what may only be late is lost (RFC 8985 6.2), and when to probe for the end of what is out (7.2). */
  reoAt: Ms = NEVER;
  tlpAt: Ms = NEVER;
  /** Something new was sent or acknowledged: tlpAt is to be set anew. */
  tlpUnset = false;
  persistAt: Ms = NEVER;
  /** When what an answer was to acknowledge is acknowledged without one. */
  ackAt: Ms = NEVER;
  /** When the budget of pacing.ts allows more. */
  paceAt: Ms = NEVER;
  keepaliveAt: Ms = NEVER;
  timeWaitEndsAt: Ms = NEVER;
  /** When the rings give back what they do not use. */
  shrinkAt: Ms = NEVER;
  readonly timer: Timer;

  constructor(env: TcpEnv, user: TcpUser, out: SegmentOut, account: Account, init: TcbInit) {
    this.env = env;
    this.user = user;
    this.out = out;
    this.ownPort = init.ownPort;
    this.peerPort = init.peerPort;
    this.pseudoSum = init.pseudoSum;
    this.iss = init.iss;
    this.sndUna = init.iss;
    this.sndNxt = init.iss;
    this.sndMax = init.iss;
    this.recover = init.iss;
    this.resentEnd = init.iss;
    this.tsOffset = init.tsOffset;
    this.sendRing = new Ring(env.arena, account, env.flowBytes);
    this.recvRing = new Ring(env.arena, account, env.flowBytes);
    this.congestion = env.newCongestion();
    this.timer = new Timer((now) => timerFired(this, now));
  }

  /** First sequence number of sendRing. */
  get dataStart(): number {
    return this.synAcked ? this.sndUna : (this.iss + 1) | 0;
  }

  /** Sequence number behind everything queued: behind our FIN, when it is queued. */
  get sndEnd(): number {
    return (this.dataStart + this.sendRing.length + (this.finQueued && !this.finAcked ? 1 : 0)) | 0;
  }

  /**
   * The sequence number of a segment without text: behind everything sent, also where sndNxt went back, or the peer takes
   * it for an old one; but not beyond the peer's window (a probe of a closed one was).
   */
  get bareSeq(): number {
    return this.synAcked ? seqMin(this.sndMax, (this.sndUna + this.sndWnd) | 0) : this.sndMax;
  }
}

/** The only writer of tcb.state. RFC 9293 figure 5. */
export function setState(tcb: Tcb, event: Event): void {
  const next = nextState(tcb.state, event);
  assert(next !== null, `${event} in ${tcb.state}`);
  tcb.state = next;
}

/** Asserts what must hold between segments. Tests call it after every one. */
export function checkTcb(tcb: Tcb): void {
  assert(seqLeq(tcb.sndUna, tcb.sndNxt), 'sndUna <= sndNxt');
  assert(seqLeq(tcb.sndNxt, tcb.sndMax), 'sndNxt <= sndMax');
  assert(seqLeq(tcb.sndMax, tcb.sndEnd) || tcb.state === 'CLOSED', 'sndMax <= end of the queue');
  assert(seqLeq(tcb.sndUna, (tcb.recover + 1) | 0), 'recover keeps up with sndUna');
  assert(seqLeq(tcb.recover, tcb.sndMax), 'recover <= sndMax');
  checkLog(tcb);
  assert(seqLeq(tcb.rcvNxt, tcb.rcvAdv), 'rcvNxt <= rcvAdv');
  assert(tcb.recvRing.length <= tcb.recvRing.limit, 'receive ring within its limit');
  assert(seqDiff(tcb.rcvAdv, tcb.rcvNxt) <= tcb.recvRing.room, 'the ring has room for the window');
  assert(tcb.sendRing.length <= tcb.sendRing.limit, 'send ring within its limit');
  assert(
    tcb.gaps.count === 0 || seqDiff(tcb.gaps.left(0), tcb.rcvNxt) > 0,
    'a gap before the first early range',
  );
  assert(!tcb.finAcked || tcb.sendRing.length === 0, 'FIN acknowledged after all data');
}

/** The log holds exactly what is between sndUna and sndNxt, and its sums are right. */
function checkLog(tcb: Tcb): void {
  const { log } = tcb.recovery;
  if (!tcb.synAcked || tcb.state === 'CLOSED') return;
  let sacked = 0;
  let lost = 0;
  for (let i = 0; i < log.count; i++) {
    assert(log.len(i) > 0, 'a record holds something');
    if (log.is(i, Sent.Sacked)) sacked += log.len(i);
    else if (log.is(i, Sent.Lost)) lost += log.len(i);
  }
  assert(log.start === tcb.sndUna, 'the log begins at sndUna');
  assert((log.count === 0 ? log.start : log.end(log.count - 1)) === tcb.sndNxt, 'the log ends at sndNxt');
  assert(sacked === log.sackedBytes && lost === log.lostBytes, 'the sums of the log');
}
