// WebSockets of memory for relays: what one end sends is an event at the other, when the clock runs what comes soon. An end
// can be clogged: what it sends then stays in it.

import type { Clock } from '../../src/base/clock.ts';
import type { Dial, MessageEvents, MessageSocket } from '../../src/relay/message-socket.ts';
import { SEND_LOW } from '../../src/relay/message-socket.ts';

export class MemorySocket implements MessageSocket {
  protocol = '';
  /** Messages that the other end has sent and nobody listens for: for tests that are one of the ends. */
  readonly received: Uint8Array[] = [];
  /** What it was closed with, by either end. */
  closedWith: number | null = null;
  other: MemorySocket | null = null;
  private readonly clock: Clock;
  private events: MessageEvents | null = null;
  private clogged = false;
  private stuck: Uint8Array[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  listen(events: MessageEvents): void {
    this.events = events;
  }

  get bufferedAmount(): number {
    return this.stuck.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  get waiting(): number {
    return this.stuck.length;
  }

  send(bytes: Uint8Array): void {
    if (this.closedWith !== null) return;
    if (this.clogged) this.stuck.push(bytes);
    else this.pass(bytes);
  }

  text(): void {
    this.clock.soon(() => this.other?.events?.onText());
  }

  close(code: number, reason: string): void {
    if (this.closedWith !== null) return;
    this.closedWith = code;
    const { other } = this;
    this.clock.soon(() => this.events?.onClose(code, reason));
    this.clock.soon(() => other?.closedByOther(code, reason));
  }

  /** The network takes nothing from this end. */
  clog(): void {
    this.clogged = true;
  }

  /** It does again. */
  unclog(): void {
    const { stuck } = this;
    const wasLoud = this.bufferedAmount > SEND_LOW;
    this.clogged = false;
    this.stuck = [];
    for (const bytes of stuck) this.pass(bytes);
    if (wasLoud) this.clock.soon(() => this.events?.onDrain());
  }

  opened(protocol: string): void {
    this.protocol = protocol;
    this.events?.onOpen();
  }

  failed(code: number): void {
    this.closedWith = code;
    this.events?.onClose(code, '');
  }

  private closedByOther(code: number, reason: string): void {
    if (this.closedWith !== null) return;
    this.closedWith = code;
    this.events?.onClose(code, reason);
  }

  private pass(bytes: Uint8Array): void {
    const { other } = this;
    this.clock.soon(() => {
      if (other === null || other.closedWith !== null) return;
      other.received.push(bytes);
      other.events?.onMessage(bytes);
    });
  }
}

/** Two ends that are open. */
export function socketPair(clock: Clock, protocol = ''): [MemorySocket, MemorySocket] {
  const pair = [new MemorySocket(clock), new MemorySocket(clock)] as [MemorySocket, MemorySocket];
  pair[0].other = pair[1];
  pair[1].other = pair[0];
  for (const socket of pair) socket.protocol = protocol;
  return pair;
}

/** A server's side that is dialled. */
export class MemoryListener {
  /** What each dial has offered. */
  readonly dials: (readonly string[])[] = [];
  /** Subprotocols that it chooses. One that it does not know fails, as browsers have it. */
  knows: readonly string[] = ['wisp-v2'];
  isUp = true;
  /** Gets the server's end. */
  onSocket: (socket: MemorySocket) => void = () => {};
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  readonly dial: Dial = (protocols) => {
    this.dials.push(protocols);
    const [client, server] = socketPair(this.clock);
    this.clock.soon(() => {
      const chosen = protocols.find((name) => this.knows.includes(name)) ?? '';
      if (!this.isUp || (protocols.length > 0 && chosen === '')) {
        client.failed(1006);
        return;
      }
      server.protocol = chosen;
      client.opened(chosen);
      this.onSocket(server);
    });
    return client;
  };
}
