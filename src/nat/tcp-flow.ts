// One TCP flow: a Tcb towards the guest and a stream towards the host, joined by two rings.
//
// A guest's SYN begins a connect; the SYN-ACK is held until the host has answered, so that what the guest sees is what
// the host said: open, refused, unreachable or silence. A forward is the mirror: the client's stream is there, unread,
// and our own SYN goes to the guest.
//
// guest -> host: segments land in tcb.recvRing. Once a turn the contiguous bytes at its front go to stream.write(); when
// the kernel has taken them the ring is consumed and the window opens. The guest's FIN is passed on behind the last byte.
// host -> guest: a quick flow's socket reads straight into tcb.sendRing; a quiet one's reads land on the host's shared
// pad and are copied, so that an idle flow owns no arena. Reading stops when the ring could not take a whole pad.
// Where the arena has no room at all for what was read, the bytes wait in `spill`, and nothing more is read.
//
// The end. Both FINs done: TIME-WAIT or CLOSED, the flow lives on until the host has taken the last byte. A reset from
// the guest resets the stream at once. A reset from the host reaches the guest behind the data that came before it. The
// rings are given back when the stream has said onClose, because until then its regions are in use.

import type { Endpoint } from '../base/addr.ts';
import { type Ms, NEVER } from '../base/clock.ts';
import { Loss } from '../base/drop.ts';
import { Region } from '../base/region.ts';
import { Timer } from '../base/timers.ts';
import type { Egress } from '../base/turn.ts';
import type { HostError, HostStream, HostStreamEvents } from '../host/host-network.ts';
import type { Route } from '../ip/output.ts';
import { output } from '../tcp/output.ts';
import { type CloseReason, type SegmentOut, Tcb, type TcbInit, type TcpUser } from '../tcp/tcb.ts';
import * as user from '../tcp/user.ts';
import { pseudoSumIpv4 } from '../wire/checksum.ts';
import { Protocol } from '../wire/ipv4.ts';
import type { Guest, NatContext } from './context.ts';
import type { Flow, FlowEnd } from './flow.ts';
import { endFor, icmpCodeFor } from './refusals.ts';

/** What the host's pad holds: a read can bring as much, whatever the ring has room for. */
export const PAD_BYTES = 65536;
/** A read of this size says that more is coming: the next one goes straight into the ring. */
const QUICK_READ = 16384;
/** Less contiguous room than this is not worth a system call. */
const MIN_DIRECT = 4096;
const SPILL_RETRY: Ms = 20;
/** How long a flow whose guest has gone may still deliver to the host. */
const DRAIN_LIMIT: Ms = 30_000;

/** Told when a flow leaves the table, and when the last of it is gone. */
export interface TcpFlowOwner {
  /** No packet of the guest belongs to it any more. */
  unlist(flow: TcpFlow): void;
  ended(flow: TcpFlow, reason: FlowEnd): void;
}

const region = new Region();

export class TcpFlow implements Flow, Egress, TcpUser, SegmentOut, HostStreamEvents {
  readonly kind = 'tcp';
  readonly id: number;
  readonly guest: Endpoint;
  readonly remote: Endpoint;
  readonly ingress: number;
  readonly route: Route;
  readonly tcb: Tcb;
  /** Its key in the flow table. */
  readonly key: Int32Array;
  bytesToHost = 0;
  bytesToGuest = 0;
  private readonly context: NatContext;
  private readonly owner: TcpFlowOwner;
  private readonly peer: Guest;
  private stream: HostStream | null = null;
  private phase: 'connecting' | 'open' | 'ended' = 'connecting';
  private streamClosed = false;
  /** Bytes of recvRing in the hands of stream.write(). */
  private writing = 0;
  private guestFin = false;
  private endSent = false;
  private established = false;
  private hostFin = false;
  /** Where the next read lands in sendRing; -1: on the pad. */
  private readOff = -1;
  private quick = false;
  private paused = true;
  private spill: Uint8Array | null = null;
  /** The host has reset: the guest hears of it when it has all that came before. */
  private resetDue = false;
  private tcbDone = false;
  private reason: FlowEnd = 'closed';
  /** The connect limit, a retry, or the end of draining: never two at once. */
  private readonly timer = new Timer((now) => this.onTimer(now));

