// IPv4 fragments back to datagrams. RFC 791 3.2, RFC 815 in spirit: what is missing is a short list of holes.
//
// A set of fragments has one block of the arena, laid out as the datagram will be: header first, payload behind it. It
// grows with the highest byte seen. The first bytes to come for a place stay, later ones are counted and dropped. Bounds:
// MAX_SETS sets of all guests together, MAX_PER_GUEST of one, MAX_BYTES of arena, 30 s for each; the oldest of the guest
// that has the most of what is short goes first. A lookup is one Map access, so 60 000 incomplete sets cost the next frame
// nothing.

import { Account, type Arena, blockSize } from '../base/arena.ts';
import { type Ms, NEVER } from '../base/clock.ts';
import { Drop, type DropCounters, Loss } from '../base/drop.ts';
import { Timer, type Timers } from '../base/timers.ts';
import { Work } from '../base/turn.ts';
import * as ipv4 from '../wire/ipv4.ts';
import type { Packet } from './packet.ts';

/** RFC 791 3.2 suggests 15 s, RFC 1122 3.3.2 60 to 120 s; behind one hop half a minute is long. */
const LIFE: Ms = 30_000;
const MAX_SETS = 64;
const MAX_PER_GUEST = 32;
const MAX_BYTES = 4 * 1024 * 1024;
/** Pieces that do not touch: more than this is nobody's network. */
const MAX_PIECES = 128;
const MAX_PAYLOAD = ipv4.MAX_LEN - ipv4.MIN_HEADER_LEN;

/** One datagram being put together. */
interface FragmentSet {
  readonly key: string;
  readonly ingress: number;
  readonly expiresAt: Ms;
  /** The block and its size. The payload begins at HEADER_ROOM. */
  off: number;
  size: number;
  /** Header bytes of the first fragment; 0 while it has not come. */
  headerLen: number;
  /** Payload bytes in all; -1 while the last fragment has not come. */
  total: number;
  /** Received ranges of the payload, ordered and disjoint: from, to, from, to ... */
  readonly pieces: number[];
}

/** What one guest has of it. */
interface Share {
  sets: number;
  bytes: number;
}

/** The longest IPv4 header. */
const HEADER_ROOM = 60;

export class Reassembly {
  private readonly arena: Arena;
  private readonly timers: Timers;
  private readonly drops: DropCounters;
  private readonly account = new Account();
  /** In order of age. */
  private readonly sets = new Map<string, FragmentSet>();
  /** By switch port; only of guests that have a set. */
  private readonly shares = new Map<number, Share>();
  private readonly timer: Timer;
  /** Block of the datagram that add() completed last, until the next call. */
  private done: { off: number; size: number } | null = null;

  constructor(arena: Arena, timers: Timers, drops: DropCounters) {
    this.arena = arena;
    this.timers = timers;
    this.drops = drops;
    this.timer = new Timer((now) => this.expire(now));
  }

  get size(): number {
    return this.sets.size;
  }

  /**
   * Takes the fragment in `p`. 'complete': p now describes the whole datagram (ip, l4, end), in bytes that stay until the
   * next call; call release() when it was handled. Otherwise the verdict on the frame.
   */
  add(p: Packet, now: Ms): Drop | 'complete' {
    const v = this.arena.memory.view;
    const offset = ipv4.fragmentOffset(v, p.ip);
    const more = ipv4.moreFragments(v, p.ip);
    const len = p.end - p.l4;
    // RFC 791 3.2: eight-byte units but for the last; nothing beyond what a length field can say.
    if (len === 0 || (more && len % 8 !== 0) || offset + len > MAX_PAYLOAD) return Drop.FragmentBad;
    const set = this.find(p, now);
    if (set === null) return Drop.FragmentNoRoom;
    if (!more) {
      if (set.total >= 0 && set.total !== offset + len) return this.refuse(set);
      set.total = offset + len;
    }
    if (set.total >= 0 && Math.max(offset + len, set.pieces.at(-1) ?? 0) > set.total) return this.refuse(set);
    if (!this.ensure(set, offset + len)) {
      this.remove(set);
      return Drop.FragmentNoRoom;
    }
    if (offset === 0 && set.headerLen === 0) {
      set.headerLen = p.l4 - p.ip;
      this.arena.memory.copy(set.off + HEADER_ROOM - set.headerLen, p.ip, set.headerLen);
    }
    this.timers.turn.spend(Work.Step);
    if (!this.store(set, offset, p.l4, len)) return this.refuse(set);
    return this.isComplete(set) ? this.complete(set, p) : Drop.None;
  }

  /** The datagram of the last 'complete' has been handled. */
  release(): void {
    if (this.done !== null) this.arena.give(this.done.off, this.done.size, this.account);
    this.done = null;
  }

  /** Forgets what came by a port that is gone. */
  forgetPort(ingress: number): void {
    for (const set of [...this.sets.values()]) if (set.ingress === ingress) this.remove(set);
  }

  clear(): void {
    for (const set of [...this.sets.values()]) this.remove(set);
    this.release();
  }

