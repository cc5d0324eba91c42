// The client's connection to its relay: dials, shakes hands, hands packets on, and dials again when it is lost.
//
// It offers version 2 by subprotocol. A browser fails the whole connection where a server does not choose it, without
// saying why, so a dial that never opened is followed at once by one without, and only when that fails too by a pause.
// What comes first decides: INFO is version 2, and is answered; CONTINUE for stream 0 says that streams can begin, and
// where no INFO came before, in version 1. INFO behind it, as an early draft has it, makes it version 2 still.

import type { Ms } from '../base/clock.ts';
import { Timer, type Timers } from '../base/timers.ts';
import { viewOf } from '../wire/bytes.ts';
import { type Credentials, credentialsExtension } from './credentials.ts';
import { duplexCredit, duplexOffer } from './duplex.ts';
import { type Dial, type MessageEvents, type MessageSocket, SEND_HIGH } from './message-socket.ts';
import * as wisp from './wisp.ts';
import { CloseReason, ExtensionId, PacketType } from './wisp.ts';

/** From the dial to the server's CONTINUE. */
const GREETING_MS: Ms = 10_000;
const CLOSING_MS: Ms = 1000;
const MAX_PAUSE_MS: Ms = 30_000;
const NO_PAYLOAD = new Uint8Array(0);

/** Answers that dialling again will not change. */
const FINAL: ReadonlySet<number> = new Set([
  ...[CloseReason.IncompatibleExtensions, CloseReason.BadCredentials],
  ...[CloseReason.BadSignature, CloseReason.NoCredentials],
]);

export interface LinkOptions {
  readonly dial: Dial;
  readonly timers: Timers;
  /** 1: version 2 is not offered. */
  readonly version: 1 | 2;
  readonly credentials: Credentials | null;
  /** The first pause before it is dialled again; each is twice the last. null: never. */
  readonly reconnectMs: Ms | null;
  /** Packets of a stream that we buffer, for servers that count. */
  readonly packets: number;
}

/** All of it comes from the socket or a timer, not from inside a call. */
export interface LinkEvents {
  /** Streams can begin. */
  onReady(): void;
  /** A packet of a stream, checked; `bytes` are given. */
  onPacket(v: DataView, bytes: Uint8Array): void;
  /** canSend is true again. */
  onDrain(): void;
  /** No stream is left. `why` is for humans. */
  onLost(why: string): void;
}

/** `resting`: waits to dial again. `refused`: the server does not want us. `over`: close(), or no second dial. */
export type LinkState = 'idle' | 'dialling' | 'ready' | 'resting' | 'refused' | 'over';

export class RelayLink implements MessageEvents {
  state: LinkState = 'idle';
  /** Of the protocol, on the connection that stands. */
  version: 1 | 2 = 1;
  mayUdp = false;
  confirmsOpen = false;
  /** The server counts what it sends, and streams end by direction. */
  isDuplex = false;
  /** Packets of a new stream that the server buffers. */
  initialCredit = 0;
  /** Messages that were no packets, or said nothing that can be. */
  badPackets = 0;
  private readonly options: LinkOptions;
  private readonly events: LinkEvents;
  private readonly timer = new Timer(() => this.onTimer());
  private socket: MessageSocket | null = null;
  private opened = false;
  private greeted = false;
  /** The next dial goes without a subprotocol. */
  private plain: boolean;
  private pauseMs: Ms;
  private closing: (() => void) | null = null;

  constructor(options: LinkOptions, events: LinkEvents) {
    this.options = options;
    this.events = events;
    this.plain = options.version === 1;
    this.pauseMs = options.reconnectMs ?? 0;
  }

  dial(): void {
    this.state = 'dialling';
    this.opened = false;
    this.greeted = false;
    this.version = 1;
    this.mayUdp = false;
    this.confirmsOpen = false;
    this.isDuplex = false;
    this.armIn(GREETING_MS);
    try {
      this.socket = this.options.dial(this.plain ? [] : [wisp.SUBPROTOCOL]);
      this.socket.listen(this);
    } catch (error) {
      this.failed(error);
    }
  }

  /** A dial that throws, which none should, has not opened. It is told later, as whatever else it might say. */
  private failed(error: unknown): void {
    const { timers, reconnectMs } = this.options;
    this.socket = null;
    this.rest(reconnectMs);
    timers.clock.soon(() => this.events.onLost(`the relay cannot be dialled: ${error}`));
  }

  get canSend(): boolean {
    return this.state === 'ready' && this.socket !== null && this.socket.bufferedAmount < SEND_HIGH;
  }

  /** Sends a packet, whatever waits already; lost where there is no connection. */
  say(packet: Uint8Array): void {
    if (this.state === 'ready') this.socket?.send(packet);
  }

  /** Ends it for good. Resolves when the socket is closed, or has had a second for that. */
  close(): Promise<void> {
    this.state = 'over';
    if (this.socket === null) {
      this.options.timers.disarm(this.timer);
      return Promise.resolve();
    }
    this.socket.close(1000, '');
    this.armIn(CLOSING_MS);
    return new Promise((resolve) => {
      this.closing = resolve;
    });
  }

  // What the socket says.

