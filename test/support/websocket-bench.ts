// WebSocket links on this computer's loopback: a port whose guests are recorded, and clients that keep what they get.

import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { Link } from '../../src/link/link.ts';
import { NodeClock } from '../../src/node/clock.ts';
import type { WebSocketLink } from '../../src/node/websocket-link.ts';
import {
  openWebSocketPort,
  type WebSocketClient,
  type WebSocketPort,
} from '../../src/node/websocket-port.ts';
import type { WebSocketLinkSpec } from '../../src/node/websocket-spec.ts';
import { newHost, RecordingSink } from './link-bench.ts';

/** Wakes whoever waits for something, at each event. */
class Waiting {
  private wake: (() => void)[] = [];

  readonly note = (): void => {
    const { wake } = this;
    this.wake = [];
    for (const resolve of wake) resolve();
  };

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.wake.push(resolve));
  }
}

export interface BenchOptions {
  readonly mtu?: number;
  readonly handshakeMs?: number;
  /** False: links are kept, and attached by the test. */
  readonly attaches?: boolean;
}

/** A port, what its guests say, and who was turned away. */
export class WebSocketBench {
  readonly host = newHost(new NodeClock(), 32 << 20);
  readonly links: Link[] = [];
  readonly clients: WebSocketClient[] = [];
  readonly sinks: RecordingSink[] = [];
  readonly lines: string[] = [];
  readonly waiting = new Waiting();
  port!: WebSocketPort;
  /** Of the arena, when there is no guest. */
  readonly idle = this.host.arena.used;
  private readonly opened: BrowserStandIn[] = [];

  static async open(
    spec: Partial<WebSocketLinkSpec> = {},
    options: BenchOptions = {},
  ): Promise<WebSocketBench> {
    const bench = new WebSocketBench();
    const { attaches = true, ...others } = options;
    bench.port = await openWebSocketPort(
      { kind: 'ws', host: '127.0.0.1', port: 0, ...spec },
      (link, client) => {
        bench.links.push(link);
        bench.clients.push(client);
        if (attaches) bench.attach(link);
        bench.waiting.note();
      },
      undefined,
      { ...others, onRefused: (line) => bench.lines.push(line) },
    );
    return bench;
  }

  attach(link: Link): RecordingSink {
    const sink = new RecordingSink(this.host);
    sink.onEach = () => this.waiting.note();
    const { onLinkDown, onLinkWritable } = sink;
    sink.onLinkDown = (reason) => {
      onLinkDown.call(sink, reason);
      this.waiting.note();
    };
    sink.onLinkWritable = () => {
      onLinkWritable.call(sink);
      this.waiting.note();
    };
    link.attach(sink, this.host);
    this.sinks.push(sink);
    return sink;
  }

  until(condition: () => boolean): Promise<void> {
    return this.waiting.until(condition);
  }

  /** A client that is let in, and its link. */
  async guest(protocols: readonly string[] = []): Promise<{ client: BrowserStandIn; link: WebSocketLink }> {
    const before = this.links.length;
    const client = this.connect(this.port.url, protocols);
    await client.isOpen;
    await this.until(() => this.links.length > before);
    return { client, link: this.links[before] as WebSocketLink };
  }

  connect(
    url: string,
    protocols: readonly string[] = [],
    headers: Readonly<Record<string, string>> = {},
  ): BrowserStandIn {
    const client = new BrowserStandIn(url, protocols, headers);
    this.opened.push(client);
    return client;
  }

  /** The status that a handshake gets: 101, or what it is refused with. `path` is behind the place. */
  status(path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
    const { port } = this.port.spec;
    return statusOf({ host: '127.0.0.1', port, path, headers });
  }

  async close(): Promise<void> {
    for (const client of this.opened) client.ws.terminate();
    await Promise.all(this.links.map((link) => link.close()));
    await this.port.close();
  }
}

interface Handshake {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A handshake as somebody makes it who can write what they like. An empty header is left out. */
export async function statusOf({ host, port, path, headers = {} }: Handshake): Promise<number> {
  const all = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  };
  const said = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
  const asked = request({ host, port, path, headers: said, agent: false });
  asked.end();
  return new Promise((resolve, reject) => {
    asked.on('error', reject);
    asked.on('upgrade', (answer, socket) => {
      socket.destroy();
      resolve(answer.statusCode!);
    });
    asked.on('response', (answer: IncomingMessage) => {
      answer.resume();
      resolve(answer.statusCode!);
    });
  });
}

/** What an emulator in a page does with a WebSocket. */
export class BrowserStandIn {
  readonly ws: WebSocket;
  readonly frames: Buffer[] = [];
  readonly texts: string[] = [];
  closed: number | null = null;
  readonly isOpen: Promise<unknown>;
  private readonly waiting = new Waiting();

  constructor(url: string, protocols: readonly string[], headers: Readonly<Record<string, string>>) {
    this.ws = new WebSocket(url, [...protocols], { perMessageDeflate: false, headers: { ...headers } });
    this.isOpen = once(this.ws, 'open');
    this.isOpen.catch(() => {});
    this.ws.on('error', this.waiting.note);
    this.ws.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.frames.push(data);
      else this.texts.push(data.toString());
      this.waiting.note();
    });
    this.ws.on('close', (code) => {
      this.closed = code;
      this.waiting.note();
    });
  }

  /** Its socket, to say what no WebSocket says. */
  get socket(): Socket {
    return (this.ws as unknown as { readonly _socket: Socket })._socket;
  }

  /** Everything that came, in one. */
  get bytes(): Buffer {
    return Buffer.concat(this.frames);
  }

  until(condition: () => boolean): Promise<void> {
    return this.waiting.until(condition);
  }
}

/** Bytes that wait for the socket of a link. */
export function bufferedAmount(link: WebSocketLink): number {
  return (link as unknown as { readonly ws: WebSocket }).ws.bufferedAmount;
}
