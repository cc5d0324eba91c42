// What the engine runs with, checked and complete. network/config.ts makes it from what a user said; here because every
// layer reads its part of it.

import type { Endpoint, Mac } from './addr.ts';
import type { AddrRange } from './ranges.ts';

/** Checked, complete, frozen. Addresses are IPv4 words, see base/addr.ts. */
export interface Settings {
  /** Network address and mask. */
  readonly subnet: number;
  readonly mask: number;
  readonly prefix: number;
  readonly broadcast: number;
  readonly gateway: number;
  /** The first address for guests: where a forward leads that names none. */
  readonly firstGuest: number;
  readonly mtu: number;
  readonly dhcp: DhcpSettings | null;
  readonly dns: DnsSettings | null;
  readonly hostLoopback: boolean;
  readonly linkLocal: boolean;
  readonly deny: readonly AddrRange[];
  readonly restrict: boolean;
  readonly udpFullCone: boolean;
  readonly congestion: CongestionName;
  readonly pacing: boolean;
  readonly forwards: readonly ForwardSettings[];
  readonly limits: LimitSettings;
  readonly timeouts: TimeoutSettings;
}

/** CUBIC, RFC 9438, or NewReno, RFC 5681. */
export type CongestionName = 'cubic' | 'newreno';

/** Of the DHCP service. */
export interface DhcpSettings {
  readonly first: number;
  readonly last: number;
  readonly leaseSeconds: number;
  readonly hostname: string | null;
  readonly domainName: string | null;
  readonly domainSearch: readonly string[];
  readonly tftpServerName: string | null;
  readonly bootfile: string | null;
  readonly staticLeases: readonly { readonly mac: Mac; readonly address: number }[];
}

/** Of the name service. */
export interface DnsSettings {
  readonly address: number;
  /** null: the host's own. */
  readonly resolvers: readonly Endpoint[] | null;
}

/** A port of the host that leads to a port of a guest. */
export interface ForwardSettings {
  readonly proto: 'tcp' | 'udp';
  readonly host: Endpoint;
  /** The guest's address as a word, and its port. */
  readonly guestAddress: number;
  readonly guestPort: number;
}

/** Ceilings; their meaning and defaults stand in network/config.ts. */
export interface LimitSettings {
  readonly tcpFlows: number;
  readonly udpFlows: number;
  readonly pendingConnects: number;
  readonly macs: number;
  readonly leases: number;
  readonly flowBytes: number;
  readonly arenaBytes: number;
}

/** Milliseconds. */
export interface TimeoutSettings {
  readonly connect: number;
  readonly udpIdle: number;
  readonly timeWait: number;
}