  onOpen(): void {
    this.opened = true;
  }

  onMessage(bytes: Uint8Array): void {
    if (this.state !== 'dialling' && this.state !== 'ready') return;
    const v = viewOf(bytes);
    const bad = wisp.check(v);
    if (bad !== null) this.badPackets++;
    // Some later version may have packets of other types.
    if (bad === 'unknown-type') return;
    if (bad !== null) this.giveUp(`the relay has sent what is no packet: ${bad}`);
    else if (wisp.streamId(v) === 0) this.takeOwn(v, bytes);
    else if (this.state === 'ready') this.events.onPacket(v, bytes);
  }

  onText(): void {
    if (this.state !== 'dialling' && this.state !== 'ready') return;
    this.badPackets++;
    this.giveUp('the relay has sent text');
  }

  onDrain(): void {
    if (this.canSend) this.events.onDrain();
  }

  onClose(code: number, reason: string): void {
    this.socket = null;
    this.options.timers.disarm(this.timer);
    this.closing?.();
    this.closing = null;
    if (this.state === 'dialling' || this.state === 'ready') this.lost(code, reason);
  }

  private lost(code: number, reason: string): void {
    const { version, reconnectMs } = this.options;
    const neverOpened = this.state === 'dialling' && !this.opened;
    const mayBePlain = neverOpened && version === 2 && !this.plain;
    this.plain = mayBePlain || version === 1;
    if (mayBePlain) {
      this.dial();
      return;
    }
    this.rest(reconnectMs);
    this.events.onLost(`the relay has closed the connection (${code}${reason && `: ${reason}`})`);
  }

  private rest(reconnectMs: Ms | null): void {
    if (reconnectMs === null) {
      this.state = 'over';
      return;
    }
    this.state = 'resting';
    this.armIn(this.pauseMs);
    this.pauseMs = Math.min(2 * this.pauseMs, MAX_PAUSE_MS);
  }

  private onTimer(): void {
    if (this.state === 'resting') this.dial();
    else if (this.state === 'dialling') this.giveUp('the relay does not answer');
    else this.onClose(1006, '');
  }

  /** A connection that is of no use: what its socket still says is for nobody. */
  private giveUp(why: string): void {
    const { socket } = this;
    if (socket === null) return;
    this.socket = null;
    socket.listen(NOBODY);
    socket.close(4000, why);
    this.rest(this.options.reconnectMs);
    this.events.onLost(why);
  }

  // Stream 0.

  private takeOwn(v: DataView, bytes: Uint8Array): void {
    switch (wisp.type(v)) {
      case PacketType.Info:
        this.takeInfo(v, bytes);
        return;
      case PacketType.Continue:
        this.initialCredit = wisp.bufferRemaining(v);
        if (this.state === 'dialling') this.begin();
        return;
      case PacketType.Close:
        this.refused(wisp.closeReason(v));
        return;
      default:
        this.badPackets++;
    }
  }

  private begin(): void {
    this.state = 'ready';
    this.pauseMs = this.options.reconnectMs ?? 0;
    this.options.timers.disarm(this.timer);
    this.events.onReady();
  }

  private takeInfo(v: DataView, bytes: Uint8Array): void {
    const offered = wisp.extensions(bytes);
    const isKnown = this.options.version === 2 && wisp.majorVersion(v) >= 2;
    if (offered === null || this.greeted || !isKnown) {
      this.badPackets++;
      return;
    }
    this.greeted = true;
    this.version = 2;
    const has = (id: number): boolean => offered.some((one) => one.id === id);
    this.mayUdp = has(ExtensionId.Udp);
    this.confirmsOpen = has(ExtensionId.StreamOpen);
    this.isDuplex = duplexCredit(offered) > 0;
    const { credentials, packets } = this.options;
    const answers: wisp.Extension[] = [
      { id: ExtensionId.Udp, payload: NO_PAYLOAD },
      { id: ExtensionId.StreamOpen, payload: NO_PAYLOAD },
    ];
    if (this.isDuplex) answers.push(duplexOffer(packets));
    if (credentials !== null && has(ExtensionId.Password)) answers.push(credentialsExtension(credentials));
    this.socket?.send(wisp.info(answers));
  }

  private refused(reason: number): void {
    const { socket } = this;
    if (socket === null) return;
    if (!FINAL.has(reason)) {
      this.giveUp(`the relay has closed the connection (0x${reason.toString(16)})`);
      return;
    }
    this.options.timers.disarm(this.timer);
    this.socket = null;
    this.state = 'refused';
    socket.listen(NOBODY);
    socket.close(1000, '');
    const isPassword = reason === CloseReason.BadCredentials || reason === CloseReason.NoCredentials;
    const why = isPassword ? 'the password is missing or wrong' : 'it does not agree to the protocol';
    this.events.onLost(`the relay refuses: ${why}`);
  }

  private armIn(ms: Ms): void {
    const { timers } = this.options;
    timers.arm(this.timer, timers.clock.now() + ms);
  }
}

const NOBODY: MessageEvents = {
  onOpen: () => {},
  onMessage: () => {},
  onText: () => {},
  onDrain: () => {},
  onClose: () => {},
};
