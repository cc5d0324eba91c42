// One TCP flow: a Tcb towards the guest and a stream towards the host, joined by two rings.
//
// A guest's SYN begins a connect; the SYN-ACK is held until the host has answered, so that what the guest sees is what
// the host said: open, refused, unreachable or silence. A forward is the mirror: the client's stream is there, unread,
// and our own SYN goes to the guest.
//
// guest -> host: upload.ts. host -> guest: download.ts.
//
// The end. Both FINs done: TIME-WAIT or CLOSED, the flow lives on until the host has taken the last byte. So it does when
// the guest is gone after its FIN, by a reset, in silence or with its link: it has said all, and was told that it arrived
// (a guest that has closed forgets the connection after a minute, RFC 9293 3.6, and its reset answers our keep-alive). A
// reset before that resets the stream at once. A reset from the host reaches the guest behind the data that came before
// it. The rings are given back when the stream has said onClose, because until then its regions are in use.

import { type Endpoint, ipv4Addr } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import { Loss } from '../base/drop.ts';
import type { Region } from '../base/region.ts';
import { type Timer, timerOf } from '../base/timers.ts';
import type { Egress } from '../base/turn.ts';
import type { HostError, HostStream, HostStreamEvents } from '../host/host-network.ts';
import type { TcpRoute } from '../ip/output.ts';
import { output } from '../tcp/output.ts';
import { type CloseReason, Tcb, type TcbInit, type TcpUser } from '../tcp/tcb.ts';
import * as user from '../tcp/user.ts';
import { pseudoSumIpv4 } from '../wire/checksum.ts';
import { Protocol } from '../wire/ipv4.ts';
import type { Guest, NatContext } from './context.ts';
import { Download } from './download.ts';
import type { Flow, FlowEnd } from './flow.ts';
import { type TcpFlowStats, tcpFlowStats } from './flow-stats.ts';
import { setKey } from './flow-table.ts';
import { endFor, icmpCodeFor } from './refusals.ts';
import { Upload } from './upload.ts';

/** How long the host may take nothing of what a guest has left it. */
const LINGER_LIMIT: Ms = 600_000;
/** The same of a guest whose link has gone, and of a guest that is owed what came before the host's reset. */
const DRAIN_LIMIT: Ms = 30_000;
/** What a host has for its last word, when its kernel has all and the guest is gone: so long, and so many bytes. */
const LAST_WORD_LIMIT: Ms = 30_000;
const MOST_UNHEARD = 1 << 20;

/** Told when a flow leaves the table, and when the last of it is gone. */
export interface TcpFlowOwner {
  /** No packet of the guest belongs to it any more. */
  unlist(flow: TcpFlow): void;
  ended(flow: TcpFlow, reason: FlowEnd): void;
  /** The guest's link had no room for the flow's reset: payReset() when it has. */
  oweReset(flow: TcpFlow, guest: Guest): void;
}

const fireTimer = (_: Ms, flow: TcpFlow): void => flow.onTimer();

export class TcpFlow implements Flow, Egress, TcpUser, HostStreamEvents {
  readonly kind = 'tcp';
  readonly id: number;
  readonly ingress: number;
  readonly route: TcpRoute;
  readonly tcb: Tcb;
  private readonly openedAt: Ms;
  private readonly context: NatContext;
  private readonly owner: TcpFlowOwner;
  private readonly peer: Guest;
  private readonly upload: Upload;
  private readonly download: Download;
  private stream: HostStream | null = null;
  private phase: 'connecting' | 'open' | 'ended' = 'connecting';
  private streamClosed = false;
  /** Our SYN to the guest is not answered yet: a reset now is a refusal. */
  private unanswered = false;
  /** The host has reset: the guest hears of it when it has all that came before, or takes nothing for DRAIN_LIMIT. */
  private resetDue = false;
  private tcbDone = false;
  /** Bytes that the host has said to a guest that is gone. */
  private unheard = 0;
  private reason: FlowEnd = 'closed';
  /** Why it is over; null while it is not. */
  ended: FlowEnd | null = null;
  /** The connect limit, or the end of what the host is given to take the last bytes. null while there is none. */
  private timer: Timer | null = null;

  constructor(
    context: NatContext,
    owner: TcpFlowOwner,
    peer: Guest,
    id: number,
    ends: { guest: Endpoint; remote: Endpoint; route: TcpRoute },
    init: Pick<TcbInit, 'iss' | 'tsOffset'>,
  ) {
    this.context = context;
    this.owner = owner;
    this.peer = peer;
    this.id = id;
    this.route = ends.route;
    this.ingress = peer.port.id;
    this.openedAt = context.turn.now;
    this.tcb = new Tcb(context.tcp, this, ends.route, peer.account, {
      ownPort: ends.remote.port,
      peerPort: ends.guest.port,
      pseudoSum: pseudoSumIpv4(ends.route.src, ends.route.dst, Protocol.Tcp),
      iss: init.iss,
      tsOffset: init.tsOffset,
    });
    this.upload = new Upload(this.tcb, context.turn);
    this.download = new Download(context, this.tcb);
  }

