// The whole of a relay for emulators in pages: a WebSocket port, and for each guest a network that ends with it.

import type { NetworkConfig } from '../network/config.ts';
import { parseConfig } from '../network/config.ts';
import type { Network } from '../network/network.ts';
import { createNodeNetwork } from './node-network.ts';
import { LinkNames } from './qemu-port.ts';
import { openWebSocketPort, type WebSocketClient, type WebSocketPort } from './websocket-port.ts';
import { checkWebSocketSpec, pageGuestConfig, type WebSocketLinkSpec } from './websocket-spec.ts';

/** What a link has, but `hostLoopback` and `deny`: those are the network's. */
type PortSettings = Omit<WebSocketLinkSpec, 'kind' | 'host' | 'port' | 'hostLoopback' | 'deny'>;

/** Where guests come in, who may, and what network they get. */
export interface ServeWebSocketOptions extends PortSettings {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: one that the system chooses. */
  readonly port?: number;
  /**
   * Of each guest's network, or of the one that they share. Other than elsewhere `hostLoopback` is false and `deny`
   * DENIED_TO_PAGES by default. `forwards` only where it is shared; else a network's own `forward.add()` in `onNetwork`.
   */
  readonly network?: NetworkConfig;
  /** A guest is there, and about to be attached to `network`. A throw turns it away. */
  readonly onGuest?: (network: Network, client: WebSocketClient) => void;
  /** As in WebSocketPortOptions. */
  readonly onRefused?: (message: string) => void;
}

/** Guests on WebSockets are being served. */
export interface WebSocketServing extends AsyncDisposable {
  /** What a client is given, the token in it: v86's `relay_url`. */
  readonly url: string;
  readonly port: WebSocketPort;
  /** The networks that there are. */
  readonly networks: ReadonlySet<Network>;
  /** Ends every connection of every guest. Resolves when nothing is left of it. */
  close(): Promise<void>;
}

/**
 * Serves guests on WebSockets, each on a network of its own, or with `shared` all on one. Rejects with a ConfigError, a
 * RangeError that names the option, or one line that names the place.
 */
export async function serveWebSocket(options: ServeWebSocketOptions = {}): Promise<WebSocketServing> {
  const { host = '127.0.0.1', port = 0, network = {}, onGuest, onRefused, ...others } = options;
  const spec = checkWebSocketSpec({ ...others, kind: 'ws', host, port });
  const serving = new Serving(pageGuestConfig(network), spec, onGuest ?? (() => {}));
  await serving.start(onRefused ?? (() => {}));
  return serving;
}

class Serving implements WebSocketServing {
  readonly networks = new Set<Network>();
  private readonly config: NetworkConfig;
  private readonly spec: WebSocketLinkSpec;
  private readonly onGuest: (network: Network, client: WebSocketClient) => void;
  private readonly mtu: number;
  private readonly ending = new Set<Promise<void>>();
  private opened: WebSocketPort | null = null;

  constructor(
    config: NetworkConfig,
    spec: WebSocketLinkSpec,
    onGuest: (network: Network, client: WebSocketClient) => void,
  ) {
    this.config = config;
    this.spec = spec;
    this.onGuest = onGuest;
    const { mtu, forwards } = parseConfig(config);
    this.mtu = mtu;
    if (forwards.length > 0 && spec.shared !== true)
      throw new RangeError('network.forwards: whose they are, where each guest has a network, nobody knows');
  }

  get port(): WebSocketPort {
    return this.opened!;
  }

  get url(): string {
    return this.port.url;
  }

  async start(onRefused: (message: string) => void): Promise<void> {
    const { spec, config, mtu } = this;
    const shared = spec.shared === true ? this.openNetwork(config) : null;
    try {
      await shared?.start();
      this.opened = await openWebSocketPort(
        spec,
        (link, client) => {
          const network = shared ?? this.openNetwork(config);
          if (shared === null) void client.gone.then(() => this.endNetwork(network));
          this.onGuest(network, client);
          network.attach(link);
        },
        new LinkNames(),
        { mtu, onRefused },
      );
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const port = this.opened?.close();
    for (const network of this.networks) this.endNetwork(network);
    await Promise.all([port, ...this.ending]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private openNetwork(config: NetworkConfig): Network {
    const network = createNodeNetwork(config);
    this.networks.add(network);
    return network;
  }

  private endNetwork(network: Network): void {
    if (!this.networks.delete(network)) return;
    const ended = network.close().finally(() => this.ending.delete(ended));
    this.ending.add(ended);
  }
}
