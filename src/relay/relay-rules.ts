// What the clients of a relay may have, and what became of them.

import type { IpAddr } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import type { Credentials } from './credentials.ts';

/** May a stream go there? Asked of each address that a name has, before the one that is connected to. A throw is a no. */
export type Judge = (addr: IpAddr, port: number, proto: 'tcp' | 'udp') => boolean;

/** How much a client of a relay may have at a time. */
export interface RelayLimits {
  /** Streams of one client, those included that still say their last to the host. */
  readonly streams: number;
  /** Of these, ones that wait for a name or a connection; and names that are being looked up. */
  readonly pending: number;
  /** Packets of one stream that the client may send ahead. A stream that has twice as many waiting is closed. */
  readonly packets: number;
  /** Bytes that wait in all streams of one client; above, the stream that has the most is closed. */
  readonly waitingBytes: number;
  /** How long a name and a connection may take together. */
  readonly connectMs: Ms;
  /** How long the client may take to introduce itself, where it says that it speaks version 2 or has to. */
  readonly handshakeMs: Ms;
  /** How long a stream that the client has closed may take to deliver what it was given. */
  readonly drainMs: Ms;
}

export const DEFAULT_LIMITS: RelayLimits = {
  streams: 512,
  pending: 64,
  packets: 128,
  waitingBytes: 16 << 20,
  connectMs: 20_000,
  handshakeMs: 5000,
  drainMs: 10_000,
};

export interface RelayRules {
  readonly judge: Judge;
  readonly udp: boolean;
  /** null: none are asked for. */
  readonly credentials: Credentials | null;
  readonly limits: RelayLimits;
}

/** Of all clients of a relay. */
export class RelayCounters {
  /** Sessions that have begun. */
  clients = 0;
  /** Of these, how many speak version 2. */
  version2 = 0;
  badCredentials = 0;
  noCredentials = 0;
  /** Streams that were asked for. */
  streams = 0;
  /** Of these, ones with an address that the policy denies. */
  blocked = 0;
  /** Ones that the client has no room for: too many, or too many that wait. */
  throttled = 0;
  /** Ones that ask for what is none, or for UDP where there is none. */
  invalid = 0;
  unresolved = 0;
  /** Connections that failed or came too late. */
  unconnected = 0;
  /** Streams of which the client sent more than it may, in packets or in bytes. */
  overruns = 0;
  /** Sessions that ended because the client sent what is no packet, or took nothing of what it was sent. */
  malformed = 0;
  stuck = 0;
  /** Packets for streams that are not there: they cross a CLOSE. And ones that mean nothing here. */
  strayPackets = 0;
  /** Datagrams for which the client, the system or the lookup of a name was too slow. */
  lostDatagrams = 0;
  bytesToHost = 0;
  bytesToClient = 0;
}
