// A guest's TCP connection to the name service, from the service's end. RFC 7766.
//
// What the guest sends is cut into queries; up to 8 of one connection are under way at once, answers go back in the
// order they come in (RFC 7766 7). While 8 are under way or 64 KiB of answers wait, no more is taken: write() says
// false, the rest is read later from where it lies, and the guest's window closes. A connection on which nothing moves
// for 10 s is ended with a FIN, and with a reset when that does not end it in another 10 s.
//
// The NAT calls in through HostStream. Nothing is told to it from inside such a call: schedule() has pump() run in a
// turn of its own.

import type { Arena } from '../base/arena.ts';
import type { Clock, Ms } from '../base/clock.ts';
import { Region } from '../base/region.ts';
import { Timer, type Timers } from '../base/timers.ts';
import type { Turn } from '../base/turn.ts';
import type { HostError, HostStream, HostStreamEvents } from '../host/host-network.ts';
import * as dns from '../wire/dns.ts';
import { framed, MessageReader } from '../wire/dns-framing.ts';
import { type DnsExchange, MAX_QUERY } from './dns-exchange.ts';

/** Queries of one connection under way at once. */
export const MAX_PIPELINED = 8;
/** Without a byte either way. RFC 7766 6.2.3: a few seconds. */
export const IDLE_MS = 10_000;
/** What is handed over in one read, and the size of the pad. */
export const PAD_LEN = 16_384;
/** Answers that wait for the guest; above, no more queries are taken. */
const MAX_WAITING = 65_536;

/** What a connection needs of its relay. */
export interface DnsStreamEnv {
  readonly arena: Arena;
  readonly clock: Clock;
  readonly turn: Turn;
  readonly timers: Timers;
  /** PAD_LEN bytes of the arena, used only during calls. */
  readonly pad: number;
  /** An exchange over TCP that has not begun, or null when there are too many. `answered` gets the guest's answer. */
  exchange(query: Uint8Array, answered: (answer: Uint8Array) => void): DnsExchange | null;
  /** Has gone. Called once. */
  closed(stream: DnsStream): void;
}

const region = new Region();

export class DnsStream implements HostStream {
  private readonly env: DnsStreamEnv;
  private readonly events: HostStreamEvents;
  private readonly reader = new MessageReader(MAX_QUERY);
  private readonly idle: Timer;
  private readonly underWay = new Set<DnsExchange>();
  /** What the guest has sent and nobody has read. */
  private readonly input = new Region();
  /** write() has said false and onWritten() has not come. */
  private writing = false;
  /** Answers, and how much of the first is with the guest. */
  private readonly waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private sentOfFirst = 0;
  private reading = false;
  private scheduled = false;
  /** FIN from the guest, and ours. */
  private guestEnded = false;
  private ended = false;
  /** Set: the next turn ends it with this. */
  private ending: { readonly error: HostError | null } | null = null;
  private closed = false;

  constructor(env: DnsStreamEnv, events: HostStreamEvents) {
    this.env = env;
    this.events = events;
    this.idle = new Timer(() => this.onIdle());
    this.touch();
  }

  write(off: number, len: number): boolean {
    // Nobody answers what comes after our FIN.
    if (this.closed || this.ended || this.ending !== null) return true;
    this.input.off = off;
    this.input.len = len;
    this.touch();
    this.readQueries();
    this.writing = this.input.len > 0;
    return !this.writing;
  }

  end(): void {
    this.guestEnded = true;
    this.schedule();
  }

  reset(): void {
    this.endWith(null);
  }

  resume(): void {
    this.reading = true;
    this.schedule();
  }

  pause(): void {
    this.reading = false;
  }

  /** Ends it from our side, with a reset; from here on it needs nothing of its relay. */
  refuse(): void {
    this.endWith('reset');
  }

  private readQueries(): void {
    const { input, reader } = this;
    while (input.len > 0 && !this.isFull()) {
      const n = reader.take(this.env.arena.memory, input.off, input.len);
      input.off += n;
      input.len -= n;
      const { message } = reader;
      if (reader.broken) this.refuse();
      else if (message !== null) {
        reader.clear();
        this.query(message);
      }
    }
  }

