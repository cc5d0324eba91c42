// What a user may say, and what the engine runs with. Text outside, numbers inside: parseConfig() checks everything
// once, fills in every default and returns Settings, or throws one ConfigError that names the setting.

import type { Mac } from '../base/addr.ts';
import { formatIpv4Word, parseMac } from '../base/addr.ts';
import type {
  CongestionName,
  DhcpSettings,
  DnsSettings,
  LimitSettings,
  Settings,
  TimeoutSettings,
} from '../base/settings.ts';
import * as check from './config-checks.ts';
import { ConfigError, type Subnet } from './config-checks.ts';
import { denyOf } from './config-deny.ts';
import { type ForwardConfig, forwardsOf } from './config-forwards.ts';

export { ConfigError, type ForwardConfig };

/** Plain data, as JSON could hold it. A key that is not listed here is refused. */
export interface NetworkConfig {
  /** The guests' network as a prefix, /8 to /30. Default "10.0.2.0/24". */
  readonly subnet?: string;
  /** The gateway, which is the host; inside `subnet`. Default: its second address, "10.0.2.2". */
  readonly gateway?: string;
  /** Largest IP packet in bytes, 68..65521, on the links and in DHCP option 26. Default 1500. */
  readonly mtu?: number;
  /** Off, or what the DHCP server says. */
  readonly dhcp?: false | DhcpConfig;
  /** Off, or the name service's address. Default: the third address of `subnet`, "10.0.2.3"; off in a /30. */
  readonly dns?: false | DnsConfig;
  /** Does the gateway's address reach the host's loopback? Default true. */
  readonly hostLoopback?: boolean;
  /** May guests reach 169.254.0.0/16? The cloud metadata addresses stay denied. Default false. */
  readonly linkLocal?: boolean;
  /**
   * What guests may not reach besides: prefixes ("10.0.0.0/8", "fd00::/8"), addresses, and sets by name: "private"
   * (RFC 1918, RFC 4193), "cgnat", "link-local", "metadata", "loopback", which takes the gateway's address too. In
   * whatever form of IPv6 somebody writes an IPv4 address. Default none.
   */
  readonly deny?: readonly string[];
  /** No way out: no router, no name service, no host services; forwards work. Default false. */
  readonly restrict?: boolean;
  /** Anyone may send to a UDP port that a guest has used, not only whom it has sent to. Default false. */
  readonly udpFullCone?: boolean;
  /** How TCP to guests finds its window: CUBIC (RFC 9438) or NewReno (RFC 5681). Default "cubic". */
  readonly congestion?: CongestionName;
  /** Is what TCP sends spread over the round trip, where that is two milliseconds or more? Default true. */
  readonly pacing?: boolean;
  /** Host ports that lead to a guest. */
  readonly forwards?: readonly ForwardConfig[];
  /** Ceilings. Everything that grows has one. */
  readonly limits?: LimitsConfig;
  /** Time limits, in milliseconds. */
  readonly timeouts?: TimeoutsConfig;
}

/** Of the DHCP service. */
export interface DhcpConfig {
  /**
   * First and last address of the pool. Default: the 15th address of `subnet` to the one before the broadcast address;
   * in a prefix longer than /27 the 4th or, in a /30, the only one left. Gateway and name service are never leased.
   */
  readonly first?: string;
  readonly last?: string;
  /** Default 86400. At least 60, at most a year. */
  readonly leaseSeconds?: number;
  /** Option 12, the guest's host name. 1 to 255 characters. */
  readonly hostname?: string;
  /** Option 15. 1 to 255 characters. */
  readonly domainName?: string;
  /** Option 119. At most 255 bytes in the form of RFC 3397, uncompressed. */
  readonly domainSearch?: readonly string[];
  /** Options 66 and 67, and the `sname` and `file` fields. At most 63 and 127 characters. */
  readonly tftpServerName?: string;
  readonly bootfile?: string;
  /** MAC to address, inside `subnet`. */
  readonly staticLeases?: Readonly<Record<string, string>>;
}

