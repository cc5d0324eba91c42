// Our endpoint as a target: one Tcb between the doubles of support/tcp-peer.ts, on a clock moved by hand, so every answer
// has its exact time. The application is the Tcb's user.

import { bytesOf, pattern, patternByte } from '../support/segment-bytes.ts';
import { TcpPeer } from '../support/tcp-peer.ts';
import type { ForEndpoint, Sent, Target } from './player.ts';
import type { AppStep, Settings } from './script.ts';

export class Ours implements Target {
  readonly name = 'ours';
  readonly early = 0;
  readonly late = 0;
  readonly lateShare = 0;
  readonly quiet = 0;
  private readonly peer: TcpPeer;
  private readonly settings: Settings;
  private readonly sent: Sent[] = [];
  private written = 0;
  private read = 0;

  constructor(settings: Settings) {
    const { irs, mtu, rcvbuf } = settings;
    this.settings = settings;
    this.peer = new TcpPeer({ irs, mtu, ...(rcvbuf > 0 ? { flowBytes: rcvbuf } : {}) });
  }

  now(): number {
    return this.peer.clock.now();
  }

  async waitUntil(at: number): Promise<void> {
    const { clock } = this.peer;
    do {
      this.peer.advance(Math.max(0, Math.min(at, clock.nextAlarm) - clock.now()));
      this.collect();
    } while (clock.now() < at);
  }

  async take(until: number): Promise<Sent | null> {
    const { clock } = this.peer;
    this.collect();
    while (this.sent.length === 0 && clock.now() < until) {
      await this.waitUntil(Math.min(until, Math.max(clock.now(), clock.nextAlarm)));
    }
    return this.sent.shift() ?? null;
  }

  inject(segment: ForEndpoint): void {
    const { peer } = this;
    if (peer.state === 'CLOSED' && (peer.opened || !this.settings.passive)) {
      // What nat/ does with a segment for which there is no flow.
      if (segment.flags.includes('R')) return;
      const { seq, ack, flags, data } = segment;
      const { irs } = this.settings;
      const answer = peer.resetFor({ seq: (seq - irs) | 0, ack: (ack - peer.tcb.iss) | 0, flags, data });
      peer.wire.segments.push(answer);
    } else {
      peer.run(() => peer.deliver({ from: 40000, to: 80, ...segment }));
      // The host has what the guest asks for.
      if (peer.tcb.synAckHeld) peer.host.accepts();
    }
    this.collect();
  }

  async app(step: AppStep): Promise<void> {
    const { host } = this.peer;
    if (step.op === 'connect') host.connects();
    else if (step.op === 'accept') this.must(host.heard.includes('established'), 'not established');
    else if (step.op === 'shutdown') host.closes();
    else if (step.op === 'abort') host.aborts();
    else if (step.op === 'write') {
      host.gives(pattern(step.bytes, this.written));
      this.written += step.bytes;
    } else if (step.op === 'read') this.readBytes(step.bytes);
    else if (step.op === 'eof') {
      this.must(host.heard.includes('fin'), 'no end of file');
      this.must(this.peer.tcb.recvRing.length === 0, 'there are bytes before the end of file');
    } else if (step.op === 'state') {
      this.must(this.peer.state === step.name, `the state is ${this.peer.state}`);
    } else this.must(this.error() === step.name, `the error is ${this.error()}`);
    this.collect();
  }

  private readBytes(bytes: number): void {
    const got = this.peer.host.takesBytes(bytes);
    this.must(got.length === bytes, `${got.length} bytes were there`);
    const wrong = got.findIndex((byte, i) => byte !== patternByte(this.read + i));
    this.must(wrong < 0, `byte ${this.read + wrong} is not what was sent`);
    this.read += bytes;
  }

  /** What a socket would call it. */
  private error(): string {
    const { reason, heard } = this.peer.host;
    if (reason === 'timed-out') return 'ETIMEDOUT';
    if (reason === 'peer-reset') return heard.includes('established') ? 'ECONNRESET' : 'ECONNREFUSED';
    return 'none';
  }

  private must(holds: boolean, otherwise: string): void {
    if (!holds) throw new Error(otherwise);
  }

  /** Takes what was sent off the wire, in absolute numbers again. */
  private collect(): void {
    const { tcb, wire, clock } = this.peer;
    for (const sent of wire.segments.splice(0)) {
      this.sent.push({
        at: clock.now(),
        seq: (sent.seq + tcb.iss) | 0,
        ack: sent.flags.includes('A') ? (sent.ack + tcb.irs) | 0 : 0,
        flags: sent.push ? `${sent.flags}P` : sent.flags,
        wnd: sent.wnd,
        data: bytesOf(sent.text),
        options: sent.options,
      });
    }
  }
}
