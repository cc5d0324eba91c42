// One TCP connection of the embedded guest: a Tcb and whoever uses it.
//
// What TCP has to tell its user is noted while segments come in and told once a turn, in the egress phase, right before
// output() runs: a burst of segments is one onReadable, and a handler may do anything, also reset the socket or open
// another one. What a handler writes or takes goes out in the same turn.
//
// Bytes are moved in place: fill() lets the user write into the send ring, consume() lets it look at the receive ring.
// write() and read() are the same with a copy.

import type { Endpoint } from '../base/addr.ts';
import type { Account } from '../base/arena.ts';
import type { Ms } from '../base/clock.ts';
import { Region } from '../base/region.ts';
import { Timer } from '../base/timers.ts';
import type { Egress, Turn } from '../base/turn.ts';
import type { Ipv4Output, Route } from '../ip/output.ts';
import { output } from '../tcp/output.ts';
import {
  type CloseReason,
  type SegmentOut,
  Tcb,
  type TcbInit,
  type TcpEnv,
  type TcpUser,
} from '../tcp/tcb.ts';
import * as user from '../tcp/user.ts';
import { Protocol } from '../wire/ipv4.ts';

/** Why a connection is over. 'unreachable': ICMP said so, or nobody answered ARP. 'down': the cable is out. */
export type GuestClose = 'normal' | 'refused' | 'reset' | 'timed-out' | 'unreachable' | 'down';

/** What the user of a connection hears. All of it inside a turn; the user may do anything in these. */
export interface GuestSocketEvents {
  /** The three-way handshake is complete. */
  onOpen?(socket: GuestSocket): void;
  /** There are more bytes to read than before. */
  onReadable?(socket: GuestSocket): void;
  /** There is room again after write() or fill() took less than it was given. */
  onWritable?(socket: GuestSocket): void;
  /** The peer has said all: nothing comes behind what is readable now. */
  onEnd?(socket: GuestSocket): void;
  /** The last call; not after reset() or close() of the guest. What is readable can still be read in it. */
  onClose?(socket: GuestSocket, reason: GuestClose): void;
}

/** What a socket needs of its machine. */
export interface SocketOwner {
  readonly env: TcpEnv;
  readonly turn: Turn;
  readonly account: Account;
  now(): Ms;
  /** Call runEgress() again when the cable has room. */
  waitForRoom(socket: GuestSocket): void;
  /** The socket is over and its ports are free. */
  forget(socket: GuestSocket): void;
}

/** Who takes a connection that somebody else has begun; null: reset it. */
export type Acceptor = (socket: GuestSocket) => GuestSocketEvents | null;

const ROOM_RETRY: Ms = 20;

const region = new Region();

/** A TCP connection of the embedded guest. */
export class GuestSocket implements TcpUser, SegmentOut, Egress {
  readonly own: Endpoint;
  readonly peer: Endpoint;
  readonly tcb: Tcb;
  /** Did the peer begin? */
  readonly passive: boolean;
  bytesRead = 0;
  bytesWritten = 0;
  private readonly owner: SocketOwner;
  private readonly output: Ipv4Output;
  private readonly acceptor: Acceptor | null;
  private events: GuestSocketEvents;
  /** null until ARP has found the next hop. */
  private route: Route | null = null;
  private established = false;
  private over = false;
  private inEgress = false;
  /** fill() was told that there is no room. */
  private refused = false;
  /** Asks again where it was the arena that had none, and no ACK will say when it has. */
  private readonly roomTimer = new Timer(() => this.onSendSpace());
  // What is to be told.
  private openDue = false;
  private readableDue = false;
  private writableDue = false;
  private endDue = false;
  private closeDue: GuestClose | null = null;

  constructor(
    owner: SocketOwner,
    output: Ipv4Output,
    ends: { readonly own: Endpoint; readonly peer: Endpoint },
    init: Pick<TcbInit, 'pseudoSum' | 'iss' | 'tsOffset'>,
    taker: GuestSocketEvents | Acceptor,
  ) {
    this.owner = owner;
    this.output = output;
    this.own = ends.own;
    this.peer = ends.peer;
    this.passive = typeof taker === 'function';
    this.acceptor = typeof taker === 'function' ? taker : null;
    this.events = typeof taker === 'function' ? {} : taker;
    const ports = { ownPort: ends.own.port, peerPort: ends.peer.port };
    this.tcb = new Tcb(owner.env, this, this, owner.account, { ...ports, ...init });
  }

  /** Bytes that can be read now. */
  get readable(): number {
    return this.tcb.recvRing.length;
  }

  /** Bytes that write() would take now, as far as the arena has them. */
  get writable(): number {
    return this.isOpenForWriting ? this.tcb.sendRing.room : 0;
  }

  get isOver(): boolean {
    return this.over;
  }

  /** Queues a copy of `bytes`, as much as there is room for, and returns how many that were. onWritable follows if not all. */
  write(bytes: Uint8Array): number {
    const { memory } = this.owner.env.arena;
    let at = 0;
    this.fill(bytes.length, (off, len) => {
      memory.bytes.set(bytes.subarray(at, at + len), off);
      at += len;
      return len;
    });
    return at;
  }

  /**
   * Lets `make` write up to `most` bytes in place, in one or more pieces: it gets a region of the arena and returns how
   * many bytes from its beginning it has written; fewer than all ends it. Returns how many in all; where that is less
   * than `most` for want of room, onWritable follows.
   */
  fill(most: number, make: (off: number, len: number) => number): number {
    if (!this.isOpenForWriting) return 0;
    const { sendRing } = this.tcb;
    const wanted = this.ensureRoom(Math.min(most, sendRing.room));
    let made = 0;
    while (made < wanted) {
      sendRing.writable(region);
      const len = Math.min(region.len, wanted - made);
      const part = make(region.off, len);
      sendRing.extend(part);
      made += part;
      if (part < len) return this.filled(made);
    }
    if (made < most) this.refused = true;
    return this.filled(made);
  }