  private find(p: Packet, now: Ms): FragmentSet | null {
    const key = `${p.ingress} ${p.src} ${p.dst} ${p.proto} ${ipv4.id(this.arena.memory.view, p.ip)}`;
    const known = this.sets.get(key);
    if (known !== undefined) return known;
    this.timers.turn.spend(Work.FragmentSet);
    this.makeRoom(p.ingress);
    const size = blockSize(HEADER_ROOM);
    const off = this.arena.take(size, this.account);
    if (off < 0) return null;
    const set: FragmentSet = {
      key,
      ingress: p.ingress,
      expiresAt: now + LIFE,
      off,
      size,
      headerLen: 0,
      total: -1,
      pieces: [],
    };
    this.sets.set(key, set);
    const share = this.shares.get(p.ingress) ?? { sets: 0, bytes: 0 };
    this.shares.set(p.ingress, share);
    share.sets++;
    share.bytes += size;
    if (this.sets.size === 1) this.timers.arm(this.timer, set.expiresAt);
    return set;
  }

  private makeRoom(ingress: number): void {
    if ((this.shares.get(ingress)?.sets ?? 0) >= MAX_PER_GUEST) this.evictOldest(ingress, null);
    if (this.sets.size >= MAX_SETS) this.evictOldest(this.biggest('sets', ingress), null);
  }

  /** The guest that has the most, `asking` where others have no more than it. */
  private biggest(what: keyof Share, asking: number): number {
    let most = asking;
    let amount = this.shares.get(asking)?.[what] ?? 0;
    for (const [ingress, share] of this.shares) {
      if (share[what] <= amount) continue;
      most = ingress;
      amount = share[what];
    }
    return most;
  }

  /** The oldest of a guest goes, but never `spared`. False when there is none. */
  private evictOldest(ingress: number, spared: FragmentSet | null): boolean {
    for (const set of this.sets.values()) {
      if (set.ingress !== ingress || set === spared) continue;
      this.drops.lose(Loss.FragmentsExpired);
      this.remove(set);
      return true;
    }
    return false;
  }

  private ensure(set: FragmentSet, extent: number): boolean {
    const size = blockSize(HEADER_ROOM + extent);
    if (size <= set.size) return true;
    while (this.account.used + size > MAX_BYTES)
      if (!this.evictOldest(this.biggest('bytes', set.ingress), set)) return false;
    const off = this.arena.take(size, this.account);
    if (off < 0) return false;
    this.arena.memory.copy(off, set.off, set.size);
    this.arena.give(set.off, set.size, this.account);
    this.shares.get(set.ingress)!.bytes += size - set.size;
    set.off = off;
    set.size = size;
    return true;
  }

  /** Copies the parts of [offset, offset+len) that are new. False when the pieces are too many. */
  private store(set: FragmentSet, offset: number, src: number, len: number): boolean {
    const end = offset + len;
    const { pieces } = set;
    let i = 0;
    while (i < pieces.length && pieces[i + 1]! < offset) i += 2;
    let from = offset;
    let left = offset;
    let right = end;
    let j = i;
    for (; j < pieces.length && pieces[j]! <= end; j += 2) {
      const a = pieces[j]!;
      const b = pieces[j + 1]!;
      if (Math.max(a, offset) < Math.min(b, end)) this.drops.lose(Loss.FragmentOverlap);
      if (from < a) this.copyIn(set, from, src + from - offset, a - from);
      from = Math.max(from, b);
      left = Math.min(left, a);
      right = Math.max(right, b);
    }
    if (from < end) this.copyIn(set, from, src + from - offset, end - from);
    pieces.splice(i, j - i, left, right);
    return pieces.length <= 2 * MAX_PIECES;
  }

  private copyIn(set: FragmentSet, at: number, src: number, len: number): void {
    this.arena.memory.copy(set.off + HEADER_ROOM + at, src, len);
  }

  private isComplete(set: FragmentSet): boolean {
    return set.headerLen > 0 && set.pieces.length === 2 && set.pieces[0] === 0 && set.pieces[1] === set.total;
  }

  private complete(set: FragmentSet, p: Packet): 'complete' {
    this.forget(set);
    this.release();
    this.done = { off: set.off, size: set.size };
    p.l4 = set.off + HEADER_ROOM;
    p.ip = p.l4 - set.headerLen;
    p.end = p.l4 + set.total;
    return 'complete';
  }

  /** A set that contradicts itself goes, so that it cannot poison what comes later under its number. */
  private refuse(set: FragmentSet): Drop {
    this.remove(set);
    return Drop.FragmentBad;
  }

  private remove(set: FragmentSet): void {
    this.forget(set);
    this.arena.give(set.off, set.size, this.account);
  }

  private forget(set: FragmentSet): void {
    this.sets.delete(set.key);
    const share = this.shares.get(set.ingress)!;
    share.sets--;
    share.bytes -= set.size;
    if (share.sets === 0) this.shares.delete(set.ingress);
    if (this.sets.size === 0) this.timers.disarm(this.timer);
  }

  private expire(now: Ms): void {
    for (const set of [...this.sets.values()]) {
      if (set.expiresAt > now) break;
      this.drops.lose(Loss.FragmentsExpired);
      this.remove(set);
    }
    const next = this.sets.values().next();
    this.timers.arm(this.timer, next.done ? NEVER : next.value.expiresAt);
  }
}
