import type { Mac } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Link } from '../link/link.ts';
import type { DhcpParameters } from '../wire/dhcp-client.ts';
import type { GuestHost } from './guest-host.ts';

/** What an embedded guest is made of. */
export interface GuestOptions {
  /** The network it is on, where both share their memory and time, or createGuestHost(). */
  readonly host: GuestHost;
  readonly random: Random;
  /** Its end of the cable: createPair(...).peer. */
  readonly link: Link;
  /** Default: a locally administered one, random. */
  readonly mac?: Mac;
  /** What it calls itself in DHCP. Default null: nothing. */
  readonly hostname?: string | null;
  /** Bytes buffered for one connection, each direction, a power of two. Default 1 MiB. */
  readonly flowBytes?: number;
  /** TIME-WAIT in ms. Default 10 s. */
  readonly timeWait?: Ms;
  /** Initial sequence numbers, for tests. Default: by RFC 6528. */
  readonly iss?: () => number;
}

/** What a machine has to know before it can send. Addresses are IPv4 words. */
export interface Ipv4Config {
  readonly address: number;
  readonly mask: number;
  /** null: nothing beyond the own network can be reached. */
  readonly router: number | null;
  readonly mtu: number;
}

/** A lease, and everything else that the server said. */
export interface Lease extends Ipv4Config {
  /** `10.0.2.15`. */
  readonly text: string;
  readonly parameters: DhcpParameters;
}