  constructor(
    context: NatContext,
    owner: TcpFlowOwner,
    peer: Guest,
    id: number,
    key: Int32Array,
    ends: { guest: Endpoint; remote: Endpoint; route: Route },
    init: Pick<TcbInit, 'iss' | 'tsOffset'>,
  ) {
    this.context = context;
    this.owner = owner;
    this.peer = peer;
    this.id = id;
    this.key = key;
    this.guest = ends.guest;
    this.remote = ends.remote;
    this.route = ends.route;
    this.ingress = peer.port.id;
    this.tcb = new Tcb(context.tcp, this, this, peer.account, {
      ownPort: ends.remote.port,
      peerPort: ends.guest.port,
      pseudoSum: pseudoSumIpv4(ends.route.src, ends.route.dst, Protocol.Tcp),
      iss: init.iss,
      tsOffset: init.tsOffset,
    });
  }

  /** A guest's SYN has been taken: `stream` is connecting for it. */
  startConnecting(stream: HostStream, now: Ms): void {
    this.stream = stream;
    this.peer.pendingConnects++;
    this.context.timers.arm(this.timer, now + this.context.settings.timeouts.connect);
  }

  /** `stream` is open already: a service of the gateway. */
  startOpen(stream: HostStream): void {
    this.stream = stream;
    this.phase = 'open';
    user.accept(this.tcb);
  }

  /** `stream` is a client's, open and unread: our SYN goes to the guest. */
  startForward(stream: HostStream, now: Ms): void {
    this.stream = stream;
    this.phase = 'open';
    user.connect(this.tcb, now);
  }

  abort(reason: FlowEnd): void {
    if (this.phase === 'ended') return;
    user.abort(this.tcb, this.context.turn.now);
    this.finish(reason, true);
  }

  /** The guest's link has gone: nobody will answer. What it had finished saying is still delivered. */
  guestGone(now: Ms): void {
    if (this.phase === 'ended') return;
    const draining = this.guestFin && this.phase === 'open' && !this.streamClosed;
    user.abort(this.tcb, now);
    if (!draining) {
      this.finish('guest-gone', true);
      return;
    }
    this.tcbEnded('guest-gone');
    if (this.isEnded) return;
    this.context.timers.arm(this.timer, now + DRAIN_LIMIT);
    // Reads on, for nobody, to see the host's FIN.
    this.spill = null;
    this.resume();
    this.wantOutput();
  }

  /** The guest begins anew from the same port while we wait out the old connection. RFC 9293 3.6.1. */
  retire(): void {
    user.discard(this.tcb);
    this.tcbEnded('closed');
  }

  get isEnded(): boolean {
    return this.phase === 'ended';
  }

  // Egress: once a turn.

  runEgress(now: Ms): void {
    if (this.phase === 'ended') return;
    this.writeToHost();
    if (this.tcbDone) return;
    output(this.tcb, now);
    if (this.tcb.linkBlocked) this.peer.blocked.add(this);
    if (this.tcb.state === 'TIME-WAIT') this.peer.timeWait.add(this);
  }

  // SegmentOut

  reserve(len: number): number {
    return this.context.output.reserve(this.route, len);
  }

  commit(len: number): void {
    this.context.output.commit(this.route, Protocol.Tcp, len);
  }

  // TcpUser

  wantOutput(): void {
    this.context.turn.wantEgress(this);
  }

  onEstablished(): void {
    this.established = true;
    this.resume();
  }

  onReadable(): void {
    this.wantOutput();
  }

  onPeerFin(): void {
    this.guestFin = true;
    this.wantOutput();
  }

