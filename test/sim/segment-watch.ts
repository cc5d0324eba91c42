// What must hold of every segment that is sent, whatever the state. One watch at each end sees what its end sends and what
// arrives there undamaged, keeps its own books of both, and believes nothing that the Tcb says but what its rings hold.

import { assert } from '../../src/base/assert.ts';
import type { Segment } from '../../src/tcp/segment.ts';
import type { Tcb } from '../../src/tcp/tcb.ts';
import { Flag } from '../../src/wire/tcp.ts';
import { TcpOptions } from '../../src/wire/tcp-options.ts';
import { Ranges } from './ranges.ts';

const HEADER = 20;
const DEFAULT_MSS = 536;
/** What a smaller MSS is taken for. */
const LEAST_MSS = 48;

export class SegmentWatch {
  /** Bytes of text in all segments, and of those that brought nothing new to the other end without being copies. */
  textSent = 0;
  needless = 0;
  /** Segments without text, SYN or FIN. */
  bareSent = 0;
  /** Where the text of the last segment ends, counted from the SYN; -1: it had none. */
  textEnd = -1;
  /** The longest row of segments that caused one another and told nobody anything new. */
  longestChain = 0;
  private readonly iss: number;
  private readonly mtu: number;
  private readonly stream: Uint8Array;
  private readonly options = new TcpOptions();
  // What it has sent; -1: nothing yet.
  /** Behind everything sent, and where its FIN stands, counted from its SYN. */
  private sentEnd = -1;
  private finAt = -1;
  private edge = 0;
  private edgeKnown = false;
  private ack = 0;
  private ackKnown = false;
  private tsVal = 0;
  private tsEcr = 0;
  private windShift = -1;
  private sentTs = false;
  // What it has heard.
  private irs = 0;
  private synHeard = false;
  private readonly arrived = new Ranges();
  private peerMss = DEFAULT_MSS;
  private peerWindShift = -1;
  private peerSack = false;
  private peerTs = false;
  private tsHeard = new Set<number>();
  private heardEdge = 0;
  private heardEdgeKnown = false;

  constructor(iss: number, mtu: number, stream: Uint8Array) {
    this.iss = iss;
    this.mtu = mtu;
    this.stream = stream;
  }

  private get scaling(): boolean {
    return this.windShift >= 0 && this.peerWindShift >= 0;
  }

  /** `segment` has arrived undamaged. Does it have text, and nothing but what was there before? */
  heard(segment: Segment): boolean {
    const { options } = segment;
    if (segment.has(Flag.Rst)) return false;
    if (segment.has(Flag.Syn)) this.heardSyn(segment);
    if (!this.synHeard) return false;
    // RFC 7323 4.3: an early segment's time is not the one to echo.
    const isEarly = this.ackKnown && ((segment.seq - this.ack) | 0) > 0;
    if (options.hasTimestamps && !isEarly) this.tsHeard.add(options.tsVal);
    if (segment.has(Flag.Ack)) {
      const shift = segment.has(Flag.Syn) || !this.scaling ? 0 : this.peerWindShift;
      const edge = (segment.ack + (segment.wnd << shift)) | 0;
      if (!this.heardEdgeKnown || ((edge - this.heardEdge) | 0) > 0) this.heardEdge = edge;
      this.heardEdgeKnown = true;
    }
    const from = (segment.seq - this.irs) | 0;
    const again = segment.payloadLen > 0 && this.arrived.covers(from, from + segment.payloadLen);
    this.arrived.add(from, from + segment.len);
    return again;
  }

  private heardSyn({ seq, options }: Segment): void {
    this.irs = seq;
    this.synHeard = true;
    this.peerMss = options.mss === 0 ? DEFAULT_MSS : Math.max(LEAST_MSS, options.mss);
    this.peerWindShift = options.windShift;
    this.peerSack = options.sackPermitted;
    this.peerTs = options.hasTimestamps;
  }

  /** `bytes` is about to be sent by `tcb`. True when it has a sequence number that was not sent before. */
  sending(tcb: Tcb, bytes: Uint8Array): boolean {
    const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const flags = v.getUint8(13);
    const header = (v.getUint8(12) >>> 4) << 2;
    const text = bytes.length - header;
    this.options.parse(v, HEADER, header);
    assert(HEADER + bytes.length <= this.mtu, 'a packet fits the MTU');
    this.textEnd = -1;
    // A reset may say a number that the other end has made up.
    if (flags & Flag.Rst) return false;
    this.checkSize(flags, header, text);
    const isNew = this.checkSequence(v.getInt32(4), flags, text, bytes.subarray(header));
    this.checkTimestamps(flags);
    if (flags & Flag.Ack) {
      this.checkAck(v.getInt32(8));
      this.checkWindow(tcb, v.getUint16(14), flags);
      this.checkSack(v.getInt32(8));
    }
    return isNew;
  }

