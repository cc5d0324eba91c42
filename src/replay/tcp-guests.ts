// The guests' side of TCP in a replay. A recorded segment is sent again in our connection: its text and its own sequence
// numbers are the recording's, what it says about the other direction (acknowledgment, window scale, timestamps) is ours.
// SACK blocks are left out: the replayed cable loses nothing, so what they would report has not happened.
//
// A segment waits until the network has sent what it acknowledges and takes what it carries. Meanwhile the guest
// acknowledges what has come, without which the network's congestion window would not grow, and time goes on from alarm
// to alarm; after WAIT_MS of it the segment is sent as far as it makes sense.

import type { ManualClock } from '../base/manual-clock.ts';
import { seqLeq } from '../tcp/seq.ts';
import { Flag } from '../wire/tcp.ts';
import { type Aligner, bareAck, type SegmentNow } from './align.ts';
import type { Decoded, DecodedIp } from './decode.ts';
import type { Difference } from './differences.ts';
import type { GuestLink } from './guest-link.ts';
import type { SeenSegment, TcpConversation, TcpConversations } from './tcp-conversations.ts';
import type { World } from './world.ts';

/** How long, in all, a segment waits for what it acknowledges, and how often it looks. */
const WAIT_MS = 4000;
const WAIT_ROUNDS = 4000;

/** What a replay lends to its TCP. */
export interface TcpBench {
  readonly clock: ManualClock;
  readonly world: World;
  readonly aligner: Aligner;
  /** Connections as the replay's cable shows them. */
  readonly ours: TcpConversations;
  link(guest: string): GuestLink | undefined;
  /** Runs whatever waits for no time. */
  settle(): void;
}

interface LastSent {
  readonly frame: Uint8Array;
  readonly now: SegmentNow;
}

export class TcpGuests {
  private readonly bench: TcpBench;
  /** Our connection for one of the recording. */
  private readonly pairs = new Map<TcpConversation, TcpConversation>();
  /** What the guest has sent last in one of ours, and when its first segment was. */
  private readonly lastSent = new Map<TcpConversation, LastSent>();
  private readonly opened = new Map<TcpConversation, number>();
  /** Connections that began before the capture. */
  readonly skipped = new Set<TcpConversation>();

  constructor(bench: TcpBench) {
    this.bench = bench;
  }

  /** Lets the network send what the recorded one has sent and ours has not yet. */
  finish(): void {
    for (const [theirs, ours] of this.pairs) {
      if (!ours.guestReset && !ours.networkReset && ours.isOpen)
        this.waitFor(theirs, ours, () => ours.toGuest.length >= theirs.toGuest.length);
    }
  }

  /**
   * Connections of which the host has not got what our network has acknowledged to the guest, bytes or FIN: what is seen
   * on the cable is one thing, what came out at the other end another. Those to our own name service end there.
   */
  undelivered(ownService: number | null): Difference[] {
    const found: Difference[] = [];
    for (const [theirs, ours] of this.pairs) {
      const { stream } = this.bench.world.endOf(theirs);
      const subjects = [`tcp ${theirs.name}`];
      if (stream === null || ours.remoteAddress === ownService || ours.networkReset || ours.guestReset)
        continue;
      const sent = ours.toHost.bytes(0, ours.ackedByNetwork);
      const got = stream.written;
      if (got.length < sent.length || sent.some((byte, i) => got[i] !== byte)) {
        const said = { theirs: `${sent.length} bytes acknowledged`, ours: `${got.length} bytes at the host` };
        found.push({ field: 'tcp.toHost', ...said, matters: true, why: '', subjects });
      }
      const isEnded = ours.toHost.isWhole && ours.ackedByNetwork > ours.toHost.length;
      if (!isEnded || stream.ended) continue;
      const said = { theirs: 'FIN acknowledged', ours: 'open at the host' };
      found.push({ field: 'tcp.close', ...said, matters: true, why: '', subjects });
    }
    return found;
  }

  /** A segment of the recorded network: the host's side says what must have been said for it. */
  heard(seen: SeenSegment): void {
    const { world, ours } = this.bench;
    const theirs = seen.conversation;
    const before = ours.all.length;
    world.says(seen);
    if (!theirs.isInbound || !seen.isNew) return;
    this.bench.settle();
    const opened = ours.all
      .slice(before)
      .find((one) => one.isInbound && one.guest === theirs.guest && one.guestPort === theirs.guestPort);
    if (opened !== undefined) this.pairs.set(theirs, opened);
  }

