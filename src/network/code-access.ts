// What code of the embedder may do on the virtual network, as text and promises: connect to a server in the guest without
// a port on the host, be a server that guests connect to.

import { type Abortable, abortable } from '../base/abort.ts';
import { type Endpoint, formatEndpoint, ipv4Addr, isIpv4 } from '../base/addr.ts';
import type { Settings } from '../base/settings.ts';
import type { ByteStream } from '../host/byte-stream.ts';
import type { HostError } from '../host/host-network.ts';
import type { Addresses } from '../ip/addresses.ts';
import type { CodeSockets } from '../nat/code-sockets.ts';
import { ConfigError } from './config.ts';
import * as check from './config-checks.ts';
import { parseGuest } from './config-forwards.ts';

/** How long something is waited for. */
export interface Waiting {
  /** Aborted: what waits rejects with the signal's reason, and nothing stays open. */
  readonly signal?: Abortable | undefined;
}

/** A guest that could not be connected to. `message` names it and says why. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError';
  readonly reason: HostError;
  constructor(to: string, reason: HostError) {
    super(`connect ${to}: ${reason}`);
    this.reason = reason;
  }
}

/** A port that code listens at. */
export interface VirtualListener {
  /** "10.0.2.2:8080". */
  readonly at: string;
  /** No new connections; those that are open stay. Idempotent. */
  close(): void;
}

/** A UDP port of the gateway that code has. */
export interface VirtualUdp extends VirtualListener {
  /** Sends a copy of `data`, 0 to 65507 bytes, to a guest: "10.0.2.15:5000", or a port alone of the first one. */
  send(data: Uint8Array, to: string): void;
}

export class CodeAccess {
  private readonly settings: Settings;
  private readonly addresses: Addresses;
  private readonly sockets: CodeSockets;

  constructor(settings: Settings, addresses: Addresses, sockets: CodeSockets) {
    this.settings = settings;
    this.addresses = addresses;
    this.sockets = sockets;
  }

  /** Rejects with a ConfigError where `guest` is no place. */
  async connectTcp(guest: string, { signal }: Waiting): Promise<ByteStream> {
    const to = parseGuest('connectTcp', guest, this.settings);
    return abortable(signal, (resolve, reject) => {
      const stream = this.sockets.connectTcp(to.addr.w3, to.port);
      stream.listen({
        onOpen: () => {
          // What the guest says first waits for whoever gets the stream.
          stream.listen(null);
          resolve(stream);
        },
        onClose: (error) => reject(new ConnectError(formatEndpoint(to), error ?? 'reset')),
      });
      return () => stream.reset();
    });
  }

  listenTcp(at: string, onConnection: (stream: ByteStream) => void, { signal }: Waiting): VirtualListener {
    const { addr, port } = this.placeOf('listenTcp', at);
    const bound = this.sockets.listenTcp(addr.w3, port, onConnection);
    return closedBy(signal, { at: formatEndpoint({ addr, port }), close: () => bound.close() });
  }

  openUdp(at: string, onDatagram: (data: Uint8Array, from: string) => void, { signal }: Waiting): VirtualUdp {
    const { addr, port } = this.placeOf('openUdp', at);
    if (!this.addresses.isOwn(addr.w3)) {
      throw new ConfigError('openUdp', `${check.show(at)} is not at one of the gateway's addresses`);
    }
    const bound = this.sockets.openUdp(addr.w3, port, (data, from) => onDatagram(data, formatEndpoint(from)));
    return closedBy(signal, {
      at: formatEndpoint({ addr, port }),
      send: (data, to) => bound.send(data, parseGuest('send', to, this.settings)),
      close: () => bound.close(),
    });
  }

  /** Where guests reach code: the gateway, for a port alone, or any address that their packets leave the network for. */
  private placeOf(path: string, at: string): Endpoint {
    const bare = /^\d+$/.test(at);
    const { addr, port } = check.hostEndpoint(path, at);
    if (port === 0) throw new ConfigError(path, 'port 0 is not within 1 to 65535');
    if (bare) return { addr: ipv4Addr(this.settings.gateway), port };
    const word = addr.w3;
    if (!isIpv4(addr) || (!this.addresses.isOwn(word) && this.addresses.neverLeaves(word))) {
      throw new ConfigError(path, `${check.show(at)} is at no address that a packet of a guest can be for`);
    }
    return { addr, port };
  }
}

function closedBy<T extends VirtualListener>(signal: Abortable | undefined, bound: T): T {
  if (signal === undefined) return bound;
  const close = (): void => {
    signal.removeEventListener('abort', close);
    bound.close();
  };
  if (signal.aborted) close();
  else signal.addEventListener('abort', close);
  return { ...bound, close };
}