  /** RFC 9293 3.7.1, RFC 6691: the other end's MSS counts no options. */
  private checkSize(flags: number, header: number, text: number): void {
    if (flags & Flag.Syn) {
      this.windShift = this.options.windShift;
      this.sentTs = this.options.hasTimestamps;
      if (flags & Flag.Ack) assert(!this.sentTs || this.peerTs, 'RFC 7323 3.2: timestamps only where asked');
    }
    assert(
      header - HEADER + text <= Math.max(this.peerMss, header - HEADER),
      "a segment fits the peer's MSS",
    );
  }

  private checkSequence(seq: number, flags: number, text: number, payload: Uint8Array): boolean {
    const from = (seq - this.iss) | 0;
    const len = text + ((flags >> 1) & 1) + (flags & 1);
    this.textEnd = text > 0 ? from + text : -1;
    assert(from <= Math.max(0, this.sentEnd), `no hole before what is sent: ${from} behind ${this.sentEnd}`);
    if (len === 0) {
      this.bareSent++;
      return false;
    }
    const end = from + len;
    if (this.finAt >= 0) assert(end <= this.finAt + 1, 'nothing follows the FIN');
    if (flags & Flag.Fin) {
      assert(this.finAt < 0 || this.finAt === end - 1, 'the FIN keeps its place');
      this.finAt = end - 1;
    }
    if (text > 0) {
      const want = this.stream.subarray(from - 1, from - 1 + text);
      assert(
        Buffer.compare(want, payload) === 0,
        `${text} bytes from ${from - 1} on are those of the stream`,
      );
      this.textSent += text;
    }
    if (this.heardEdgeKnown) {
      // One byte more: a probe of a closed window, or a FIN.
      const beyond = (seq + len - this.heardEdge) | 0;
      assert(beyond <= 1, `sent ${beyond} bytes beyond the window`);
    }
    const isNew = end > this.sentEnd;
    if (isNew) this.sentEnd = end;
    return isNew;
  }

  /** RFC 7323 3.2, 4.3, 5.4. */
  private checkTimestamps(flags: number): void {
    const { hasTimestamps, tsVal, tsEcr } = this.options;
    if (!(flags & Flag.Syn)) {
      assert(
        hasTimestamps === (this.sentTs && this.peerTs),
        'RFC 7323 3.2: timestamps in all segments or in none',
      );
    }
    if (!hasTimestamps) return;
    assert(this.tsVal === 0 || ((tsVal - this.tsVal) | 0) >= 0, 'TSval never goes back');
    this.tsVal = tsVal;
    if (!(flags & Flag.Ack)) {
      assert(tsEcr === 0, 'RFC 7323 3.2: no echo without an ACK');
      return;
    }
    assert(this.tsHeard.has(tsEcr), 'TSecr is a TSval that was heard, in order');
    assert(this.tsEcr === 0 || ((tsEcr - this.tsEcr) | 0) >= 0, 'TSecr never goes back');
    this.tsEcr = tsEcr;
  }

  private checkAck(ack: number): void {
    const upTo = (ack - this.irs) | 0;
    assert(upTo <= this.arrived.contiguous, 'what is acknowledged has come');
    if (this.ackKnown) assert(((ack - this.ack) | 0) >= 0, 'ACK numbers never go back');
    this.ack = ack;
    this.ackKnown = true;
  }

  /** RFC 9293 3.8.6 (SHLD-14), RFC 7323 2.4. */
  private checkWindow(tcb: Tcb, field: number, flags: number): void {
    const shift = flags & Flag.Syn || !this.scaling ? 0 : this.windShift;
    const window = field << shift;
    assert(window <= tcb.recvRing.room, `a window of ${window} where ${tcb.recvRing.room} fit`);
    const edge = (this.ack + window) | 0;
    const moved = this.edgeKnown ? (edge - this.edge) | 0 : 0;
    // A SYN-ACK that is sent again cannot say what an ACK has rounded up.
    const unit = 1 << (this.scaling ? this.windShift : 0);
    assert(moved > -unit, `the window's right edge moved left by ${-moved}`);
    if (!this.edgeKnown || moved > 0) this.edge = edge;
    this.edgeKnown = true;
  }

  /** RFC 2018 3, 4; RFC 2883 for a first block that lies behind the ACK, or in the second one. */
  private checkSack(ack: number): void {
    const { sack, sackBlocks } = this.options;
    if (sackBlocks === 0) return;
    assert(this.peerSack && this.synHeard, 'RFC 2018 2: no SACK where it was not permitted');
    for (let i = 0; i < sackBlocks; i++) {
      const left = (sack[2 * i]! - this.irs) | 0;
      const right = (sack[2 * i + 1]! - this.irs) | 0;
      assert(left < right, 'a SACK block is not empty');
      assert(this.arrived.covers(left, right), 'what a SACK block says has come');
      const beyond = (sack[2 * i]! - ack) | 0;
      const isDuplicate = i === 0 && ((sack[1]! - ack) | 0) <= 0;
      assert(isDuplicate || beyond > 0, 'a SACK block lies beyond a gap');
    }
  }
}