/** Of the name service. */
export interface DnsConfig {
  readonly address?: string;
  /** Resolvers to ask instead of the host's own: "192.0.2.1", or with a port other than 53 "192.0.2.1:5353". */
  readonly resolvers?: readonly string[];
}

/** How much of everything. */
export interface LimitsConfig {
  /** Per guest, 1 to 65536. Defaults 16384, 4096 and 256. */
  readonly tcpFlows?: number;
  readonly udpFlows?: number;
  readonly pendingConnects?: number;
  /** Learned MACs of the whole switch, 1 to 65536. Default 1024. */
  readonly macs?: number;
  /** Leases of the DHCP server, over all guests, 1 to 65536. Default 1024. */
  readonly leases?: number;
  /**
   * Bytes buffered for one TCP flow, each direction: 4096 to 4194304, a power of two, at most a quarter of the arena.
   * Towards the guest one read of the host's socket, at most 65536 bytes, may wait beside them. Default 1048576.
   */
  readonly flowBytes?: number;
  /** Bytes of the arena, a power of two from 8 MiB to 1 GiB. Default 128 MiB; untouched bytes cost nothing. */
  readonly arenaBytes?: number;
}

/** How long, in milliseconds. */
export interface TimeoutsConfig {
  /** How long the host may take to connect, at least 1. Default 75000. */
  readonly connect?: number;
  /** A UDP flow without a packet, at least 1. Default 240000; 10000 for an answered query to port 53. */
  readonly udpIdle?: number;
  /** RFC 9293's 2 MSL. Default 10000. */
  readonly timeWait?: number;
}

const DEFAULT_SUBNET = '10.0.2.0/24';
const MIN_MTU = 68;
const MAX_MTU = 65521;
const YEAR_SECONDS = 365 * 86400;
const DAY_MS = 86_400_000;
const MAX_TABLE = 65536;
const MIB = 1 << 20;
/** The longest name that a 255-byte option can hold. */
const MAX_OPTION = 255;

/** Settings for `config`, complete and frozen. Throws one ConfigError for the first setting that is wrong. */
export function parseConfig(config: NetworkConfig): Settings {
  const said = check.objectOf<NetworkConfig>('', config, NETWORK_KEYS);
  const net = check.subnet('subnet', said.subnet ?? DEFAULT_SUBNET);
  const gateway = said.gateway === undefined ? net.first + 2 : check.hostOf('gateway', said.gateway, net);
  const dns = dnsOf(said.dns, net, gateway);
  const taken = new Map([[gateway, 'the gateway']]);
  if (dns !== null) taken.set(dns.address >>> 0, 'the name service');
  const pool = poolOf(said.dhcp, net, taken);
  return deepFreeze({
    subnet: net.first | 0,
    mask: (-1 << (32 - net.prefix)) | 0,
    prefix: net.prefix,
    broadcast: net.broadcast | 0,
    gateway: gateway | 0,
    firstGuest: pool.first | 0,
    mtu: check.integer('mtu', said.mtu, MIN_MTU, MAX_MTU, 1500),
    dhcp: dhcpOf(said.dhcp, net, pool, taken),
    dns,
    hostLoopback: check.flag('hostLoopback', said.hostLoopback, true),
    linkLocal: check.flag('linkLocal', said.linkLocal, false),
    deny: denyOf('deny', said.deny),
    restrict: check.flag('restrict', said.restrict, false),
    udpFullCone: check.flag('udpFullCone', said.udpFullCone, false),
    congestion: congestionOf(said.congestion),
    pacing: check.flag('pacing', said.pacing, true),
    forwards: forwardsOf(said.forwards, net, pool.first, taken),
    limits: limitsOf(said.limits),
    timeouts: timeoutsOf(said.timeouts),
  });
}

function congestionOf(said: unknown): CongestionName {
  if (said === undefined || said === 'cubic') return 'cubic';
  if (said === 'newreno') return said;
  throw new ConfigError('congestion', `${check.show(said)} is neither cubic nor newreno`);
}