  onSendSpace(): void {
    const { sendRing } = this.tcb;
    if (this.spill !== null) this.retrySpill(this.context.turn.now);
    if (this.resetDue && sendRing.length === 0 && this.spill === null) {
      this.abort('host-reset');
      return;
    }
    // Not for every ACK: once there is room for a few reads.
    if (this.paused && sendRing.room >= Math.min(4 * PAD_BYTES, sendRing.limit / 2)) this.resume();
  }

  onClosed(reason: CloseReason): void {
    if (reason === 'normal') this.tcbEnded('closed');
    else if (reason === 'timed-out') this.finish('timed-out', true);
    else this.finish(this.established ? 'guest-reset' : 'refused', true);
  }

  // HostStreamEvents

  onOpen(): void {
    if (this.phase !== 'connecting') return;
    this.stopConnecting();
    this.phase = 'open';
    user.accept(this.tcb);
  }

  reserveRead(into: Region): void {
    this.readOff = -1;
    if (!this.quick || this.spill !== null || this.phase === 'ended') return;
    const { sendRing } = this.tcb;
    sendRing.writable(into);
    // Not to the last byte: the place that Node is given while the flow is paused should be worth reading to as well.
    if (sendRing.room > 2 * PAD_BYTES) into.len = Math.min(into.len, sendRing.room - PAD_BYTES);
    if (into.len < MIN_DIRECT) {
      into.len = 0;
      return;
    }
    this.readOff = into.off;
    sendRing.hold();
  }

  onRead(off: number, len: number): boolean {
    const { tcb } = this;
    const direct = this.readOff >= 0 && off === this.readOff && tcb.sendRing.isTail(off);
    if (this.phase !== 'open' || this.tcbDone) {
      tcb.sendRing.release();
      return this.phase === 'open';
    }
    if (direct) tcb.sendRing.extend(len);
    else if (!tcb.sendRing.push(off, len)) this.keepForLater(off, len);
    tcb.sendRing.release();
    this.bytesToGuest += len;
    this.quick = len >= QUICK_READ;
    // Room for the next reads, so that they need no pad. Here and nowhere else may the ring move: no read is reserved.
    if (this.quick) tcb.sendRing.ensure(Math.min(tcb.sendRing.length + 2 * PAD_BYTES, tcb.sendRing.limit));
    user.sent(tcb, this.context.turn.now);
    this.paused = this.spill !== null || tcb.sendRing.room <= PAD_BYTES;
    return !this.paused;
  }

  onWritten(): void {
    const len = this.writing;
    this.writing = 0;
    this.tcb.recvRing.release();
    if (this.phase === 'ended') return;
    this.took(len);
    this.wantOutput();
  }

  onEnd(): void {
    this.hostFin = true;
    if (this.tcbDone) this.settle();
    else if (this.phase === 'open' && this.spill === null) user.close(this.tcb, this.context.turn.now);
  }

  onClose(error: HostError | null): void {
    this.streamClosed = true;
    this.writing = 0;
    this.tcb.sendRing.release();
    this.tcb.recvRing.release();
    if (this.phase === 'ended') {
      user.freeRings(this.tcb);
      return;
    }
    if (this.phase === 'connecting') this.refuse(error ?? 'failed');
    else if (this.tcbDone || (this.hostFin && this.endSent)) this.settle();
    else if (this.tcb.sendRing.length === 0 && this.spill === null) this.abort('host-reset');
    else this.resetDue = true;
  }

  // Guest to host

  private writeToHost(): void {
    const { recvRing } = this.tcb;
    const { stream } = this;
    if (this.phase !== 'open' || stream === null || this.streamClosed) return;
    while (this.writing === 0 && recvRing.length > 0) {
      recvRing.readable(0, region);
      const { len } = region;
      this.writing = len;
      if (!stream.write(region.off, len)) {
        recvRing.hold();
        return;
      }
      this.writing = 0;
      this.took(len);
    }
    if (this.guestFin && !this.endSent && recvRing.length === 0 && this.writing === 0) {
      this.endSent = true;
      stream.end();
    }
    if (this.tcbDone) this.settle();
  }

