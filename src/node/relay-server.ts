// A relay for engines in browsers: an HTTP server whose WebSockets speak wisp (relay/relay-session.ts), with Node's sockets
// behind them. Whoever is let in can connect from this computer, so it binds 127.0.0.1, asks for what websocket-guard.ts
// says, and reaches by default nothing but public addresses.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import { HostJudge } from '../base/ranges.ts';
import { Timers } from '../base/timers.ts';
import { Turn } from '../base/turn.ts';
import { type Credentials, credentialsProblem } from '../relay/credentials.ts';
import type { RelayOutside } from '../relay/relay-outside.ts';
import { DEFAULT_LIMITS, type Judge, RelayCounters, type RelayLimits } from '../relay/relay-rules.ts';
import { RelaySession } from '../relay/relay-session.ts';
import type { SessionEnv } from '../relay/session-stream.ts';
import { SUBPROTOCOL } from '../relay/wisp.ts';
import { NodeClock } from './clock.ts';
import { NodeOutside } from './relay-outside.ts';
import { WsMessageSocket } from './relay-socket.ts';
import { checkDoor, newToken, refusalOf, type UpgradeRules } from './websocket-guard.ts';
import { answerRefusal, listenAt, upgraderFor } from './websocket-http.ts';
import { hintOf, Refusals } from './websocket-refusals.ts';
import { bracketed, checkDeny, DENIED_TO_PAGES, shownHost } from './websocket-spec.ts';

const DEFAULT_CLIENTS = 64;
/** Connections that are no WebSocket yet, and as many that have not shown their password. */
const MAX_HANDSHAKES = 64;
const HANDSHAKE_MS = 10_000;
const CHECK_MS = 1000;
const KEEPALIVE_MS = 30_000;
/** A packet of 128 KiB and its header: more than clients send, and bounded. */
const MAX_MESSAGE = 131_072 + 5;

/** Who may come in, what they reach, and how much of it. */
export interface RelayOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0, the default: one that is free. */
  readonly port?: number;
  /** Begins and ends with a slash. Default `/`. */
  readonly path?: string;
  /** As of a WebSocket link. Default: a random one where no `credentials` are asked for, else none. null: none is needed. */
  readonly token?: string | null;
  /** Asked of every client, by the protocol's password extension; then version 1 is refused. */
  readonly credentials?: Credentials;
  /** Of pages that may connect, as of a WebSocket link. Default: pages of this computer's own servers, with the token. */
  readonly origins?: readonly string[];
  /** Names that Host may have besides localhost and addresses. */
  readonly hosts?: readonly string[];
  /** Default false: TCP alone. */
  readonly udp?: boolean;
  /** May clients connect to this computer's loopback, an engine's 10.0.2.2? Default false. */
  readonly hostLoopback?: boolean;
  /** As in a network's configuration. Default DENIED_TO_PAGES. */
  readonly deny?: readonly string[];
  /** Asked instead of `hostLoopback` and `deny`. */
  readonly judge?: Judge;
  /** Clients at the same time. Default 64. */
  readonly clients?: number;
  readonly limits?: Partial<RelayLimits>;
  /** Default: Node's sockets. */
  readonly outside?: RelayOutside;
  /** Somebody was turned away: one line, at most once a minute for each reason. */
  readonly onRefused?: (message: string) => void;
}

/** What became of its clients and their streams, from the start. */
export interface RelayStats extends Readonly<Omit<RelayCounters, never>> {
  /** There now. */
  readonly openClients: number;
  readonly openStreams: number;
  /** Requests that did not become a WebSocket, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

/** A relay that is open. */
export interface Relay {
  /** What a client is given, the token in it: `ws://127.0.0.1:5001/TOKEN/`. */
  readonly url: string;
  readonly port: number;
  /** Made for the call. */
  stats(): RelayStats;
  /** Resets every stream. Resolves when nothing of it is left. Idempotent. */
  close(): Promise<void>;
}

/** Rejects with an Error that names the option that is wrong, or the address that cannot be bound. */
export async function openRelay(options: RelayOptions = {}): Promise<Relay> {
  const { credentials, path = '/', clients = DEFAULT_CLIENTS } = options;
  const problem = credentials === undefined ? null : credentialsProblem(credentials);
  if (problem !== null) throw new RangeError(`credentials: ${problem}`);
  if (!/^\/(.*\/)?$/.test(path)) throw new RangeError(`path: '${path}' does not begin and end with a slash`);
  if (!Number.isInteger(clients) || clients < 1) throw new RangeError('clients= is no number of clients');
  for (const [name, limit] of Object.entries(options.limits ?? {}))
    if (!(limit >= 1 && limit <= Number.MAX_SAFE_INTEGER))
      throw new RangeError(`limits.${name}= is no number from 1 on`);
  const relay = new RelayServer(options);
  await relay.listen();
  return relay;
}

function judgeOf({ hostLoopback = false, deny = DENIED_TO_PAGES }: RelayOptions): Judge {
  const judge = new HostJudge({ deny: checkDeny(deny), hostLoopback, linkLocal: false });
  return (addr) => judge.allows(addr);
}

class RelayServer implements Relay {
  port = 0;
  private readonly host: string;
  private readonly options: RelayOptions;
  private readonly rules: UpgradeRules;
  private readonly server: Server;
  private readonly upgrader: WebSocketServer;
  private readonly counters = new RelayCounters();
  private readonly env: SessionEnv;
  private readonly sessions = new Set<RelaySession>();
  private readonly refusals: Refusals;
  private closing: Promise<void> | null = null;
  private sessionsGone: () => void = () => {};

