// One TCP connection of a guest through a relay.
//
// To the host: what the engine writes is copied into packets, and those for which there is no credit wait here. While
// any do, the next write is held where it lies, so that they are one write at most.
//
// To the guest: what comes waits here until the engine wants it. A server that counts (duplex.ts) sends no more than we have
// room for. Another sends as fast as it can, and nobody can stop it: a page has no way to leave a WebSocket unread,
// and leaving it unread where one could would stop every other stream too, CONTINUE included. So what waits in all streams
// together is bounded, and the one that has the most is reset: RelayHost.addArrived().
//
// Plain wisp has no FIN of its own. CLOSE of the server, if it is no failure, is taken for the remote's FIN; what the guest
// writes behind it meets a reset, as it would. The guest's FIN cannot be said, only CLOSE, which would also lose the
// answer: so the stream is closed when for LINGER_MS nothing has come. With a server that ends directions, FIN is FIN.
//
// Nor does plain wisp say that a stream is open. A server that confirms does; of another it is believed when data
// comes, or when for CONFIRM_MS no refusal has.

import { type Endpoint, formatIp } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import type { Ms } from '../base/clock.ts';
import { Timer, type Timers } from '../base/timers.ts';
import { EngineHalf, type LaterHost } from '../host/engine-half.ts';
import type { HostError, HostStreamEvents } from '../host/host-network.ts';
import { errorOf } from './close-reasons.ts';
import type { Conversation, ConversationOwner } from './conversation.ts';
import { ReceiveWindow } from './receive-window.ts';
import * as wisp from './wisp.ts';
import { CloseReason } from './wisp.ts';

/** The longest read that lands on the pad, see StreamHome. */
export const PAD_LEN = 65_536;
/** Payload of a packet at most: what servers that bound their messages take, and little enough for others to pass. */
const MAX_PAYLOAD = 32_768;
/** What is handed over in one go, before the event loop has its chance. */
const MAX_PUMP = 262_144;
const CONFIRM_MS: Ms = 100;
const LINGER_MS: Ms = 5000;
/** How far a server that counts may be beyond what it was granted: a grant may cross what it sends. */
const OVERRUN = 2;
/** What an arrival costs besides its bytes. */
const ARRIVAL_COST = 256;
const NOTHING = new Uint8Array(0);

/** What a stream needs of its host. */
export interface StreamHome extends ConversationOwner, LaterHost {
  readonly arena: Arena;
  readonly timers: Timers;
  /** Where a read lands for which no region was reserved: PAD_LEN bytes of the arena. */
  readonly pad: number;
  /** Packets that we buffer. */
  readonly packets: number;
  closed(stream: RelayStream): void;
  /** The server has sent it more than it may: counted, and the stream ends. */
  overflowed(stream: RelayStream): void;
}

export class RelayStream extends EngineHalf<StreamHome> implements Conversation {
  /** Bytes that have come and are not read, with what keeping them costs. */
  arrived = 0;
  readonly id: number;
  private readonly window: ReceiveWindow;
  private arrivals: Uint8Array[] = [];
  /** Of the first of them, bytes that are read. */
  private readOfFirst = 0;
  private packets: Uint8Array[] = [];
  private credit = 0;
  /** Its id is ours: CONNECT is sent, and neither side has ended the stream as a whole. */
  private alive = false;
  /** It is open, or believed to be: the engine knows, or will in its next turn. */
  private opening = false;
  private finSent = false;
  /** Nothing comes behind what has. */
  private remoteDone = false;
  private readonly timer = new Timer(() => this.onTimer());

  constructor(home: StreamHome, to: Endpoint, events: HostStreamEvents) {
    super(home, to, 'connecting');
    this.events = events;
    this.window = new ReceiveWindow(home.packets);
    this.id = home.newId(this);
  }

  // What the engine calls, besides EngineHalf.

  override end(): void {
    super.end();
    this.flush();
  }

  override reset(): void {
    if (this.wasReset || this.state === 'closed') return;
    this.close(CloseReason.Voluntary);
    super.reset();
  }

  // Conversation

  connect(): void {
    const { link } = this.host;
    if (this.wasReset || this.state !== 'connecting') return;
    this.alive = true;
    this.credit = link.initialCredit;
    const { addr, port } = this.to;
    link.say(wisp.connect(this.id, { kind: 'tcp', port, hostname: formatIp(addr) }));
    if (!link.confirmsOpen) this.armIn(CONFIRM_MS);
  }

  onData(payload: Uint8Array): void {
    if (this.wasReset || this.remoteDone) return;
    this.believeOpen();
    if (payload.length === 0) {
      // Plain wisp knows no empty one, and there is nothing in it.
      if (this.host.link.isDuplex) this.remoteEnds();
      return;
    }
    if (this.finSent && !this.host.link.isDuplex) this.armIn(LINGER_MS);
    if (this.host.link.isDuplex && this.arrivals.length >= OVERRUN * this.host.packets) {
      // It was granted less.
      this.host.overflowed(this);
      return;
    }
    this.arrivals.push(payload);
    this.count(payload.length + ARRIVAL_COST);
    this.schedule();
  }

  onContinue(packets: number): void {
    this.credit = packets;
    this.believeOpen();
    this.flush();
  }

