// Where guests on WebSockets come from: an HTTP server that turns requests into links. A page from anywhere can have its
// browser connect to 127.0.0.1, so nobody is let in who does not show what websocket-guard.ts asks for, and whoever is
// let in is a guest and nothing else: this server has no files and answers nothing else.
//
// Everything has a limit: connections that have not become a WebSocket, and the time that they may take for it; guests; the
// length of a message; what waits for a client that does not read (websocket-link.ts). Nothing is compressed. Each
// connection that is turned away is counted under its reason, and one line tells of it, at most once a minute for each.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import type { Link } from '../link/link.ts';
import { faultsOf } from './link-faults.ts';
import { LinkNames } from './qemu-port.ts';
import { newToken, refusalOf } from './websocket-guard.ts';
import { answerRefusal, listenAt, upgraderFor } from './websocket-http.ts';
import { WebSocketLink } from './websocket-link.ts';
import { hintOf, Refusals } from './websocket-refusals.ts';
import {
  bracketed,
  checkWebSocketSpec,
  DEFAULT_CLIENTS,
  type WebSocketFormat,
  type WebSocketLinkSpec,
  webSocketUrl,
} from './websocket-spec.ts';

/** Connections beyond the guests': those that have not said yet what they want, or are just being refused. */
const MAX_HANDSHAKES = 64;
const HANDSHAKE_MS = 10_000;
const MAX_HEADER_BYTES = 16384;
/** A client that is gone without a word is noticed after a few times as long. */
const KEEPALIVE_MS = 30_000;
const DEFAULT_MTU = 1500;
/** Ethernet header and VLAN tag. */
const HEADERS = 18;
/** The longest frame whose length has 16 bits. */
const MAX_FRAME = 0xffff;
/** A piece of a stream; with what a socket reads at a time it is less than a link's receive buffer has room for. */
const MAX_PIECE = 131072;
/** What Emscripten's sockets ask for: a stream of bytes. */
const STREAM_PROTOCOL = 'binary';

/** Who a guest is, beside its link. */
export interface WebSocketClient {
  /** `127.0.0.1:40312`. */
  readonly from: string;
  /** Of the page that it is in; null: it is no page, or does not say so. */
  readonly origin: string | null;
  readonly format: WebSocketFormat;
  /** Resolves when the connection is closed, whoever has closed it. */
  readonly gone: Promise<void>;
}

/** Gets each guest's link; to attach it to a network, or close it. When it throws, the client is turned away. */
export type OnWebSocketLink = (link: Link, client: WebSocketClient) => void;

/** What the port is told besides its spec. */
export interface WebSocketPortOptions {
  /** Bytes, 68 to 65521, as the network has it: a longer message ends its link. Default 1500. */
  readonly mtu?: number;
  /** How long a connection may take to become a WebSocket, in ms. Default 10000. */
  readonly handshakeMs?: number;
  /** Somebody was turned away: one line, at most once a minute for each reason. */
  readonly onRefused?: (message: string) => void;
}

/** A server that turns WebSockets into links. */
export interface WebSocketPort {
  /** What was asked for, with the port and the token that were chosen. */
  readonly spec: WebSocketLinkSpec & { readonly token: string | null };
  /** What a client is given, the token in it: `ws://127.0.0.1:8086/?token=...`. */
  readonly url: string;
  /** How many connections were turned away, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Takes no more guests; those that are there stay. Resolves when the listening socket is gone. */
  close(): Promise<void>;
}

/** Listens as `spec` says. Rejects with one line that names the place, or the option that is wrong. */
export async function openWebSocketPort(
  spec: WebSocketLinkSpec,
  onLink: OnWebSocketLink,
  names: LinkNames = new LinkNames(),
  options: WebSocketPortOptions = {},
): Promise<WebSocketPort> {
  const checked = checkWebSocketSpec(spec);
  const { token = newToken() } = checked;
  const door = new Door({ ...checked, token }, onLink, names, options);
  await door.listen();
  return door;
}

class Door implements WebSocketPort {
  spec: WebSocketPort['spec'];
  private readonly onLink: OnWebSocketLink;
  private readonly names: LinkNames;
  private readonly withFaults: (link: Link) => Link;
  private readonly maxFrame: number;
  private readonly handshakeMs: number;
  private readonly refusals: Refusals;
  private readonly server: Server;
  private readonly upgraders: Readonly<Record<WebSocketFormat, WebSocketServer>>;
  private readonly guests = new Set<WebSocketLink>();
  /** Connections that are no WebSocket yet, with the time that they have. */
  private readonly waiting = new Map<Socket, NodeJS.Timeout>();