  /** A segment of the guest behind `link`, that the recording shows. */
  take(link: GuestLink, frame: Decoded, seen: SeenSegment, isCut: boolean): void {
    const { conversation: theirs, segment } = seen;
    const { flags } = segment;
    if (!theirs.hasSyn) {
      this.skipped.add(theirs);
      return;
    }
    const isPlain = (flags & Flag.Ack) === 0;
    const ours = this.pairs.get(theirs);
    const ip = frame.ip!;
    if (isPlain || ours === undefined) {
      // A SYN, or a reset of something that never was: nothing of ours is in it.
      if (!isPlain) return;
      this.bench.world.during(theirs, () => link.sends(this.bench.aligner.aligned(frame, isCut)));
      this.bench.settle();
      if (seen.isNew && !theirs.isInbound) this.pairOutbound(theirs, ip);
      return;
    }
    // Its SYN-ACK is missing in the capture.
    if (theirs.answer === 'SYN-ACK') this.bench.world.accepts(theirs);
    const ack = (): number => (ours.networkIss + 1 + this.relativeAck(theirs, segment.ack)) >>> 0;
    const end = segment.seq + segment.data.length;
    const isReady = (): boolean =>
      ours.networkIss >= 0 &&
      seqLeq(ack(), ours.guestRcvNxt) &&
      (segment.data.length === 0 || seqLeq(end, ours.windowEdge));
    if (!this.waitFor(theirs, ours, isReady) && ours.networkIss < 0) return;
    const acked = seqLeq(ack(), ours.guestRcvNxt) ? ack() : ours.guestRcvNxt;
    const now = this.segmentNow(theirs, ours, segment, acked);
    const bytes =
      flags & Flag.Syn
        ? this.bench.aligner.alignedSynAck(frame, ip, now)
        : this.bench.aligner.alignedSegment(frame, ip, segment, now, isCut);
    this.lastSent.set(ours, { frame: bytes, now });
    this.bench.world.during(theirs, () => link.sends(bytes));
  }

  private relativeAck(theirs: TcpConversation, ack: number): number {
    const at = (ack - theirs.networkIss - 1) | 0;
    return theirs.networkIss < 0 || at < 0 ? 0 : at;
  }

  private segmentNow(
    theirs: TcpConversation,
    ours: TcpConversation,
    segment: SeenSegment['segment'],
    ack: number,
  ): SegmentNow {
    const bytes = segment.window * 2 ** (theirs.isScaled ? (theirs.guestOptions?.windShift ?? 0) : 0);
    const shift = ours.isScaled ? (ours.guestOptions?.windShift ?? 0) : 0;
    const window = Math.min(65_535, Math.ceil(bytes / 2 ** shift));
    const { remoteAddress, remotePort } = ours;
    return { ack, window, remoteAddress, remotePort, timestamps: this.timestamps(theirs, ours, segment) };
  }

  /** A guest whose recorded network had none goes on from those of its SYN, a millisecond each. */
  private timestamps(
    theirs: TcpConversation,
    ours: TcpConversation,
    segment: SeenSegment['segment'],
  ): SegmentNow['timestamps'] {
    if (!ours.hasTimestamps) return null;
    const { options } = segment;
    if (options.hasTimestamps) return { tsVal: options.tsVal, tsEcr: ours.networkTsVal };
    const began = theirs.guestOptions?.tsVal ?? 0;
    return { tsVal: (began + this.bench.clock.now() - this.openedAt(ours)) | 0, tsEcr: ours.networkTsVal };
  }

  private openedAt(ours: TcpConversation): number {
    const at = this.opened.get(ours) ?? this.bench.clock.now();
    this.opened.set(ours, at);
    return at;
  }

  /** Our connection is the one that has the same ends, as they are called here. */
  private pairOutbound(theirs: TcpConversation, ip: DecodedIp): void {
    const { aligner, ours } = this.bench;
    const opened = ours.find(
      theirs.guest,
      [aligner.address(ip.src), theirs.guestPort],
      [aligner.address(ip.dst), theirs.remotePort],
    );
    if (opened !== undefined) this.pairs.set(theirs, opened);
  }

  /** Lets the network go on until `isThere`, with a guest that acknowledges what has come. false: in vain. */
  private waitFor(theirs: TcpConversation, ours: TcpConversation, isThere: () => boolean): boolean {
    const until = this.bench.clock.now() + WAIT_MS;
    for (let round = 0; round < WAIT_ROUNDS && !isThere(); round++) {
      if (ours.networkReset || ours.guestReset) return false;
      const before = ours.guestRcvNxt;
      this.acknowledge(theirs, ours);
      this.bench.settle();
      if (ours.guestRcvNxt !== before || isThere()) continue;
      const next = Math.min(this.bench.clock.nextAlarm, until);
      if (next >= until) return isThere();
      this.bench.clock.advanceTo(Math.max(next, this.bench.clock.now() + 1));
      this.bench.settle();
    }
    return isThere();
  }

  private acknowledge(theirs: TcpConversation, ours: TcpConversation): void {
    const last = this.lastSent.get(ours);
    const link = this.bench.link(ours.guest);
    if (last === undefined || link === undefined || seqLeq(ours.guestRcvNxt, last.now.ack)) return;
    const timestamps =
      last.now.timestamps === null ? null : { ...last.now.timestamps, tsEcr: ours.networkTsVal };
    const now = { ...last.now, ack: ours.guestRcvNxt, window: Math.max(last.now.window, 1), timestamps };
    const bytes = bareAck(last.frame, ours.guestSndNxt, now);
    if (bytes === null) return;
    this.lastSent.set(ours, { frame: last.frame, now });
    this.bench.world.during(theirs, () => link.sends(bytes));
  }
}