  onClosed(reason: number): void {
    this.gone();
    const isFin = reason === CloseReason.Voluntary && this.opening && !this.host.link.isDuplex;
    if (!isFin) this.breakOff(this.opening && reason === CloseReason.Voluntary ? 'reset' : errorOf(reason));
    else if (this.packets.length > 0) this.breakOff('reset');
    else this.remoteEnds();
  }

  onLost(error: HostError): void {
    this.gone();
    this.breakOff(this.opening ? 'reset' : error);
  }

  onDrain(): void {
    this.flush();
  }

  /** It has more waiting than there is room for. */
  overflow(): void {
    this.close(CloseReason.ClientError);
    this.breakOff('reset');
  }

  // EngineHalf

  protected took(off: number, len: number): void {
    if (!this.alive) {
      // The remote has closed, or the relay is gone: the first byte behind that meets a reset.
      this.breakOff('reset');
      return;
    }
    const { bytes } = this.host.arena.memory;
    for (let at = off; at < off + len; at += MAX_PAYLOAD)
      this.packets.push(wisp.data(this.id, bytes, at, Math.min(MAX_PAYLOAD, off + len - at)));
    this.flush();
  }

  protected override get hasArrivals(): boolean {
    return this.arrivals.length > 0 || this.remoteDone;
  }

  protected override loseArrivals(): void {
    this.arrivals = [];
    this.readOfFirst = 0;
    this.count(-this.arrived);
  }

  protected pump(): void {
    for (
      let done = 0;
      this.reading && this.arrivals.length > 0 && this.state === 'open' && !this.wasReset;
    ) {
      if (done >= MAX_PUMP) {
        this.schedule();
        return;
      }
      done += this.deliver(this.arrivals[0]!);
    }
    if (this.arrivals.length === 0 && this.remoteDone && this.state === 'open' && !this.wasReset)
      this.endRemote();
  }

  protected override opened(): void {
    this.host.timers.disarm(this.timer);
    if (this.ended) this.flush();
  }

  protected override closeIfDone(): void {
    if (this.packets.length === 0) super.closeIfDone();
  }

  protected override left(): void {
    this.close(CloseReason.Voluntary);
    this.packets = [];
    this.loseArrivals();
    this.host.closed(this);
  }

  private deliver(first: Uint8Array): number {
    const { host, region } = this;
    this.reserve();
    const onPad = region.len === 0;
    const at = onPad ? host.pad : region.off;
    const room = onPad ? PAD_LEN : region.len;
    const part = first.subarray(this.readOfFirst, this.readOfFirst + room);
    host.arena.memory.bytes.set(part, at);
    this.readOfFirst += part.length;
    this.count(-part.length);
    if (this.readOfFirst === first.length) {
      this.arrivals.shift();
      this.readOfFirst = 0;
      this.count(-ARRIVAL_COST);
      this.grantOne();
    }
    if (this.events?.onRead(at, part.length) === false) this.reading = false;
    return part.length;
  }

  private grantOne(): void {
    const packets = this.window.take();
    if (packets > 0 && this.alive && this.host.link.isDuplex)
      this.host.link.say(wisp.continuation(this.id, packets));
  }

  /** Sends what waits, as far as credit and link let it. */
  private flush(): void {
    const { link } = this.host;
    while (this.alive && this.packets.length > 0 && this.credit > 0 && link.canSend) {
      this.credit--;
      link.say(this.packets.shift()!);
    }
    this.holdWrites = this.packets.length > 0;
    if (!this.holdWrites && this.isHolding) this.letGo();
    if (this.ended && this.packets.length === 0 && !this.isHolding) this.sayFin();
  }

  private sayFin(): void {
    if (this.finSent || !this.alive || this.state !== 'open') return;
    this.finSent = true;
    if (this.host.link.isDuplex) this.host.link.say(wisp.data(this.id, NOTHING));
    else this.armIn(LINGER_MS);
    this.host.later(() => this.closeIfDone());
  }

  private believeOpen(): void {
    if (this.opening) return;
    this.opening = true;
    this.open();
  }

  private remoteEnds(): void {
    this.remoteDone = true;
    this.schedule();
  }

  private breakOff(error: HostError): void {
    this.packets = [];
    this.fail(error);
  }

  private onTimer(): void {
    if (this.state === 'connecting') this.believeOpen();
    else if (this.ended && !this.remoteDone) {
      this.close(CloseReason.Voluntary);
      this.host.later(() => this.finish(null));
    }
  }

  /** Ends the stream as a whole, where that is not so already. */
  private close(reason: number): void {
    const isOver = this.finSent && this.remoteDone && this.host.link.isDuplex;
    if (this.alive && !isOver) this.host.link.say(wisp.close(this.id, reason));
    this.gone();
  }

  private gone(): void {
    this.alive = false;
    this.host.timers.disarm(this.timer);
    this.host.forget(this.id);
  }

  private count(bytes: number): void {
    this.arrived += bytes;
    this.host.addArrived(bytes);
  }

  private armIn(ms: Ms): void {
    const { timers } = this.host;
    timers.arm(this.timer, timers.clock.now() + ms);
  }
}
