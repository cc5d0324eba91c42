// A UDP stream of a relay's client: one socket that talks to one remote, a datagram a packet. There is no credit; what
// somebody is too slow for is lost, as UDP is.

import type { IpAddr } from '../base/addr.ts';
import type { HostError } from '../host/host-network.ts';
import { reasonOf } from './close-reasons.ts';
import type { OutsideDatagrams } from './relay-outside.ts';
import { keep, SessionStream } from './session-stream.ts';
import * as wisp from './wisp.ts';

/** Datagrams that wait for a name to be resolved. */
const MAX_EARLY = 16;

export class UdpSessionStream extends SessionStream {
  waiting = 0;
  private early: Uint8Array[] = [];
  private out: OutsideDatagrams | null = null;

  take(payload: Uint8Array): void {
    if (this.phase === 'open') this.send(payload);
    else if (this.early.length >= MAX_EARLY) this.owner.env.counters.lostDatagrams++;
    else {
      this.early.push(keep(payload));
      this.waiting += payload.length;
      this.owner.addWaiting(payload.length);
    }
  }

  grant(): void {
    this.owner.env.counters.strayPackets++;
  }

  clientClosed(): void {
    this.abandon();
  }

  clientDrained(): void {}

  clientFull(): void {}

  onData(bytes: Uint8Array): void {
    const { counters } = this.owner.env;
    if (this.phase !== 'open') return;
    if (!this.owner.canSend) {
      counters.lostDatagrams++;
      return;
    }
    counters.bytesToClient += bytes.length;
    this.owner.say(wisp.data(this.id, bytes));
  }

  onWritable(): void {}

  onEnd(): void {}

  protected connectTo(addr: IpAddr): void {
    this.out = this.owner.env.outside.connectUdp({ addr, port: this.target.port }, this);
  }

  protected opened(): void {
    const { early } = this;
    this.forgetEarly();
    for (const payload of early) this.send(payload);
  }

  protected closedOutside(error: HostError | null): void {
    if (this.phase === 'open') this.fail(reasonOf(error ?? 'reset', true));
  }

  protected letGo(): void {
    this.forgetEarly();
    this.out?.close();
  }

  protected sayClose(reason: number): void {
    this.owner.say(wisp.close(this.id, reason));
  }

  private send(payload: Uint8Array): void {
    const { counters } = this.owner.env;
    if (this.out?.write(payload) === true) counters.bytesToHost += payload.length;
    else counters.lostDatagrams++;
  }

  private forgetEarly(): void {
    this.owner.addWaiting(-this.waiting);
    this.waiting = 0;
    this.early = [];
  }
}