  /** A guest's SYN has been taken: `stream` is connecting for it. */
  startConnecting(stream: HostStream): void {
    this.stream = stream;
    this.peer.pendingConnects++;
    this.startTimer(this.context.settings.timeouts.connect);
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
    this.unanswered = true;
    user.connect(this.tcb, now);
  }

  abort(reason: FlowEnd): void {
    if (this.phase === 'ended') return;
    this.abortTcb();
    this.finish(reason, true);
  }

  /** The guest's link has gone: nobody will answer. */
  guestGone(): void {
    if (this.phase === 'ended') return;
    user.discard(this.tcb);
    this.leaveToHost('guest-gone');
  }

  /** The guest begins anew from the same port while we wait out the old connection. RFC 9293 3.6.1. */
  retire(): void {
    user.discard(this.tcb);
    this.tcbEnded('closed');
  }

  /** The link has room for the reset that abortTcb() owes the guest. False: it had none again. */
  payReset(): boolean {
    return user.sendReset(this.tcb, this.context.turn.now);
  }

  // Made when somebody asks, which is seldom: an idle flow is as small as it can be.

  get guest(): Endpoint {
    return { addr: ipv4Addr(this.route.dst), port: this.tcb.peerPort };
  }

  get remote(): Endpoint {
    return { addr: ipv4Addr(this.route.src), port: this.tcb.ownPort };
  }

  /** Has it these ends? */
  isBetween({ guest, remote, route }: { guest: Endpoint; remote: Endpoint; route: TcpRoute }): boolean {
    const { tcb, route: own } = this;
    const isSamePorts = tcb.peerPort === guest.port && tcb.ownPort === remote.port;
    return isSamePorts && own.src === route.src && own.dst === route.dst;
  }

  /** Fills `key` with the flow's in the table. */
  writeKey(key: Int32Array): void {
    const { route, tcb } = this;
    setKey(key, route.dst, tcb.peerPort, route.src, tcb.ownPort, Protocol.Tcp, this.ingress);
  }

  get bytesToHost(): number {
    return this.upload.bytes;
  }

  get bytesToGuest(): number {
    return this.download.bytes;
  }

  get isEnded(): boolean {
    return this.phase === 'ended';
  }

  stats(now: Ms): TcpFlowStats {
    const { spilled, bytes, isPaused } = this.download;
    // A stream of which nothing was read waits for the connection, not for the guest to take more.
    const hostPaused = this.phase === 'open' && isPaused && bytes > 0 && !this.tcbDone && !this.streamClosed;
    const connecting = this.phase === 'connecting';
    return tcpFlowStats(this, this.tcb, { connecting, openedAt: this.openedAt, spilled, hostPaused }, now);
  }

  // Egress: once a turn.

  runEgress(now: Ms): void {
    if (this.phase === 'ended') return;
    this.writeToHost();
    if (this.tcbDone) return;
    output(this.tcb, now);
    if (this.tcb.linkBlocked) this.peer.blocked.add(this);
    // Until the host has all of it there is more to wait for than time.
    if (this.tcb.state === 'TIME-WAIT' && this.upload.ended) this.peer.timeWait.add(this);
  }

  // TcpUser

  wantOutput(): void {
    this.context.turn.wantEgress(this);
  }

  onEstablished(): void {
    this.unanswered = false;
    this.resume();
  }

  onReadable(): void {
    this.wantOutput();
  }

  onPeerFin(): void {
    this.upload.finished = true;
    this.wantOutput();
  }

  onSendSpace(): void {
    if (this.phase !== 'open') return;
    this.download.spaceFreed(this.streamClosed ? null : this.stream);
    if (!this.resetDue) return;
    if (this.download.isDelivered) this.abort('host-reset');
    else this.startTimer(DRAIN_LIMIT);
  }

  onClosed(reason: CloseReason): void {
    if (reason === 'normal') this.tcbEnded('closed');
    else if (reason === 'timed-out') this.leaveToHost(reason);
    else this.leaveToHost(this.unanswered ? 'refused' : 'guest-reset');
  }

  // HostStreamEvents

  onOpen(): void {
    if (this.phase !== 'connecting') return;
    this.stopConnecting();
    this.phase = 'open';
    user.accept(this.tcb);
    // Before the handshake with the guest is over: what the host has said would be lost if it reset the connection, and the
    // guest's first bytes met that reset.
    this.resume();
  }

