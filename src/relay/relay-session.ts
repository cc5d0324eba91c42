// One client of a relay's server: the handshake, and packets to the streams that they are for.
//
// Who offers the subprotocol of version 2, or has to show a password, gets INFO first and answers with its own; who then
// begins to speak otherwise, or says nothing for 5 s, is taken for version 1, or refused where a password is wanted. Anybody
// else is version 1. CONTINUE for stream 0 tells either that it can begin.
//
// The client is hostile. What it sends is bounded by what a stream buffers in packets and all of them in bytes; what it is
// sent, because nothing is read from hosts while it takes nothing, and answers to it that pile up all the same end it.

import { Timer } from '../base/timers.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { viewOf } from '../wire/bytes.ts';
import { saysCredentials } from './credentials.ts';
import { duplexCredit, duplexOffer } from './duplex.ts';
import { type MessageEvents, type MessageSocket, SEND_HIGH } from './message-socket.ts';
import type { SessionEnv, SessionStream, StreamOwner } from './session-stream.ts';
import { TcpSessionStream } from './session-tcp.ts';
import { UdpSessionStream } from './session-udp.ts';
import * as wisp from './wisp.ts';
import { CloseReason, ExtensionId, PacketType } from './wisp.ts';

/** Bytes that wait to be sent with which a client is given up: it makes us answer and takes no answers. */
const STUCK = 16 * SEND_HIGH;
/** What a packet that waits costs besides its bytes. */
const PACKET_COST = 512;
/** Streams that a client may ask for, a second and at once. */
const CONNECTS_PER_SECOND = 256;
const CONNECT_BURST = 1024;
const NO_PAYLOAD = new Uint8Array(0);

export class RelaySession implements MessageEvents, StreamOwner {
  readonly env: SessionEnv;
  confirmsOpen = false;
  clientPackets = 0;
  /** Of the protocol; 0 before it is known. */
  version: 0 | 1 | 2 = 0;
  private readonly socket: MessageSocket;
  private readonly onOver: (session: RelaySession) => void;
  private readonly streams = new Map<number, SessionStream>();
  /** Ones that the client has done with, and we have not. */
  private readonly draining = new Set<SessionStream>();
  private pending = 0;
  /** Names that are being looked up, also for streams that have ended since. */
  private lookups = 0;
  private waiting = 0;
  private mayUdp: boolean;
  private readonly connects: TokenBucket;
  private isFull = false;
  private ended = false;
  private readonly timer = new Timer(() => this.onSilence());

  /** `socket` is open, and nobody listens to it yet. `onOver` is called once, when it is closed. */
  constructor(socket: MessageSocket, env: SessionEnv, onOver: (session: RelaySession) => void) {
    this.socket = socket;
    this.env = env;
    this.onOver = onOver;
    this.mayUdp = env.rules.udp;
    this.connects = new TokenBucket(CONNECTS_PER_SECOND, CONNECT_BURST, env.timers.clock.now());
    env.counters.clients++;
    socket.listen(this);
    if (socket.protocol === wisp.SUBPROTOCOL || env.rules.credentials !== null) this.introduce();
    else this.begin(1);
  }

  /** Its socket may be closing still. */
  get isOver(): boolean {
    return this.ended;
  }

  get openStreams(): number {
    return this.streams.size + this.draining.size;
  }

  /** Ends it: every stream is reset. `code` is one of RFC 6455 7.4. */
  close(code = 1001, reason = 'the relay is closing'): void {
    this.end();
    this.socket.close(code, reason);
  }

  // What the socket says.

  onOpen(): void {}

  onMessage(bytes: Uint8Array): void {
    if (this.ended) return;
    const v = viewOf(bytes);
    const bad = wisp.check(v);
    if (bad === 'unknown-type') this.env.counters.strayPackets++;
    else if (bad !== null) this.malformed(bad);
    else if (this.version === 0) this.greet(v, bytes);
    else this.route(v, bytes);
  }

  onText(): void {
    if (!this.ended) this.malformed('text');
  }

  onDrain(): void {
    this.isFull = false;
    for (const stream of [...this.streams.values()]) stream.clientDrained();
  }

  onClose(): void {
    this.end();
    this.onOver(this);
  }

  // What its streams ask for.

  get canSend(): boolean {
    return !this.isFull;
  }

  say(packet: Uint8Array): void {
    if (this.ended) return;
    this.socket.send(packet);
    const { bufferedAmount } = this.socket;
    if (bufferedAmount + PACKET_COST * this.socket.waiting > STUCK) {
      this.env.counters.stuck++;
      this.close(1008, 'takes nothing of what it is sent');
    } else if (bufferedAmount > SEND_HIGH && !this.isFull) {
      this.isFull = true;
      for (const stream of this.streams.values()) stream.clientFull();
    }
  }

  addWaiting(bytes: number): void {
    this.waiting += bytes;
    const { limits } = this.env.rules;
    if (bytes <= 0 || this.waiting <= limits.waitingBytes) return;
    this.env.counters.overruns++;
    const all = [...this.streams.values(), ...this.draining];
    all.reduce((most, one) => (one.waiting > most.waiting ? one : most)).fail(CloseReason.Throttled);
  }

  looking(by: 1 | -1): void {
    this.lookups += by;
  }

  settled(): void {
    this.pending--;
  }