  constructor(
    spec: WebSocketPort['spec'],
    onLink: OnWebSocketLink,
    names: LinkNames,
    { mtu = DEFAULT_MTU, handshakeMs = HANDSHAKE_MS, onRefused = () => {} }: WebSocketPortOptions,
  ) {
    this.spec = spec;
    this.onLink = onLink;
    this.names = names;
    this.withFaults = faultsOf(spec);
    this.maxFrame = Math.min(mtu + HEADERS, MAX_FRAME);
    this.handshakeMs = handshakeMs;
    this.refusals = new Refusals((what) => onRefused(`ws:${this.place}: ${what}`));
    this.upgraders = { frame: streamUpgrader(this.maxFrame), 'length-prefixed': streamUpgrader(MAX_PIECE) };
    this.server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, noDelay: true });
    this.server.maxConnections = this.most + MAX_HANDSHAKES;
    this.server.on('connection', (socket) => this.awaitHandshake(socket));
    this.server.on('drop', () => this.refusals.count('too many connections'));
    this.server.on('clientError', (error, socket) => this.takeFault(error, socket));
    this.server.on('request', ({ socket }) => this.refuse(socket, 426, 'this is for WebSockets only'));
    this.server.on('upgrade', (request, socket, head) => this.upgrade(request, socket as Socket, head));
    for (const each of Object.values(this.upgraders))
      each.on('wsClientError', ({ message }, socket) => this.refuse(socket, 400, `no handshake: ${message}`));
  }

  get refused(): Readonly<Record<string, number>> {
    return this.refusals.counts();
  }

  get url(): string {
    return webSocketUrl(this.spec);
  }

  async listen(): Promise<void> {
    const { host, port } = this.spec;
    const bound = await listenAt(this.server, host, port, `ws:${this.place}`);
    this.spec = { ...this.spec, port: bound };
  }

  /** As with QEMU's port, the callback of close() would come with the end of the last guest. */
  close(): Promise<void> {
    this.server.close();
    for (const socket of this.waiting.keys()) socket.destroy();
    return new Promise((resolve) => setImmediate(resolve));
  }

  private get most(): number {
    return this.spec.clients ?? DEFAULT_CLIENTS;
  }

  private get place(): string {
    const { host, port } = this.spec;
    return `${bracketed(host)}:${port}`;
  }

  private awaitHandshake(socket: Socket): void {
    const onTimeout = (): void => {
      if (!socket.writableEnded) this.refusals.count('the handshake took too long');
      socket.destroy();
    };
    this.waiting.set(socket, setTimeout(onTimeout, this.handshakeMs));
    socket.once('close', () => this.handshakeDone(socket));
  }

  private handshakeDone(socket: Socket): void {
    clearTimeout(this.waiting.get(socket));
    this.waiting.delete(socket);
  }

  private upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const refusal = this.judge(request);
    if (refusal !== null) {
      this.refuse(socket, refusal.status, refusal.reason, refusal.hint);
      return;
    }
    const format = this.formatFor(request);
    this.upgraders[format].handleUpgrade(request, socket, head, (ws) => {
      this.accept(ws, socket, request, format);
    });
  }

  private judge(request: IncomingMessage): { status: number; reason: string; hint?: string } | null {
    const { token, origins = null, host, hosts = [] } = this.spec;
    const refusal = refusalOf(request, { path: '/', token, origins, hosts: [...hosts, host] });
    if (refusal !== null) return { ...refusal, hint: hintOf(request) };
    if (this.guests.size < this.most) return null;
    return { status: 503, reason: `${this.most} guests are there, and it takes no more` };
  }

  private formatFor(request: IncomingMessage): WebSocketFormat {
    if (this.spec.format !== undefined) return this.spec.format;
    const asked = (request.headers['sec-websocket-protocol'] ?? '').split(',');
    return asked.some((name) => name.trim() === STREAM_PROTOCOL) ? 'length-prefixed' : 'frame';
  }

  private accept(ws: WebSocket, socket: Socket, request: IncomingMessage, format: WebSocketFormat): void {
    this.handshakeDone(socket);
    socket.setKeepAlive(true, KEEPALIVE_MS);
    const name = this.names.take('web');
    const link = new WebSocketLink(name, ws, socket, format, this.maxFrame);
    this.guests.add(link);
    void link.gone.then(() => {
      this.guests.delete(link);
      this.names.give(name);
    });
    const from = `${bracketed(socket.remoteAddress ?? '')}:${socket.remotePort}`;
    const client = { from, origin: request.headers.origin ?? null, format, gone: link.gone };
    try {
      this.onLink(this.withFaults(link), client);
    } catch (error) {
      this.refusals.count(`there was no network for it: ${error instanceof Error ? error.message : error}`);
      void link.close();
    }
  }

  private takeFault(error: Error & { readonly code?: string }, socket: Duplex): void {
    if (error.code === 'ECONNRESET') socket.destroy();
    else this.refuse(socket, 400, 'what came is not HTTP');
  }

  private refuse(socket: Duplex, status: number, reason: string, hint = ''): void {
    this.refusals.count(reason, hint);
    answerRefusal(socket, status, reason);
  }
}

/** Texts are looked at as bytes. */
function streamUpgrader(maxPayload: number): WebSocketServer {
  return upgraderFor({ maxPayload, skipUTF8Validation: true }, STREAM_PROTOCOL);
}