  constructor(options: RelayOptions) {
    const { host = '127.0.0.1', path = '/', credentials = null, hosts = [] } = options;
    const { token = credentials === null ? newToken() : null, onRefused = () => {} } = options;
    const { udp = false, judge = judgeOf(options), limits, outside = new NodeOutside() } = options;
    const origins = checkDoor({ ...options, token }, token === null && credentials === null);
    this.options = options;
    this.host = host;
    this.rules = { path, token, origins, hosts: [...hosts, host] };
    this.refusals = new Refusals((what) => onRefused(`relay ${bracketed(host)}:${this.port}: ${what}`));
    const clock = new NodeClock();
    this.env = {
      ...{ outside, counters: this.counters, timers: new Timers(clock, new Turn(clock)) },
      rules: { judge, udp, credentials, limits: { ...DEFAULT_LIMITS, ...limits } },
    };
    this.upgrader = upgraderFor({ maxPayload: MAX_MESSAGE }, SUBPROTOCOL);
    this.server = createServer({
      ...{ noDelay: true, headersTimeout: HANDSHAKE_MS, requestTimeout: HANDSHAKE_MS },
      connectionsCheckingInterval: CHECK_MS,
    });
    this.server.maxConnections = this.mostClients + 2 * MAX_HANDSHAKES;
    this.server.on('drop', () => this.refusals.count('too many connections'));
    this.server.on('request', ({ socket }) => this.refuse(socket, 426, 'this is for WebSockets only'));
    this.server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
    this.server.on('clientError', (_, socket) => this.refuse(socket, 400, 'what came is not HTTP'));
    this.upgrader.on('wsClientError', ({ message }, socket) => this.refuse(socket, 400, message));
  }

  get url(): string {
    const { path, token } = this.rules;
    return `ws://${shownHost(this.host)}:${this.port}${path}${token === null ? '' : `${token}/`}`;
  }

  async listen(): Promise<void> {
    const { port = 0 } = this.options;
    this.port = await listenAt(this.server, this.host, port, `relay ${bracketed(this.host)}:${port}`);
  }

  stats(): RelayStats {
    let openStreams = 0;
    for (const session of this.sessions) openStreams += session.openStreams;
    return {
      ...this.counters,
      openClients: this.sessions.size,
      openStreams,
      refused: this.refusals.counts(),
    };
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    for (const session of this.sessions) session.close();
    if (this.sessions.size > 0) {
      await new Promise<void>((resolve) => {
        this.sessionsGone = resolve;
      });
    }
    await closed;
    this.env.timers.clear();
  }

  private get mostClients(): number {
    return this.options.clients ?? DEFAULT_CLIENTS;
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const refusal = refusalOf(request, this.rules);
    if (refusal !== null) this.refuse(socket, refusal.status, refusal.reason, hintOf(request));
    else if (this.closing !== null || !this.hasRoom()) this.refuse(socket, 503, 'it takes no more clients');
    else this.upgrader.handleUpgrade(request, socket, head, (ws) => this.accept(ws, request));
  }

  /** Who has not shown a password yet takes no client's place: of these the first goes where there are too many. */
  private hasRoom(): boolean {
    const all = [...this.sessions].filter(({ isOver }) => !isOver);
    const greeting = all.filter(({ version }) => version === 0);
    if (all.length - greeting.length >= this.mostClients) return false;
    if (greeting.length >= MAX_HANDSHAKES) greeting[0]!.close(1013, 'too many have not said who they are');
    return true;
  }

  private accept(ws: WebSocket, request: IncomingMessage): void {
    request.socket.setKeepAlive(true, KEEPALIVE_MS);
    const session = new RelaySession(new WsMessageSocket(ws), this.env, () => {
      this.sessions.delete(session);
      if (this.sessions.size === 0) this.sessionsGone();
    });
    this.sessions.add(session);
  }

  private refuse(socket: Duplex, status: number, reason: string, hint = ''): void {
    this.refusals.count(reason, hint);
    answerRefusal(socket, status, reason);
  }
}
