// Bytes put together again: a TCP stream out of its segments, an IP datagram out of its fragments.

import type { Decoded, DecodedIp } from './decode.ts';
import { isFragment } from './decode.ts';

const EMPTY = new Uint8Array(0);
/** What one recording may hold back, in pieces and in bytes of one stream: a recording is no more to be trusted than a guest. */
const MAX_EARLY = 4096;
const MAX_STREAM = 1 << 28;
const MAX_FRAGMENTED = 256;
const MAX_DATAGRAM = 65535;
const FIRST_ROOM = 256;

interface Early {
  readonly at: number;
  readonly data: Uint8Array;
}

/**
 * One direction of a TCP connection: segments in any order become the stream's start without a gap. Where two say
 * different things about a byte, the one that came first counts, as far as it was not behind a gap.
 */
export class StreamAssembler {
  /** Of it, `length` bytes are filled; it doubles. */
  private whole = EMPTY;
  /** What lies behind a gap, in order; not copied. */
  private readonly early: Early[] = [];
  /** Bytes without a gap from the stream's start. */
  length = 0;
  /** Where FIN stands in the stream, or -1. */
  finAt = -1;

  /** Something lies behind a gap. */
  get hasGap(): boolean {
    return this.early.length > 0;
  }

  /** All of it has been seen, up to FIN. */
  get isWhole(): boolean {
    return this.finAt >= 0 && this.length >= this.finAt;
  }

  /** Segment text that begins at byte `at` of the stream; returns what is new at the end of `length`, copied. */
  add(at: number, data: Uint8Array): Uint8Array {
    if (at > this.length || at < 0) {
      if (at > 0 && at < MAX_STREAM && data.length > 0) this.putBack(at, data);
      return EMPTY;
    }
    const from = this.length;
    this.append(at, data);
    let reached = 0;
    for (let next = this.early[0]; next !== undefined && next.at <= this.length; next = this.early[reached]) {
      this.append(next.at, next.data);
      reached++;
    }
    if (reached > 0) this.early.splice(0, reached);
    return this.length === from ? EMPTY : this.bytes(from);
  }

  /** The stream's bytes [from, to), copied. */
  bytes(from = 0, to = this.length): Uint8Array {
    return this.whole.slice(from, Math.max(from, Math.min(to, this.length)));
  }

  /** Behind those that begin at the same byte or before. */
  private putBack(at: number, data: Uint8Array): void {
    if (this.early.length >= MAX_EARLY) return;
    let [low, high] = [0, this.early.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.early[middle]!.at <= at) low = middle + 1;
      else high = middle;
    }
    this.early.splice(low, 0, { at, data });
  }

  private append(at: number, data: Uint8Array): void {
    const fresh = data.length - (this.length - at);
    const needed = this.length + fresh;
    if (fresh <= 0 || needed > MAX_STREAM) return;
    if (needed > this.whole.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.whole.length, FIRST_ROOM));
      larger.set(this.whole.subarray(0, this.length));
      this.whole = larger;
    }
    this.whole.set(data.subarray(data.length - fresh), this.length);
    this.length = needed;
  }
}

interface Gathering {
  readonly bytes: Uint8Array;
  readonly have: Uint8Array;
  total: number;
  got: number;
}

/** Whole datagrams out of frames, fragments in any order. At most MAX_FRAGMENTED unfinished ones, the oldest goes. */
export class DatagramAssembler {
  private readonly gathering = new Map<string, Gathering>();

  /** The payload of the datagram that `frame` completes: its own where it is no fragment, null where more is missing. */
  add(frame: Decoded): Uint8Array | null {
    const { ip, bytes } = frame;
    if (ip === null) return null;
    const payload = bytes.subarray(ip.l4, ip.end);
    if (!isFragment(ip)) return payload;
    const key = `${ip.src} ${ip.dst} ${ip.proto} ${ip.ident}`;
    const state = this.gathering.get(key) ?? this.begin(key);
    if (!gather(state, ip, payload)) return null;
    this.gathering.delete(key);
    return state.bytes.subarray(0, state.total);
  }

  private begin(key: string): Gathering {
    if (this.gathering.size >= MAX_FRAGMENTED) {
      for (const oldest of this.gathering.keys()) {
        this.gathering.delete(oldest);
        break;
      }
    }
    const state = {
      bytes: new Uint8Array(MAX_DATAGRAM),
      have: new Uint8Array(MAX_DATAGRAM),
      total: -1,
      got: 0,
    };
    this.gathering.set(key, state);
    return state;
  }
}

/** True when nothing is missing any more. First data wins, as in the engine. */
function gather(state: Gathering, ip: DecodedIp, payload: Uint8Array): boolean {
  for (let i = 0; i < payload.length && ip.fragmentOffset + i < MAX_DATAGRAM; i++) {
    const at = ip.fragmentOffset + i;
    if (state.have[at] === 1) continue;
    state.have[at] = 1;
    state.bytes[at] = payload[i]!;
    state.got++;
  }
  if (!ip.moreFragments) state.total = Math.min(ip.fragmentOffset + payload.length, MAX_DATAGRAM);
  return state.total >= 0 && state.got >= state.total;
}
