// The outside of a relay's server, played by hand, and a session over it that a test is the client of.

import { type Endpoint, formatEndpoint, type IpAddr, parseIp } from '../../src/base/addr.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import type { HostError } from '../../src/host/host-network.ts';
import type {
  OutsideDatagrams,
  OutsideEvents,
  OutsideStream,
  RelayOutside,
} from '../../src/relay/relay-outside.ts';
import {
  DEFAULT_LIMITS,
  RelayCounters,
  type RelayLimits,
  type RelayRules,
} from '../../src/relay/relay-rules.ts';
import { RelaySession } from '../../src/relay/relay-session.ts';
import * as wisp from '../../src/relay/wisp.ts';
import { viewOf } from '../../src/wire/bytes.ts';
import { type MemorySocket, socketPair } from './relay-sockets.ts';

export function addr(text: string): IpAddr {
  return parseIp(text)!;
}

export class PlayedConnection implements OutsideStream, OutsideDatagrams {
  readonly to: string;
  readonly events: OutsideEvents;
  readonly chunks: Uint8Array[] = [];
  /** write() says that it takes no more. */
  full = false;
  paused = false;
  /** `end`, `reset`, `close`: what was called. */
  readonly calls: string[] = [];

  constructor(to: Endpoint, events: OutsideEvents) {
    this.to = formatEndpoint(to);
    this.events = events;
  }

  write(bytes: Uint8Array): boolean {
    this.chunks.push(bytes);
    return !this.full;
  }

  end(): void {
    this.calls.push('end');
  }

  reset(): void {
    this.calls.push('reset');
  }

  close(): void {
    this.calls.push('close');
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  get text(): string {
    return this.chunks.map((chunk) => Buffer.from(chunk).toString('latin1')).join('');
  }

  open(): this {
    this.events.onOpen();
    return this;
  }

  gives(text: string | Uint8Array): this {
    this.events.onData(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
    return this;
  }

  /** It takes more again. */
  drains(): void {
    this.full = false;
    this.events.onWritable();
  }

  closes(error: HostError | null): void {
    this.events.onClose(error);
  }
}

export class PlayedOutside implements RelayOutside {
  /** Answers to the lookups of a name, in order; the last one again and again. */
  readonly names = new Map<string, string[][]>();
  readonly lookups: string[] = [];
  readonly tcp: PlayedConnection[] = [];
  readonly udp: PlayedConnection[] = [];
  /** Called for each TCP connection, soon. */
  onConnect: (connection: PlayedConnection) => void = () => {};

  resolve(name: string): Promise<readonly IpAddr[]> {
    this.lookups.push(name);
    const answers = this.names.get(name);
    if (answers === undefined) return Promise.reject(new Error('no such name'));
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
    return Promise.resolve(answer.map(addr));
  }

  connectTcp(to: Endpoint, events: OutsideEvents): PlayedConnection {
    const connection = new PlayedConnection(to, events);
    this.tcp.push(connection);
    this.onConnect(connection);
    return connection;
  }

  connectUdp(to: Endpoint, events: OutsideEvents): PlayedConnection {
    const connection = new PlayedConnection(to, events);
    this.udp.push(connection);
    return connection;
  }
}

/** A packet in words: `DATA 1 abc`, `CLOSE 1 44`. */
export function describePacket(bytes: Uint8Array): string {
  const v = viewOf(bytes);
  const bad = wisp.check(v);
  if (bad !== null) return `bad: ${bad}`;
  const id = wisp.streamId(v);
  const payload = Buffer.from(bytes.subarray(wisp.HEADER_LEN));
  switch (wisp.type(v)) {
    case wisp.PacketType.Connect: {
      const target = wisp.connectTarget(v);
      return `CONNECT ${id} ${target?.kind} ${target?.hostname} ${target?.port}`;
    }
    case wisp.PacketType.Data:
      return `DATA ${id} ${payload.length > 40 ? payload.length : payload.toString('latin1')}`;
    case wisp.PacketType.Continue:
      return `CONTINUE ${id} ${wisp.bufferRemaining(v)}`;
    case wisp.PacketType.Close:
      return `CLOSE ${id} ${wisp.closeReason(v).toString(16)}`;
    default:
      return `INFO ${wisp.majorVersion(v)} [${(wisp.extensions(bytes) ?? []).map((one) => one.id.toString(16))}]`;
  }
}

export interface SessionOptions extends Partial<Omit<RelayRules, 'limits'>> {
  readonly limits?: Partial<RelayLimits>;
  /** Default: version 2. */
  readonly protocol?: string;
}

/** A session whose client is the test. */
export class SessionBench {
  readonly clock = new ManualClock();
  readonly outside = new PlayedOutside();
  readonly counters = new RelayCounters();
  readonly timers: Timers;
  readonly session: RelaySession;
  readonly client: MemorySocket;
  readonly server: MemorySocket;
  over = 0;
  private seen = 0;

  constructor(options: SessionOptions = {}) {
    const { limits, protocol = wisp.SUBPROTOCOL, ...rest } = options;
    const rules: RelayRules = {
      ...{ judge: () => true, udp: true, credentials: null },
      ...rest,
      limits: { ...DEFAULT_LIMITS, ...limits },
    };
    this.timers = new Timers(this.clock, new Turn(this.clock));
    const { outside, counters, timers } = this;
    [this.client, this.server] = socketPair(this.clock, protocol);
    this.session = new RelaySession(this.server, { outside, rules, counters, timers }, () => this.over++);
  }

  /** With a client that has shaken hands, as version 2 with these extensions. */
  static greeted(extensions: readonly wisp.Extension[] = [], options: SessionOptions = {}): SessionBench {
    const bench = new SessionBench(options);
    bench.says(wisp.info(extensions));
    bench.news();
    return bench;
  }

  says(...packets: readonly Uint8Array[]): void {
    for (const packet of packets) this.client.send(packet);
    this.clock.runSoon();
  }

  connects(id: number, hostname: string, port = 80, kind: 'tcp' | 'udp' = 'tcp'): void {
    this.says(wisp.connect(id, { kind, port, hostname }));
  }

  sends(id: number, text: string): void {
    this.says(wisp.data(id, Buffer.from(text, 'latin1')));
  }

  /** What has come since the last call, in words. */
  news(): string[] {
    this.clock.runSoon();
    const all = this.client.received.slice(this.seen);
    this.seen = this.client.received.length;
    return all.map(describePacket);
  }

  /** Once what was promised is there, as the addresses of a name. */
  async settles(): Promise<string[]> {
    for (let i = 0; i < 4; i++) await Promise.resolve();
    return this.news();
  }
}
