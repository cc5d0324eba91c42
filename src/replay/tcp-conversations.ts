// The TCP connections of a conversation between guests and a network, as somebody sees them who watches the cable: who
// opened, what was answered, which bytes each side has sent and had acknowledged, who ended it and how. The same watcher
// is used for what was recorded and for what a replay brings.

import { Flag } from '../wire/tcp.ts';
import type { Decoded, DecodedTcp, OptionsRead } from './decode.ts';
import { decodeTcp, endpointText } from './decode.ts';
import { StreamAssembler } from './streams.ts';

/** Connections that are remembered: more than any recording that somebody looks at has. */
const MAX_CONVERSATIONS = 65_536;
const HALF = 2 ** 31;

/** `none`: nobody answered. */
export type TcpAnswer = 'none' | 'SYN-ACK' | 'RST' | `ICMP ${number}/${number}`;

export class TcpConversation {
  /** `10.0.2.15:1024 > 10.0.2.2:80`, or `* > 10.0.2.15:22` for a client of the host's; `#2` where it is the second one. */
  readonly name: string;
  readonly guest: string;
  readonly guestAddress: number;
  readonly guestPort: number;
  readonly remoteAddress: number;
  readonly remotePort: number;
  /** The network opened it. */
  readonly isInbound: boolean;
  /** false: it began before the capture. */
  readonly hasSyn: boolean;
  /** Initial sequence numbers; -1 until they are known. */
  guestIss = -1;
  networkIss = -1;
  /** Of the SYN or SYN-ACK of each side. */
  guestOptions: OptionsRead | null = null;
  networkOptions: OptionsRead | null = null;
  /** What became of the SYN of whoever opened. */
  answer: TcpAnswer = 'none';
  readonly toHost = new StreamAssembler();
  readonly toGuest = new StreamAssembler();
  /** Bytes, FIN included, that the other side has acknowledged. */
  ackedByNetwork = 0;
  ackedByGuest = 0;
  guestReset = false;
  networkReset = false;
  /** The guest goes on as if it had been answered, and the answer was not seen. */
  private lacksSynAck = false;
  /** The right edge of the window that the network offers, as a sequence number. */
  windowEdge = 0;
  /** The latest TSval of the network. */
  networkTsVal = 0;

  constructor(
    name: string,
    guest: string,
    ends: { readonly guest: readonly [number, number]; readonly remote: readonly [number, number] },
    isInbound: boolean,
    hasSyn: boolean,
  ) {
    this.name = name;
    this.guest = guest;
    [this.guestAddress, this.guestPort] = ends.guest;
    [this.remoteAddress, this.remotePort] = ends.remote;
    this.isInbound = isInbound;
    this.hasSyn = hasSyn;
  }

  get isOpen(): boolean {
    return this.guestIss >= 0 && this.networkIss >= 0 && this.answer === 'SYN-ACK';
  }

  /** Do both sides scale their windows? RFC 7323 2.2. */
  get isScaled(): boolean {
    return (this.guestOptions?.windShift ?? -1) >= 0 && (this.networkOptions?.windShift ?? -1) >= 0;
  }

  get hasTimestamps(): boolean {
    return this.guestOptions?.hasTimestamps === true && this.networkOptions?.hasTimestamps === true;
  }

  /** One side has acknowledged what was not seen of the other. */
  get lacksFrames(): boolean {
    const isMissing = (stream: StreamAssembler, acked: number): boolean =>
      acked > stream.length + (stream.isWhole ? 1 : 0);
    return (
      this.lacksSynAck ||
      isMissing(this.toGuest, this.ackedByGuest) ||
      isMissing(this.toHost, this.ackedByNetwork)
    );
  }

  /** What the guest expects next of the network, as a sequence number: all that came without a gap. */
  get guestRcvNxt(): number {
    const fin = this.toGuest.isWhole ? 1 : 0;
    return (this.networkIss + 1 + this.toGuest.length + fin) >>> 0;
  }

  /** What the guest sends next, as a sequence number. */
  get guestSndNxt(): number {
    const fin = this.toHost.isWhole ? 1 : 0;
    return (this.guestIss + 1 + this.toHost.length + fin) >>> 0;
  }

  fromGuest(segment: DecodedTcp): void {
    const { flags, seq, options } = segment;
    if (flags & Flag.Syn) {
      if (this.guestIss < 0) this.guestIss = seq;
      this.guestOptions ??= options;
      if (this.isInbound && flags & Flag.Ack) this.answer = 'SYN-ACK';
    }
    if (this.guestIss < 0) this.guestIss = (seq - 1) >>> 0;
    const isGoingOn = (flags & (Flag.Syn | Flag.Rst | Flag.Ack)) === Flag.Ack;
    if (isGoingOn && this.hasSyn && !this.isInbound && this.answer === 'none') {
      this.lacksSynAck = true;
      this.answer = 'SYN-ACK';
      this.networkIss = (segment.ack - 1) >>> 0;
    }
    if (flags & Flag.Rst) {
      if (this.isInbound && this.answer === 'none') this.answer = 'RST';
      this.guestReset = true;
    }
    put(this.toHost, this.guestIss, segment);
    if (flags & Flag.Ack && this.networkIss >= 0) {
      this.ackedByGuest = Math.max(this.ackedByGuest, relative(segment.ack, this.networkIss));
    }
  }