  /** The host has taken `len` bytes off the front of the ring. */
  private took(len: number): void {
    this.bytesToHost += len;
    if (this.tcbDone) this.tcb.recvRing.consume(len);
    else user.received(this.tcb, len);
  }

  // Host to guest

  private resume(): void {
    if (!this.paused || this.stream === null || this.streamClosed || this.hostFin || this.spill !== null)
      return;
    this.paused = false;
    this.stream.resume();
  }

  /** The arena has no room for bytes that were read already: they wait outside it, at most one pad. */
  private keepForLater(off: number, len: number): void {
    this.spill = new Uint8Array(this.context.arena.memory.bytes.subarray(off, off + len));
    this.context.drops.lose(Loss.ArenaFull);
    this.context.timers.arm(this.timer, this.context.turn.now + SPILL_RETRY);
  }

  private retrySpill(now: Ms): void {
    const { sendRing } = this.tcb;
    const { spill } = this;
    if (spill === null || this.tcbDone) return;
    if (!sendRing.ensure(sendRing.length + spill.length)) {
      this.context.timers.arm(this.timer, now + SPILL_RETRY);
      return;
    }
    this.spill = null;
    this.context.timers.disarm(this.timer);
    this.appendSpill(spill);
    user.sent(this.tcb, now);
    if (this.hostFin) user.close(this.tcb, now);
    else if (sendRing.room >= PAD_BYTES) this.resume();
  }

  private appendSpill(spill: Uint8Array): void {
    const { sendRing } = this.tcb;
    let at = 0;
    while (at < spill.length) {
      sendRing.writable(region);
      const part = Math.min(region.len, spill.length - at);
      this.context.arena.memory.bytes.set(spill.subarray(at, at + part), region.off);
      sendRing.extend(part);
      at += part;
    }
  }

  // Ends

  private stopConnecting(): void {
    this.peer.pendingConnects--;
    this.context.timers.disarm(this.timer);
  }

  /** The host could not connect: the guest hears why. RFC 9293 3.10.7.1, RFC 1122 4.2.3.9. */
  private refuse(error: HostError): void {
    const { now } = this.context.turn;
    const code = icmpCodeFor(error);
    if (error === 'exhausted') this.context.drops.lose(Loss.HostSocketsExhausted);
    if (code >= 0) {
      const ports = (this.guest.port << 16) | this.remote.port;
      this.context.icmp.unreachableLater(
        this.route,
        code,
        this.ingress,
        Protocol.Tcp,
        ports,
        this.tcb.irs,
        now,
      );
      user.discard(this.tcb);
    } else user.abort(this.tcb, now);
    this.finish(endFor(error), false);
  }

  private onTimer(now: Ms): void {
    if (this.phase === 'connecting') {
      this.refuse('timed-out');
      this.stream?.reset();
    } else if (this.tcbDone) this.finish(this.reason, true);
    else this.retrySpill(now);
  }

  /** TCP is done with the guest; the host may still have to take what came. */
  private tcbEnded(reason: FlowEnd): void {
    this.tcbDone = true;
    this.reason = reason;
    this.owner.unlist(this);
    this.settle();
  }

  /** Both sides have what they are due? Then this flow is over. */
  private settle(): void {
    if (this.phase !== 'open') return;
    const exchanged = this.endSent && this.hostFin && this.writing === 0;
    if (this.tcbDone && (this.streamClosed || exchanged)) this.finish(this.reason, false);
  }

  private finish(reason: FlowEnd, resetStream: boolean): void {
    if (this.phase === 'ended') return;
    if (this.phase === 'connecting') this.stopConnecting();
    this.phase = 'ended';
    this.spill = null;
    this.context.timers.arm(this.timer, NEVER);
    if (resetStream && !this.streamClosed) this.stream?.reset();
    if (this.streamClosed || this.stream === null) user.freeRings(this.tcb);
    this.owner.unlist(this);
    this.owner.ended(this, reason);
  }
}