  forget(stream: SessionStream): void {
    // Its id may be another's by now.
    if (this.streams.get(stream.id) !== stream) return;
    this.streams.delete(stream.id);
    this.draining.add(stream);
  }

  over(stream: SessionStream): void {
    this.draining.delete(stream);
    if (this.streams.get(stream.id) === stream) this.streams.delete(stream.id);
  }

  // The handshake.

  private introduce(): void {
    const { timers, rules } = this.env;
    const offers: wisp.Extension[] = [
      { id: ExtensionId.StreamOpen, payload: NO_PAYLOAD },
      duplexOffer(rules.limits.packets),
    ];
    if (rules.udp) offers.push({ id: ExtensionId.Udp, payload: NO_PAYLOAD });
    // 1: it is required. Drafts without that byte mean the same by its being there.
    if (rules.credentials !== null) offers.push({ id: ExtensionId.Password, payload: Uint8Array.of(1) });
    this.say(wisp.info(offers));
    timers.arm(this.timer, timers.clock.now() + rules.limits.handshakeMs);
  }

  private begin(version: 1 | 2): void {
    this.env.timers.disarm(this.timer);
    this.version = version;
    if (version === 2) this.env.counters.version2++;
    this.say(wisp.continuation(0, this.env.rules.limits.packets));
  }

  /** The first packet: INFO, or somebody who does not know it. */
  private greet(v: DataView, bytes: Uint8Array): void {
    if (wisp.type(v) === PacketType.Info) this.takeInfo(v, bytes);
    else if (this.env.rules.credentials !== null) this.refuse(CloseReason.NoCredentials);
    else {
      this.begin(1);
      this.route(v, bytes);
    }
  }

  private onSilence(): void {
    if (this.env.rules.credentials !== null) this.refuse(CloseReason.NoCredentials);
    else this.begin(1);
  }

  private takeInfo(v: DataView, bytes: Uint8Array): void {
    const offered = wisp.extensions(bytes);
    if (offered === null) {
      this.malformed('extensions');
      return;
    }
    const reason = wisp.majorVersion(v) < 2 ? CloseReason.IncompatibleExtensions : this.judge(offered);
    if (reason !== null) {
      this.refuse(reason);
      return;
    }
    const has = (id: number): boolean => offered.some((one) => one.id === id);
    this.mayUdp = this.env.rules.udp && has(ExtensionId.Udp);
    this.confirmsOpen = has(ExtensionId.StreamOpen);
    this.clientPackets = duplexCredit(offered);
    this.begin(2);
  }

  /** Why it may not come in, or null. */
  private judge(offered: readonly wisp.Extension[]): number | null {
    const { credentials } = this.env.rules;
    if (credentials === null) return null;
    const said = offered.find(({ id }) => id === ExtensionId.Password);
    if (said === undefined) return CloseReason.NoCredentials;
    return saysCredentials(said.payload, credentials) ? null : CloseReason.BadCredentials;
  }

  private refuse(reason: number): void {
    const { counters } = this.env;
    if (reason === CloseReason.BadCredentials) counters.badCredentials++;
    if (reason === CloseReason.NoCredentials) counters.noCredentials++;
    this.say(wisp.close(0, reason));
    this.close(1008, 'the handshake has failed');
  }

  // Packets.

  private route(v: DataView, bytes: Uint8Array): void {
    const id = wisp.streamId(v);
    const stream = this.streams.get(id);
    switch (wisp.type(v)) {
      case PacketType.Connect:
        if (stream === undefined) this.connect(v, id);
        else this.malformed('a stream that is there');
        return;
      case PacketType.Data:
        if (stream === undefined) this.env.counters.strayPackets++;
        else stream.take(bytes.subarray(wisp.HEADER_LEN));
        return;
      case PacketType.Continue:
        // Plain wisp has none from a client.
        if (stream === undefined || this.clientPackets === 0) this.env.counters.strayPackets++;
        else stream.grant(wisp.bufferRemaining(v));
        return;
      case PacketType.Close:
        if (id === 0) this.close(1000, 'the client has closed it');
        else if (stream === undefined) this.env.counters.strayPackets++;
        else {
          this.forget(stream);
          stream.clientClosed();
        }
        return;
      default:
        this.env.counters.strayPackets++;
    }
  }

  private connect(v: DataView, id: number): void {
    const { counters, rules, timers } = this.env;
    counters.streams++;
    const target = wisp.connectTarget(v);
    if (target === null || (target.kind === 'udp' && !this.mayUdp)) {
      counters.invalid++;
      this.say(wisp.close(id, target === null ? CloseReason.InvalidInfo : CloseReason.Blocked));
    } else if (
      this.openStreams >= rules.limits.streams ||
      Math.max(this.pending, this.lookups) >= rules.limits.pending ||
      !this.connects.take(timers.clock.now())
    ) {
      counters.throttled++;
      this.say(wisp.close(id, CloseReason.Throttled));
    } else {
      const Kind = target.kind === 'tcp' ? TcpSessionStream : UdpSessionStream;
      const stream = new Kind(this, id, target);
      this.streams.set(id, stream);
      this.pending++;
      stream.begin();
    }
  }

  private malformed(what: string): void {
    this.env.counters.malformed++;
    this.close(1002, `no packet of wisp: ${what}`);
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    this.env.timers.disarm(this.timer);
    for (const stream of [...this.streams.values(), ...this.draining]) stream.abandon();
  }
}