  /** Returns the bytes that are new at the end of the stream to the guest. */
  fromNetwork(segment: DecodedTcp): Uint8Array {
    const { flags, seq, options } = segment;
    if (flags & Flag.Rst) {
      if (this.answer === 'none' && !this.isInbound) this.answer = 'RST';
      // To a reset there is no answer, RFC 9293 3.10.7.1; where one comes it means nothing. Nor does one after the end.
      if (!this.guestReset && !(this.toGuest.isWhole && this.toHost.isWhole)) this.networkReset = true;
      if (this.networkIss < 0) return new Uint8Array(0);
    } else if (this.answer === 'none' && !this.isInbound) this.answer = 'SYN-ACK';
    if (flags & Flag.Syn) {
      if (this.networkIss < 0) this.networkIss = seq;
      this.networkOptions ??= options;
    }
    if (this.networkIss < 0) this.networkIss = (seq - 1) >>> 0;
    if (options.hasTimestamps) this.networkTsVal = options.tsVal;
    if (flags & Flag.Ack && this.guestIss >= 0) {
      this.ackedByNetwork = Math.max(this.ackedByNetwork, relative(segment.ack, this.guestIss));
      const shift = this.isScaled && !(flags & Flag.Syn) ? (this.networkOptions?.windShift ?? 0) : 0;
      this.windowEdge = (segment.ack + segment.window * 2 ** shift) >>> 0;
    }
    return put(this.toGuest, this.networkIss, segment);
  }
}

/** Where `seq` stands in the stream that begins behind `iss`; 0 for what lies before it. */
export function relative(seq: number, iss: number): number {
  const at = (seq - iss - 1) >>> 0;
  return at < HALF ? at : 0;
}

function put(stream: StreamAssembler, iss: number, segment: DecodedTcp): Uint8Array {
  const { flags, seq, data } = segment;
  // Text stands one behind a SYN that comes with it.
  const from = (seq + (flags & Flag.Syn ? 1 : 0) - iss - 1) >>> 0;
  if (flags & Flag.Fin && from < HALF && stream.finAt < 0) stream.finAt = from + data.length;
  if (data.length === 0 || flags & Flag.Rst) return new Uint8Array(0);
  // A keep-alive probe repeats a byte that was there before. RFC 9293 3.8.4.
  return from < HALF ? stream.add(from, data) : new Uint8Array(0);
}

export interface SeenSegment {
  readonly conversation: TcpConversation;
  readonly segment: DecodedTcp;
  readonly fromGuest: boolean;
  /** This frame is the first of its connection. */
  readonly isNew: boolean;
  /** Bytes new at the end of the stream to the guest. */
  readonly fresh: Uint8Array;
}

export class TcpConversations {
  /** The latest of each pair of endpoints. */
  private readonly latest = new Map<string, TcpConversation>();
  private readonly counts = new Map<string, number>();
  readonly all: TcpConversation[] = [];

  /** More connections than are remembered: take() gives null for them. */
  get isFull(): boolean {
    return this.all.length >= MAX_CONVERSATIONS;
  }

  /** A frame from a guest, or for the guest `guest`; null when it holds no segment. */
  take(frame: Decoded, guest: string, fromGuest: boolean): SeenSegment | null {
    const segment = decodeTcp(frame);
    const { ip } = frame;
    if (segment === null || ip === null) return null;
    const guestEnd: readonly [number, number] = fromGuest
      ? [ip.src, segment.srcPort]
      : [ip.dst, segment.dstPort];
    const remoteEnd: readonly [number, number] = fromGuest
      ? [ip.dst, segment.dstPort]
      : [ip.src, segment.srcPort];
    const key = `${guest} ${endpointText(...guestEnd)} ${endpointText(...remoteEnd)}`;
    const known = this.latest.get(key);
    const isNew = known === undefined || isAnother(known, segment, fromGuest);
    const conversation = isNew ? this.open(key, guest, guestEnd, remoteEnd, segment, fromGuest) : known;
    if (conversation === null) return null;
    const fresh = fromGuest ? new Uint8Array(0) : conversation.fromNetwork(segment);
    if (fromGuest) conversation.fromGuest(segment);
    return { conversation, segment, fromGuest, isNew, fresh };
  }

  /** The latest connection with these ends; undefined: none. */
  find(guest: string, guestEnd: readonly [number, number], remoteEnd: readonly [number, number]) {
    return this.latest.get(`${guest} ${endpointText(...guestEnd)} ${endpointText(...remoteEnd)}`);
  }

  private open(
    key: string,
    guest: string,
    guestEnd: readonly [number, number],
    remoteEnd: readonly [number, number],
    segment: DecodedTcp,
    fromGuest: boolean,
  ): TcpConversation | null {
    if (this.isFull) return null;
    const hasSyn = (segment.flags & (Flag.Syn | Flag.Ack | Flag.Rst)) === Flag.Syn;
    const isInbound = hasSyn && !fromGuest;
    // A client of the host may come to the guest from another port each time: that is nobody's meaning.
    const pair = isInbound
      ? `* > ${endpointText(...guestEnd)}`
      : `${endpointText(...guestEnd)} > ${endpointText(...remoteEnd)}`;
    // One that began before the capture is not counted: its end may be all that is seen of it, or nothing.
    const nth = (this.counts.get(pair) ?? 0) + (hasSyn ? 1 : 0);
    this.counts.set(pair, nth);
    const name = nth <= 1 ? pair : `${pair} #${nth}`;
    const ends = { guest: guestEnd, remote: remoteEnd };
    const conversation = new TcpConversation(name, guest, ends, isInbound, hasSyn);
    this.latest.set(key, conversation);
    this.all.push(conversation);
    return conversation;
  }
}

/** A SYN with another initial sequence number than the one that is known opens another connection. */
function isAnother(known: TcpConversation, { flags, seq }: DecodedTcp, fromGuest: boolean): boolean {
  if ((flags & (Flag.Syn | Flag.Ack | Flag.Rst)) !== Flag.Syn) return false;
  const iss = fromGuest ? known.guestIss : known.networkIss;
  return iss !== seq || !known.hasSyn;
}