function dnsOf(said: unknown, net: Subnet, gateway: number): DnsSettings | null {
  if (said === false) return null;
  const dns = check.objectOf<DnsConfig>('dns', said ?? {}, DNS_KEYS);
  const resolvers = resolversOf(dns.resolvers, net);
  if (dns.address !== undefined) {
    const address = check.hostOf('dns.address', dns.address, net);
    if (address === gateway) throw new ConfigError('dns.address', `${dns.address} is the gateway`);
    return { address: address | 0, resolvers };
  }
  const address = net.first + 3 === gateway ? gateway + 1 : net.first + 3;
  if (address < net.broadcast) return { address: address | 0, resolvers };
  if (said === undefined) return null;
  throw new ConfigError('dns.address', `${net.text} has no third address; say which, or dns: false`);
}

function resolversOf(said: unknown, net: Subnet): DnsSettings['resolvers'] {
  if (said === undefined) return null;
  return check
    .listOf('dns.resolvers', said)
    .map((text, i) => check.resolver(`dns.resolvers[${i}]`, text, net));
}

interface Pool {
  readonly first: number;
  readonly last: number;
}

/** Also without a DHCP server: a forward that names no guest leads to the first address. */
function poolOf(said: unknown, net: Subnet, taken: ReadonlyMap<number, string>): Pool {
  const dhcp = said === false ? {} : check.objectOf<DhcpConfig>('dhcp', said ?? {}, DHCP_KEYS);
  const free = (path: string, text: string): number => {
    const address = check.hostOf(path, text, net);
    const owner = taken.get(address);
    if (owner !== undefined) throw new ConfigError(path, `${text} is ${owner}`);
    return address;
  };
  const first = dhcp.first === undefined ? defaultFirst(net, taken) : free('dhcp.first', dhcp.first);
  let last = net.broadcast - 1;
  while (dhcp.last === undefined && taken.has(last)) last--;
  if (dhcp.last !== undefined) last = free('dhcp.last', dhcp.last);
  if (last < first) {
    throw new ConfigError(
      'dhcp.last',
      `${formatIpv4Word(last)} is below the first, ${formatIpv4Word(first)}`,
    );
  }
  return { first, last };
}

function defaultFirst(net: Subnet, taken: ReadonlyMap<number, string>): number {
  for (const offset of [15, 4, 1]) {
    let address = net.first + offset;
    while (taken.has(address)) address++;
    if (address < net.broadcast) return address;
  }
  throw new ConfigError('dhcp.first', `no address of ${net.text} is left for guests`);
}

function dhcpOf(
  said: unknown,
  net: Subnet,
  pool: Pool,
  taken: ReadonlyMap<number, string>,
): DhcpSettings | null {
  if (said === false) return null;
  const dhcp = (said ?? {}) as DhcpConfig;
  return {
    first: pool.first | 0,
    last: pool.last | 0,
    leaseSeconds: check.integer('dhcp.leaseSeconds', dhcp.leaseSeconds, 60, YEAR_SECONDS, 86400),
    hostname: check.word('dhcp.hostname', dhcp.hostname, MAX_OPTION),
    domainName: check.word('dhcp.domainName', dhcp.domainName, MAX_OPTION),
    domainSearch: searchOf(dhcp.domainSearch),
    // RFC 2131 2: sname has 64 bytes and file 128, each with a zero at its end.
    tftpServerName: check.word('dhcp.tftpServerName', dhcp.tftpServerName, 63),
    bootfile: check.word('dhcp.bootfile', dhcp.bootfile, 127),
    staticLeases: staticLeasesOf(dhcp.staticLeases, net, taken),
  };
}

function searchOf(said: unknown): readonly string[] {
  const names = check
    .listOf('dhcp.domainSearch', said)
    .map((name, i) => check.domain(`dhcp.domainSearch[${i}]`, name));
  // RFC 3397 2: each name as labels with their lengths and a zero.
  const size = names.reduce((sum, name) => sum + name.length + 2, 0);
  if (size > MAX_OPTION)
    throw new ConfigError('dhcp.domainSearch', `needs ${size} bytes, at most ${MAX_OPTION}`);
  return names;
}