  private isFull(): boolean {
    return this.underWay.size >= MAX_PIPELINED || this.waitingBytes >= MAX_WAITING;
  }

  private query(message: Uint8Array): void {
    const v = new DataView(message.buffer);
    if (!dns.isRequest(v, 0, message.length)) {
      this.refuse();
      return;
    }
    const fail = (code: dns.Rcode): void => this.say(dns.failure(v, 0, message.length, code));
    const code = dns.checkQuery(v, 0, message.length);
    if (code !== dns.Rcode.NoError) {
      fail(code);
      return;
    }
    const exchange: DnsExchange | null = this.env.exchange(message, (answer) => {
      if (exchange !== null) this.underWay.delete(exchange);
      this.say(answer);
    });
    if (exchange === null) fail(dns.Rcode.ServFail);
    else {
      this.underWay.add(exchange);
      exchange.begin(this.env.turn.now);
    }
  }

  private say(answer: Uint8Array): void {
    if (this.closed || this.ending !== null) return;
    const message = framed(answer);
    this.waiting.push(message);
    this.waitingBytes += message.length;
    this.touch();
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    this.env.clock.soon(() => this.env.turn.run(this.pump));
  }

  /** Everything that is told to the NAT, in a turn of its own. */
  private readonly pump = (): void => {
    this.scheduled = false;
    if (!this.isOver()) this.deliver();
    if (!this.isOver()) this.readQueries();
    if (!this.isOver() && this.writing && this.input.len === 0) {
      this.writing = false;
      this.events.onWritten();
    }
    if (!this.isOver() && this.guestEnded && this.isDone()) this.sayEnd();
    if (this.ending !== null) this.close(this.ending.error);
  };

  private isOver(): boolean {
    return this.closed || this.ending !== null;
  }

  /** Nothing to answer and nothing to deliver. */
  private isDone(): boolean {
    return this.waiting.length === 0 && this.underWay.size === 0 && this.input.len === 0;
  }

  private deliver(): void {
    const { arena, pad } = this.env;
    for (let first = this.waiting[0]; first !== undefined; first = this.waiting[0]) {
      if (!this.reading || this.isOver()) return;
      region.off = pad;
      region.len = 0;
      this.events.reserveRead(region);
      const off = region.len > 0 ? region.off : pad;
      const room = region.len > 0 ? region.len : PAD_LEN;
      const part = first.subarray(this.sentOfFirst, this.sentOfFirst + room);
      arena.memory.bytes.set(part, off);
      this.sentOfFirst += part.length;
      if (this.sentOfFirst === first.length) {
        this.waiting.shift();
        this.waitingBytes -= first.length;
        this.sentOfFirst = 0;
      }
      this.touch();
      if (!this.events.onRead(off, part.length)) this.reading = false;
    }
  }

  /** Our FIN; with the guest's that is the end. */
  private sayEnd(): void {
    if (!this.ended) {
      this.ended = true;
      this.events.onEnd();
    }
    if (this.guestEnded && !this.isOver()) this.ending = { error: null };
  }

  private onIdle(): void {
    if (this.underWay.size > 0) this.touch();
    else if (this.ended || !this.isDone()) this.close('timed-out');
    else {
      this.touch();
      this.sayEnd();
    }
  }

  private touch(): void {
    const at: Ms = this.env.turn.now + IDLE_MS;
    this.env.timers.arm(this.idle, at);
  }

  private endWith(error: HostError | null): void {
    if (this.isOver()) return;
    this.ending = { error };
    this.abandon();
    this.schedule();
  }

  private abandon(): void {
    this.env.timers.disarm(this.idle);
    for (const exchange of this.underWay) exchange.cancel();
    this.underWay.clear();
    this.waiting.length = 0;
    this.waitingBytes = 0;
    this.input.len = 0;
  }

  private close(error: HostError | null): void {
    if (this.closed) return;
    this.closed = true;
    this.abandon();
    this.env.closed(this);
    this.events.onClose(error);
  }
}