  reserveRead(into: Region): void {
    if (this.phase !== 'ended') this.download.reserve(into);
  }

  onRead(off: number, len: number): boolean {
    if (this.phase === 'open' && !this.tcbDone) return this.download.read(off, len);
    this.tcb.sendRing.release();
    this.unheard += len;
    return this.phase === 'open' && this.unheard <= MOST_UNHEARD;
  }

  onWritten(): void {
    if (this.phase === 'ended') this.upload.release();
    else this.upload.written();
    this.wantOutput();
  }

  onEnd(): void {
    if (this.phase === 'open' && !this.tcbDone) this.download.end();
    else this.download.finished = true;
    this.settle();
  }

  onClose(error: HostError | null): void {
    this.streamClosed = true;
    this.upload.release();
    this.tcb.sendRing.release();
    if (this.phase === 'ended') {
      user.freeRings(this.tcb);
      return;
    }
    if (this.phase === 'connecting') this.refuse(error ?? 'failed');
    else if (this.tcbDone || (this.download.finished && this.upload.ended)) this.settle();
    else if (this.download.isDelivered) this.abort('host-reset');
    else {
      this.resetDue = true;
      this.startTimer(DRAIN_LIMIT);
    }
  }

  private writeToHost(): void {
    if (this.phase !== 'open' || this.stream === null || this.streamClosed) return;
    this.upload.writeTo(this.stream);
    if (this.tcbDone) this.settle();
  }

  private resume(): void {
    this.download.resume(this.streamClosed ? null : this.stream);
  }

  // Ends

  private stopConnecting(): void {
    this.peer.pendingConnects--;
    this.stopTimer();
  }

  /** The host could not connect: the guest hears why. RFC 9293 3.10.7.1, RFC 1122 4.2.3.9. */
  private refuse(error: HostError): void {
    const { now } = this.context.turn;
    const code = icmpCodeFor(error);
    if (error === 'exhausted') this.context.drops.lose(Loss.HostSocketsExhausted);
    if (code >= 0) {
      const ports = (this.tcb.peerPort << 16) | this.tcb.ownPort;
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
    } else this.abortTcb();
    this.finish(endFor(error), false);
  }

  private startTimer(after: Ms): void {
    this.timer ??= timerOf(this, fireTimer);
    this.context.timers.arm(this.timer, this.context.turn.now + after);
  }

  private stopTimer(): void {
    if (this.timer !== null) this.context.timers.disarm(this.timer);
    this.timer = null;
  }

  onTimer(): void {
    if (this.phase === 'connecting') {
      this.refuse('timed-out');
      this.stream?.reset();
    } else if (this.resetDue && !this.tcbDone) this.abort('host-reset');
    else this.finish(this.reason, true);
  }

  /** TCP is done with the guest; the host may still have to take what came. */
  private tcbEnded(reason: FlowEnd): void {
    this.tcbDone = true;
    this.reason = reason;
    this.owner.unlist(this);
    this.settle();
  }

  /** The guest is gone, and hears and says nothing any more. What it had finished saying is the host's, if that is there. */
  private leaveToHost(reason: FlowEnd): void {
    if (!this.upload.finished || this.phase !== 'open' || this.streamClosed) {
      this.finish(reason, true);
      return;
    }
    this.tcbEnded(reason);
    if (this.isEnded) return;
    // Reads on, for nobody, to see the host's FIN: a reset while it talks takes what our kernel has still to send.
    this.download.discard();
    this.resume();
    this.wantOutput();
  }

  /** Both sides have what they are due? Then this flow is over; else the host has time for the next step. */
  private settle(): void {
    if (this.phase !== 'open' || !this.tcbDone) return;
    const { ended } = this.upload;
    if (this.streamClosed || (ended && this.download.finished)) this.finish(this.reason, false);
    else if (ended) this.startTimer(LAST_WORD_LIMIT);
    else this.startTimer(this.reason === 'guest-gone' ? DRAIN_LIMIT : LINGER_LIMIT);
  }

  /** Ends the connection with the guest by a reset, which is owed where the link has no room for it. */
  private abortTcb(): void {
    if (!user.abort(this.tcb, this.context.turn.now)) this.owner.oweReset(this, this.peer);
  }

  private finish(reason: FlowEnd, resetStream: boolean): void {
    if (this.phase === 'ended') return;
    if (this.phase === 'connecting') this.stopConnecting();
    this.phase = 'ended';
    this.ended = reason;
    this.download.discard();
    this.stopTimer();
    if (resetStream && !this.streamClosed) this.stream?.reset();
    if (this.streamClosed || this.stream === null) user.freeRings(this.tcb);
    this.owner.unlist(this);
    this.owner.ended(this, reason);
  }
}