function staticLeasesOf(
  said: unknown,
  net: Subnet,
  taken: ReadonlyMap<number, string>,
): DhcpSettings['staticLeases'] {
  if (said === undefined) return [];
  if (typeof said !== 'object' || said === null)
    throw new ConfigError('dhcp.staticLeases', 'is not an object');
  const leases: { mac: Mac; address: number }[] = [];
  const owners = new Map(taken);
  for (const [text, addressText] of Object.entries(said)) {
    const path = `dhcp.staticLeases[${JSON.stringify(text)}]`;
    const mac = parseMac(text);
    if (mac === null) throw new ConfigError(path, 'is not a MAC address');
    if ((mac.hi & 0x100) !== 0) throw new ConfigError(path, 'is a group address');
    if (leases.some((l) => l.mac.hi === mac.hi && l.mac.lo === mac.lo))
      throw new ConfigError(path, 'is there twice');
    const address = check.hostOf(path, addressText, net);
    const owner = owners.get(address);
    if (owner !== undefined) throw new ConfigError(path, `${addressText} is ${owner}`);
    owners.set(address, `the lease of ${text}`);
    leases.push({ mac, address: address | 0 });
  }
  return leases;
}

function limitsOf(said: unknown): LimitSettings {
  const limits = check.objectOf<LimitsConfig>('limits', said ?? {}, LIMIT_KEYS);
  const table = (key: keyof LimitsConfig, fallback: number): number =>
    check.integer(`limits.${key}`, limits[key], 1, MAX_TABLE, fallback);
  const arenaBytes = check.powerOfTwo('limits.arenaBytes', limits.arenaBytes, 8 * MIB, 1024 * MIB, 128 * MIB);
  const flowBytes = check.powerOfTwo('limits.flowBytes', limits.flowBytes, 4096, 4 * MIB, MIB);
  if (flowBytes > arenaBytes / 4) {
    throw new ConfigError(
      'limits.flowBytes',
      `${flowBytes} is more than a quarter of arenaBytes, ${arenaBytes}`,
    );
  }
  return {
    tcpFlows: table('tcpFlows', 16384),
    udpFlows: table('udpFlows', 4096),
    pendingConnects: table('pendingConnects', 256),
    macs: table('macs', 1024),
    leases: table('leases', 1024),
    flowBytes,
    arenaBytes,
  };
}

function timeoutsOf(said: unknown): TimeoutSettings {
  const timeouts = check.objectOf<TimeoutsConfig>('timeouts', said ?? {}, TIMEOUT_KEYS);
  return {
    connect: check.integer('timeouts.connect', timeouts.connect, 1, DAY_MS, 75_000),
    udpIdle: check.integer('timeouts.udpIdle', timeouts.udpIdle, 1, DAY_MS, 240_000),
    timeWait: check.integer('timeouts.timeWait', timeouts.timeWait, 0, DAY_MS, 10_000),
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

// The compiler holds these against the interfaces above.

const NETWORK_KEYS: Record<keyof NetworkConfig, true> = {
  subnet: true,
  gateway: true,
  mtu: true,
  dhcp: true,
  dns: true,
  hostLoopback: true,
  linkLocal: true,
  deny: true,
  restrict: true,
  udpFullCone: true,
  congestion: true,
  pacing: true,
  forwards: true,
  limits: true,
  timeouts: true,
};

const DHCP_KEYS: Record<keyof DhcpConfig, true> = {
  first: true,
  last: true,
  leaseSeconds: true,
  hostname: true,
  domainName: true,
  domainSearch: true,
  tftpServerName: true,
  bootfile: true,
  staticLeases: true,
};

const DNS_KEYS: Record<keyof DnsConfig, true> = { address: true, resolvers: true };

const LIMIT_KEYS: Record<keyof LimitsConfig, true> = {
  tcpFlows: true,
  udpFlows: true,
  pendingConnects: true,
  macs: true,
  leases: true,
  flowBytes: true,
  arenaBytes: true,
};

const TIMEOUT_KEYS: Record<keyof TimeoutsConfig, true> = { connect: true, udpIdle: true, timeWait: true };
