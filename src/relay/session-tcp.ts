// A TCP stream of a relay's client. What the client sends waits in a queue while the host takes no more, and CONTINUE
// tells it when there is room again (receive-window.ts). What the host sends goes out as it comes; its socket is not read
// while the client takes nothing, or where it counts (duplex.ts), while it has no room for this stream.
//
// Plain wisp ends a stream as a whole. The host's FIN is a CLOSE then; a CLOSE from the client is a FIN to the host, behind
// what still waits, and what the host says after it is for nobody.

import type { IpAddr } from '../base/addr.ts';
import type { HostError } from '../host/host-network.ts';
import { reasonOf } from './close-reasons.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { OutsideStream } from './relay-outside.ts';
import { keep, SessionStream, type StreamOwner } from './session-stream.ts';
import * as wisp from './wisp.ts';

const NOTHING = new Uint8Array(0);
/** How far a client may be beyond what it was granted: what it sent before its stream was open counts again then. */
const OVERRUN = 2;

export class TcpSessionStream extends SessionStream {
  waiting = 0;
  private readonly window: ReceiveWindow;
  private queue: Uint8Array[] = [];
  private out: OutsideStream | null = null;
  /** The host takes no more at the moment. */
  private blocked = false;
  private clientEnded = false;
  private finSent = false;
  private hostEnded = false;
  /** Packets that the client has room for, where it counts. */
  private credit: number;
  private paused = false;

  constructor(owner: StreamOwner, id: number, target: wisp.ConnectTarget) {
    super(owner, id, target);
    this.window = new ReceiveWindow(owner.env.rules.limits.packets);
    this.credit = owner.clientPackets;
  }

  take(payload: Uint8Array): void {
    if (payload.length === 0) {
      if (this.counts) this.endToHost();
      // It says nothing, and costs the client a packet.
      else this.grantOne();
      return;
    }
    const { counters, rules } = this.owner.env;
    // Behind its own end there is nothing more to say.
    if (this.clientEnded || this.queue.length >= OVERRUN * rules.limits.packets) {
      counters.overruns++;
      this.fail(wisp.CloseReason.Throttled);
      return;
    }
    this.queue.push(keep(payload));
    this.waiting += payload.length;
    this.owner.addWaiting(payload.length);
    this.pump();
  }

  grant(packets: number): void {
    this.credit = packets;
    this.readOn();
  }

  clientClosed(): void {
    if (this.counts || this.phase !== 'open') this.abandon();
    else this.drain();
  }

  clientDrained(): void {
    this.readOn();
  }

  clientFull(): void {
    this.pauseReading();
  }

  onData(bytes: Uint8Array): void {
    if (this.phase !== 'open') return;
    this.owner.env.counters.bytesToClient += bytes.length;
    this.credit--;
    if (this.counts && this.credit <= 0) this.pauseReading();
    this.owner.say(wisp.data(this.id, bytes));
  }

  onWritable(): void {
    this.blocked = false;
    this.pump();
  }

  onEnd(): void {
    if (this.phase !== 'open') return;
    this.hostEnded = true;
    if (this.counts) {
      this.owner.say(wisp.data(this.id, NOTHING));
      this.forgetIfEnded();
    } else {
      this.owner.forget(this);
      this.sayClose(wisp.CloseReason.Voluntary);
      this.drain();
    }
  }

  protected connectTo(addr: IpAddr): void {
    this.out = this.owner.env.outside.connectTcp({ addr, port: this.target.port }, this);
  }

  protected opened(): void {
    const { packets } = this.owner.env.rules.limits;
    // What waits was sent on the credit that every stream begins with.
    if (this.owner.confirmsOpen)
      this.owner.say(wisp.continuation(this.id, Math.max(0, packets - this.queue.length)));
    if (!this.owner.canSend) this.pauseReading();
    this.pump();
  }

  protected closedOutside(error: HostError | null): void {
    if (this.phase === 'open' && error !== null) this.fail(reasonOf(error, true));
    else if (this.phase === 'open' && !this.bothEnded) this.fail(wisp.CloseReason.Voluntary);
    else this.abandon();
  }

  protected letGo(): void {
    this.owner.addWaiting(-this.waiting);
    this.waiting = 0;
    this.queue = [];
    this.out?.reset();
  }

  protected sayClose(reason: number): void {
    this.owner.say(wisp.close(this.id, reason));
  }

  /** Does the client count what it buffers, and end directions? */
  private get counts(): boolean {
    return this.owner.clientPackets > 0;
  }

  private get bothEnded(): boolean {
    return this.clientEnded && this.hostEnded;
  }

  private pump(): void {
    while (!this.blocked && this.queue.length > 0 && this.out !== null && this.isUp) {
      const bytes = this.queue.shift()!;
      this.waiting -= bytes.length;
      this.owner.addWaiting(-bytes.length);
      this.owner.env.counters.bytesToHost += bytes.length;
      this.blocked = !this.out.write(bytes);
      this.grantOne();
    }
    if (this.clientEnded && !this.finSent && this.queue.length === 0 && this.isUp) {
      this.finSent = true;
      this.out?.end();
      this.forgetIfEnded();
    }
  }

  private grantOne(): void {
    const grant = this.window.take();
    if (grant > 0 && this.phase === 'open') this.owner.say(wisp.continuation(this.id, grant));
  }

  private get isUp(): boolean {
    return this.phase === 'open' || this.phase === 'draining';
  }

  private endToHost(): void {
    this.clientEnded = true;
    this.pump();
  }

  /** Nothing of it concerns the client any more: what waits goes to the host, then FIN, and the host gets some time. */
  private drain(): void {
    this.phase = 'draining';
    this.armIn(this.owner.env.rules.limits.drainMs);
    if (this.paused) this.out?.resume();
    this.endToHost();
  }

  /** Both sides of the wire know that it is over; the host's socket closes by itself. */
  private forgetIfEnded(): void {
    if (!this.bothEnded || !this.finSent) return;
    this.owner.forget(this);
    this.drain();
  }

  private pauseReading(): void {
    if (this.paused || this.phase !== 'open') return;
    this.paused = true;
    this.out?.pause();
  }

  private readOn(): void {
    if (!this.paused || !this.owner.canSend || (this.counts && this.credit <= 0)) return;
    this.paused = false;
    this.out?.resume();
  }
}
