// Does a connection get on? Three questions about one end, asked of every segment:
//   - Is it silent although it has something to send? The longest it may wait is what its own timers allow.
//   - Do its segments arrive and the answers come back, and nothing moves?
//   - Do two ends answer each other without telling anything new? A row of such segments is a chain.

import { assert } from '../../src/base/assert.ts';
import type { Ms } from '../../src/base/clock.ts';
import type { Segment } from '../../src/tcp/segment.ts';
import { seqLeq } from '../../src/tcp/seq.ts';
import type { Tcb } from '../../src/tcp/tcb.ts';
import type { Message } from './channel.ts';

/** Longest silence with a closed window: the longest time between two probes, and again. RFC 9293 3.8.6.1. */
const MAX_PROBE_SILENCE: Ms = 130_000;
/** On top of twice the RTO. */
const SLACK: Ms = 1000;
/** Answers in vain, to what the other end could have used. As many as a channel's queue may hold, and some. */
const MAX_IN_VAIN = 1200;
/** Longest chain. */
const MAX_CHAIN = 40;

export class Progress {
  /** Answers since sndUna moved last. */
  inVain = 0;
  mostInVain = 0;
  longestSilence: Ms = 0;
  /** When sndUna moved last, when a segment came last. */
  movedAt: Ms = 0;
  heardAt: Ms = 0;
  private quietSince: Ms = -1;
  private allowed: Ms = 0;
  /** What came at `causeAt` and made it send: the longest chain, and whether any of it was news. */
  private cause = -1;
  private hasNews = false;
  private causeAt: Ms = -1;
  /** How far it has sent again since sndUna moved last, or a timer fired. */
  private resentUpTo = -1;
  private owes = false;
  private una = 0;
  private nxt = 0;
  private state = '';
  private wasAnswer = false;

  before(tcb: Tcb, segment: Segment, message: Message, now: Ms): void {
    this.forgetBefore(now);
    this.una = tcb.sndUna;
    this.nxt = tcb.rcvNxt;
    this.state = tcb.state;
    this.wasAnswer = message.answers;
    this.cause = Math.max(this.cause, message.chain + 1);
    // RFC 9293 3.10.7.4: what reaches rcvNxt is taken or asks for an ACK that says more than its sender knows.
    if (segment.len > 0 && seqLeq(segment.seq, tcb.rcvNxt)) this.owes = true;
  }

  after(tcb: Tcb, now: Ms, ended: boolean): void {
    this.heardAt = now;
    if (ended) return;
    const moved = tcb.sndUna !== this.una;
    if (moved || tcb.rcvNxt !== this.nxt || tcb.state !== this.state) this.hasNews = true;
    if (moved) {
      this.inVain = 0;
      this.resentUpTo = -1;
      this.movedAt = now;
      this.quietSince = now;
    } else if (this.wasAnswer && tcb.sndWnd > 0 && tcb.sndUna !== tcb.sndMax) this.inVain++;
    if (tcb.sndWnd === 0) this.inVain = 0;
    this.mostInVain = Math.max(this.mostInVain, this.inVain);
    assert(this.inVain < MAX_IN_VAIN, `${this.inVain} answers came and nothing moved`);
    this.look(tcb, now);
  }

  appActed(tcb: Tcb, now: Ms): void {
    this.forgetBefore(now);
    this.hasNews = true;
    this.look(tcb, now);
  }

  /** What a segment is to carry that has text up to `end`, or none: -1. */
  sending(end: number, bare: boolean, isNew: boolean, now: Ms): { chain: number; answers: boolean } {
    this.forgetBefore(now);
    // Going through all that is out, as a sender without SACK does, is no standing still however long it takes.
    if (this.cause < 0) this.resentUpTo = -1;
    const isFurther = end > this.resentUpTo;
    if (isFurther && !isNew) this.resentUpTo = end;
    const chain = isNew || isFurther || this.hasNews || this.cause < 0 ? 0 : this.cause;
    assert(chain < MAX_CHAIN, `${chain} segments have answered one another and said nothing new`);
    const { owes } = this;
    this.owes = false;
    if (!bare) this.heardNothingFor(now);
    return { chain, answers: owes };
  }

  /** What came in an earlier turn is not why it sends now. */
  private forgetBefore(now: Ms): void {
    if (this.causeAt === now) return;
    this.causeAt = now;
    this.cause = -1;
    this.hasNews = false;
  }

  /** Keeps the books of silence; after whatever the end has done. */
  look(tcb: Tcb, now: Ms): void {
    const due = tcb.state !== 'TIME-WAIT' && !tcb.synAckHeld && (tcb.sendRing.length > 0 || isFinDue(tcb));
    if (!due) this.quietSince = -1;
    else if (this.quietSince < 0) this.quietSince = now;
    // A FIN alone takes its place in the window, too.
    const open = tcb.sndWnd >= Math.max(1, Math.min(tcb.sendMss, tcb.sendRing.length));
    const allowed = open ? 2 * tcb.rtt.rto + SLACK : MAX_PROBE_SILENCE;
    if (this.quietSince === now) this.allowed = allowed;
    else this.allowed = Math.max(this.allowed, allowed);
    if (due) this.heardNothingFor(now, false);
  }

  private heardNothingFor(now: Ms, sent = true): void {
    if (this.quietSince >= 0) {
      const silent = now - this.quietSince;
      this.longestSilence = Math.max(this.longestSilence, silent);
      assert(silent <= this.allowed, `nothing sent for ${silent} ms with something to send`);
    }
    if (sent) this.quietSince = now;
  }
}

function isFinDue(tcb: Tcb): boolean {
  return tcb.finQueued && !tcb.finAcked;
}