  /** Copies what there is into `into` and returns how many bytes that were. */
  read(into: Uint8Array): number {
    const { memory } = this.owner.env.arena;
    let at = 0;
    this.consume((off, len) => {
      const part = Math.min(len, into.length - at);
      into.set(memory.bytes.subarray(off, off + part), at);
      at += part;
      return part;
    });
    return at;
  }

  /**
   * Shows `take` the bytes in place, in one or more pieces: it gets a region of the arena, lent for the call, and returns
   * how many bytes of it it has taken; fewer than all ends it. Returns how many in all.
   */
  consume(take: (off: number, len: number) => number): number {
    const { recvRing } = this.tcb;
    let taken = 0;
    while (recvRing.length > 0) {
      recvRing.readable(0, region);
      const { len } = region;
      const part = take(region.off, len);
      if (part > 0) user.received(this.tcb, part, this.owner.now());
      taken += part;
      if (part < len) break;
    }
    this.bytesRead += taken;
    return taken;
  }

  /** FIN behind what was written. Reading goes on. Idempotent. */
  end(): void {
    user.close(this.tcb, this.owner.now());
  }

  /** RST now. No event follows. */
  reset(): void {
    if (this.over) return;
    user.abort(this.tcb, this.owner.now());
    this.finish();
  }

  // The machine's side.

  /** The way is known: what waits for it goes. */
  setRoute(route: Route): void {
    this.route = route;
    this.wantOutput();
  }

  /** ICMP about one of our segments, or ARP that found nobody. RFC 1122 4.2.3.9: an open connection lives on. */
  unreachable(): void {
    if (this.established || this.over) return;
    user.discard(this.tcb);
    this.closed('unreachable');
  }

  /** The cable is out, or the machine is switched off: nothing is sent. */
  drop(reason: GuestClose | null): void {
    if (this.over) return;
    user.discard(this.tcb);
    // A reset that came right before the end of the cable says more.
    if (reason !== null) this.events.onClose?.(this, this.closeDue ?? reason);
    this.finish();
  }

  /** @internal */
  runEgress(now: Ms): void {
    if (this.over) return;
    this.inEgress = true;
    try {
      this.tell();
    } finally {
      this.inEgress = false;
    }
    if (this.over) return;
    output(this.tcb, now);
    if (this.tcb.linkBlocked && this.route !== null) this.owner.waitForRoom(this);
  }

  // SegmentOut

  reserve(len: number): number {
    return this.route === null ? -1 : this.output.reserve(this.route, len);
  }

  commit(len: number): void {
    if (this.route !== null) this.output.commit(this.route, Protocol.Tcp, len);
  }

  repeat(header: number, len: number, src: number, count: number): number {
    return this.route === null ? 0 : this.output.repeat(this.route, header, len, src, count);
  }

  // TcpUser

  onEstablished(): void {
    this.established = true;
    this.openDue = true;
    this.wantOutput();
  }

  onReadable(): void {
    this.readableDue = true;
    this.wantOutput();
  }

  onPeerFin(): void {
    this.endDue = true;
    this.wantOutput();
  }

  onSendSpace(): void {
    const { sendRing } = this.tcb;
    // Not for every ACK: once there is room for a few segments' worth.
    if (!this.refused || (sendRing.length > 0 && sendRing.room < sendRing.limit / 4)) return;
    this.refused = false;
    this.writableDue = true;
    this.wantOutput();
  }

  wantOutput(): void {
    if (!this.inEgress) this.owner.turn.wantEgress(this);
  }

  onClosed(reason: CloseReason): void {
    if (reason === 'peer-reset') this.closed(this.established ? 'reset' : 'refused');
    else this.closed(reason === 'timed-out' ? 'timed-out' : 'normal');
  }

  private get isOpenForWriting(): boolean {
    return !this.over && !this.tcb.finQueued && this.tcb.state !== 'CLOSED';
  }

  /** Storage for `wanted` more bytes, or for as many as the arena has room for: how many. */
  private ensureRoom(wanted: number): number {
    const { sendRing } = this.tcb;
    if (sendRing.ensure(sendRing.length + wanted)) return wanted;
    this.owner.env.timers.arm(this.roomTimer, this.owner.now() + ROOM_RETRY);
    return Math.max(0, Math.min(wanted, sendRing.storage - sendRing.length));
  }

  private filled(len: number): number {
    if (len > 0) {
      this.bytesWritten += len;
      user.sent(this.tcb, this.owner.now());
    }
    return len;
  }

  private closed(reason: GuestClose): void {
    this.closeDue = reason;
    this.wantOutput();
  }

  private tell(): void {
    if (this.openDue) {
      this.openDue = false;
      this.open();
    }
    if (this.readableDue && !this.over) {
      this.readableDue = false;
      this.events.onReadable?.(this);
    }
    if (this.writableDue && !this.over) {
      this.writableDue = false;
      this.events.onWritable?.(this);
    }
    if (this.endDue && !this.over) {
      this.endDue = false;
      this.events.onEnd?.(this);
    }
    if (this.closeDue !== null && !this.over) {
      this.events.onClose?.(this, this.closeDue);
      this.finish();
    }
  }

  private open(): void {
    if (this.acceptor !== null) {
      const events = this.acceptor(this);
      if (events === null) {
        this.reset();
        return;
      }
      this.events = events;
    }
    this.events.onOpen?.(this);
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.owner.env.timers.disarm(this.roomTimer);
    user.freeRings(this.tcb);
    this.owner.forget(this);
  }
}
