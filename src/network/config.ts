// What a user may say, and what the engine runs with. Text outside, numbers inside: parseConfig() checks everything
// once, fills in every default and returns Settings, or throws one ConfigError that names the setting.

/** Plain data, as JSON could hold it. */
export interface NetworkConfig {
  /** The guests' network as a prefix, /8 to /30. Default "10.0.2.0/24". */
  readonly subnet?: string;
  /** The gateway, which is the host; inside `subnet`. Default: its second address, "10.0.2.2". */
  readonly gateway?: string;
  /** Largest IP packet in bytes, 68..65521, on the links and in DHCP option 26. Default 1500. */
  readonly mtu?: number;
  /** Off, or what the DHCP server says. */
  readonly dhcp?: false | DhcpConfig;
  /** Off, or the name service's address. Default: the third address of `subnet`, "10.0.2.3". */
  readonly dns?: false | DnsConfig;
  /** Does the gateway's address reach the host's loopback? Default true. */
  readonly hostLoopback?: boolean;
  /** May guests reach 169.254.0.0/16? The cloud metadata addresses stay denied. Default false. */
  readonly linkLocal?: boolean;
  /** No way out: no router, no name service, no host services; forwards work. Default false. */
  readonly restrict?: boolean;
  /** Anyone may send to a UDP port that a guest has used, not only whom it has sent to. Default false. */
  readonly udpFullCone?: boolean;
  /** Host ports that lead to a guest. */
  readonly forwards?: readonly ForwardConfig[];
  /** Ceilings. Everything that grows has one. */
  readonly limits?: LimitsConfig;
  /** Time limits, in milliseconds. */
  readonly timeouts?: TimeoutsConfig;
}

export interface DhcpConfig {
  /** First and last address of the pool. Default: the 15th address to the one before the broadcast address. */
  readonly first?: string;
  readonly last?: string;
  /** Default 86400. At least 60. */
  readonly leaseSeconds?: number;
  /** Option 12, the guest's host name. */
  readonly hostname?: string;
  /** Option 15. */
  readonly domainName?: string;
  /** Option 119. */
  readonly domainSearch?: readonly string[];
  /** Options 66 and 67, and the `sname` and `file` fields. */
  readonly tftpServerName?: string;
  readonly bootfile?: string;
  /** MAC to address, inside `subnet`. */
  readonly staticLeases?: Readonly<Record<string, string>>;
}

export interface DnsConfig {
  readonly address?: string;
  /** Resolvers to ask, as addresses, instead of the host's own. */
  readonly resolvers?: readonly string[];
}

export interface ForwardConfig {
  readonly proto: 'tcp' | 'udp';
  /** "127.0.0.1:2222"; a port alone binds 127.0.0.1. */
  readonly host: string;
  /** "10.0.2.15:22"; a port alone leads to the first address of the pool. */
  readonly guest: string;
}

export interface LimitsConfig {
  /** Per guest. Defaults 16384, 4096 and 256. */
  readonly tcpFlows?: number;
  readonly udpFlows?: number;
  readonly pendingConnects?: number;
  /** Learned MACs of the whole switch. Default 1024. */
  readonly macs?: number;
  /** Leases of the DHCP server, over all guests. Default 1024. */
  readonly leases?: number;
  /** Bytes buffered for one TCP flow, each direction: 4096 to 4194304, a power of two. Default 1048576. */
  readonly flowBytes?: number;
  /** Bytes of the arena, a power of two from 8 MiB to 1 GiB. Default 128 MiB; untouched bytes cost nothing. */
  readonly arenaBytes?: number;
}

export interface TimeoutsConfig {
  /** How long the host may take to connect. Default 75000. */
  readonly connect?: number;
  /** A UDP flow without a packet. Default 240000; 10000 for an answered query to port 53. */
  readonly udpIdle?: number;
  /** RFC 9293's 2 MSL. Default 10000. */
  readonly timeWait?: number;
}

/** Names the setting and the reason: `gateway: 10.0.3.2 is not in 10.0.2.0/24`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly path: string;
  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.path = path;
  }
}
