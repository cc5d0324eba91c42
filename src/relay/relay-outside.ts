// What a relay's server needs of the world outside. node/relay-outside.ts has sockets for it, a test whatever it likes.
// No event comes from inside a call.

import type { Endpoint, IpAddr } from '../base/addr.ts';
import type { HostError } from '../host/host-network.ts';

/** What a relay connects from: Node's sockets, or a test's. */
export interface RelayOutside {
  /** The addresses of a name, best first; none where there is no such name. Rejects with nothing but that. */
  resolve(name: string): Promise<readonly IpAddr[]>;
  /** Begins to connect: onOpen or onClose follows. */
  connectTcp(to: Endpoint, events: OutsideEvents): OutsideStream;
  /** A socket that talks to `to` alone: onOpen or onClose follows. */
  connectUdp(to: Endpoint, events: OutsideEvents): OutsideDatagrams;
}

/** A connection. */
export interface OutsideStream {
  /** Takes `bytes`, which are given. False: nothing more until onWritable. */
  write(bytes: Uint8Array): boolean;
  /** FIN behind what has been written. */
  end(): void;
  /** RST. Only onClose follows. */
  reset(): void;
  /** Stops reading; a read that is under way still comes. */
  pause(): void;
  /** Reads on. */
  resume(): void;
}

/** A socket for datagrams. */
export interface OutsideDatagrams {
  /** Sends a datagram, given. False: there was no room, and it is lost. */
  write(bytes: Uint8Array): boolean;
  /** No event after this. */
  close(): void;
}

/** What a stream or a socket of the outside tells. */
export interface OutsideEvents {
  /** It is connected, or bound. */
  onOpen(): void;
  /** What has come: of a stream, or one datagram. `bytes` are lent for the call. */
  onData(bytes: Uint8Array): void;
  /** After write() has said false: it takes more. */
  onWritable(): void;
  /** FIN. */
  onEnd(): void;
  /** The last call, once, unless it was close() that ended it. null: in order, or reset(). */
  onClose(error: HostError | null): void;
}
