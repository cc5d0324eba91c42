// The network that a recording was made in, as far as it shows: what a replay is configured with unless somebody says
// otherwise, and which of its addresses play which part.

import { formatIpv4Word, formatMac } from '../base/addr.ts';
import type { DhcpConfig, NetworkConfig } from '../network/config.ts';
import * as arp from '../wire/arp.ts';
import * as dhcp from '../wire/dhcp.ts';
import { type DhcpParameters, readParameters } from '../wire/dhcp-client.ts';
import { PORT as DNS_PORT } from '../wire/dns.ts';
import { Protocol } from '../wire/ipv4.ts';
import { decodeUdp, endpointText } from './decode.ts';
import { dhcpOf, type Recording } from './recording.ts';
import { TcpConversations } from './tcp-conversations.ts';

/** The addresses of a recorded network. IPv4 words. */
export interface Roles {
  readonly subnet: number;
  readonly mask: number;
  readonly gateway: number;
  /** null: the recording shows none that is the network's own. */
  readonly dns: number | null;
}

export interface Learned {
  readonly roles: Roles;
  readonly config: NetworkConfig;
  /** Ports of guests that the network opened conversations with. */
  readonly forwards: readonly LearnedForward[];
  /** Where there are forwards: who had which address. A forward leads to one that is known before its guest asks for it. */
  readonly leases: ReadonlyMap<string, number>;
}

export interface LearnedForward {
  readonly proto: 'tcp' | 'udp';
  readonly guestAddress: number;
  readonly guestPort: number;
}

const DEFAULT_SUBNET = 0x0a000200;
const MASK_24 = 0xffffff00 | 0;
/** Where the replayed world's clients find the forwards: a port for each, of a loopback that nobody else listens on. */
const FORWARD_ADDRESS = '127.0.0.1';
export const FIRST_FORWARD_PORT = 20_000;
const MAX_FORWARDS = 256;
const MAX_PEERS = 4096;
/** A few guests need no more, and a test suite makes many networks. */
const ARENA_BYTES = 1 << 25;

export function learn(recording: Recording): Learned {
  const lease = leaseOf(recording);
  const roles = lease === null ? guessedRoles(recording) : rolesOf(lease, recording);
  const forwards = forwardsOf(recording);
  const leases = forwards.length === 0 ? new Map<string, number>() : leasesOf(recording, roles);
  return { roles, config: configOf(roles, lease, recording), forwards, leases };
}

/** The first lease that was given or, where none was, offered. */
function leaseOf({ frames }: Recording): DhcpParameters | null {
  let offered: DhcpParameters | null = null;
  for (const { frame, guest } of frames) {
    const message = guest === null ? dhcpOf(frame) : null;
    if (message === null || message.yiaddr === 0) continue;
    const lease = readParameters(message);
    if (lease.subnetMask === null) continue;
    if (message.type === dhcp.MessageType.Ack) return lease;
    if (message.type === dhcp.MessageType.Offer) offered ??= lease;
  }
  return offered;
}

/** Somebody asked for a lease, and nobody has ever answered. */
function hasNoServer({ frames }: Recording): boolean {
  const messages = frames.map(({ frame }) => dhcpOf(frame)).filter((message) => message !== null);
  return messages.length > 0 && messages.every((message) => message.op === dhcp.Op.Request);
}

function rolesOf(lease: DhcpParameters, recording: Recording): Roles {
  const mask = lease.subnetMask ?? MASK_24;
  const subnet = lease.address & mask;
  const inside = (address: number): boolean => (address & mask) === subnet;
  const gateway = lease.routers.find(inside) ?? lease.serverId ?? guessedRoles(recording).gateway;
  const dns = lease.dns.find((address) => inside(address) && address !== gateway) ?? null;
  return { subnet, mask, gateway, dns };
}

/**
 * Without a lease: a /24 around the first guest. Whom guests ask for names and for nothing else is the name service; the
 * gateway is whom else the network answers for, or whom a guest asks for, or the first in there that it talks to.
 */
function guessedRoles({ frames }: Recording): Roles {
  const { guest, asked, answered, peers } = neighboursOf(frames);
  const subnet = guest === 0 ? DEFAULT_SUBNET : guest & MASK_24;
  const isInside = (one: number): boolean => (one & MASK_24) === subnet && one !== guest && (one & 255) !== 0;
  const names = [...peers].find(([one, isForNames]) => isForNames && isInside(one))?.[0] ?? null;
  const candidates = [...answered, ...asked, ...peers.keys(), subnet + 2, subnet + 1, subnet + 3];
  const gateway = candidates.find((one) => isInside(one) && one !== names) ?? subnet + 4;
  const third = gateway === subnet + 2 && guest !== subnet + 3 ? subnet + 3 : null;
  return { subnet, mask: MASK_24, gateway, dns: names ?? third };
}

/** Whom the first guest is, whom guests ask for by ARP, for whom the network answers, and whom they send packets to. */
function neighboursOf(frames: Recording['frames']): {
  readonly guest: number;
  readonly asked: ReadonlySet<number>;
  readonly answered: ReadonlySet<number>;
  /** In a guest's /24; true where all of it was for port 53. */
  readonly peers: ReadonlyMap<number, boolean>;
} {
  let guest = 0;
  const asked = new Set<number>();
  const answered = new Set<number>();
  const peers = new Map<number, boolean>();
  for (const { frame, guest: from } of frames) {
    const { ip } = frame;
    if (from === null) {
      if (frame.arp?.op === arp.Op.Reply) answered.add(frame.arp.senderIp);
      continue;
    }
    if (guest === 0) guest = frame.arp?.senderIp ?? ip?.src ?? 0;
    if (frame.arp?.op === arp.Op.Request && frame.arp.targetIp !== frame.arp.senderIp)
      asked.add(frame.arp.targetIp);
    if (ip === null || frame.isGroup || (ip.dst & MASK_24) !== (ip.src & MASK_24)) continue;
    const isForNames = ip.end - ip.l4 >= 4 && frame.memory.view.getUint16(ip.l4 + 2) === DNS_PORT;
    if (peers.size < MAX_PEERS || peers.has(ip.dst))
      peers.set(ip.dst, isForNames && peers.get(ip.dst) !== false);
  }
  return { guest, asked, answered, peers };
}

function configOf(roles: Roles, lease: DhcpParameters | null, recording: Recording): NetworkConfig {
  const config: NetworkConfig = {
    subnet: `${formatIpv4Word(roles.subnet)}/${Math.clz32(~roles.mask)}`,
    gateway: formatIpv4Word(roles.gateway),
    limits: { arenaBytes: ARENA_BYTES },
    ...(roles.dns === null ? {} : { dns: { address: formatIpv4Word(roles.dns) } }),
    ...(lease === null || lease.mtu === null || lease.mtu < 68 ? {} : { mtu: Math.min(lease.mtu, 65_521) }),
  };
  if (hasNoServer(recording)) return { ...config, dhcp: false };
  return { ...config, dhcp: lease === null ? {} : dhcpSettings(lease) };
}

/** What its administrator had told the recorded server. */
function dhcpSettings(lease: DhcpParameters): DhcpConfig {
  const { leaseSeconds, hostname, domainName, domainSearch, tftpServerName, bootfile } = lease;
  const word = (text: string | null, most: number): boolean =>
    text !== null && text.length > 0 && text.length <= most && /^[!-~]+$/.test(text);
  return {
    ...(leaseSeconds !== null && leaseSeconds >= 60 && leaseSeconds <= 31_536_000 ? { leaseSeconds } : {}),
    ...(word(hostname, 255) ? { hostname: hostname ?? '' } : {}),
    ...(word(domainName, 255) ? { domainName: domainName ?? '' } : {}),
    ...(domainSearch.length > 0 ? { domainSearch } : {}),
    ...(word(tftpServerName, 63) ? { tftpServerName: tftpServerName ?? '' } : {}),
    ...(word(bootfile, 127) ? { bootfile: bootfile ?? '' } : {}),
  };
}

function leasesOf({ frames, guests }: Recording, roles: Roles): Map<string, number> {
  const leases = new Map<string, number>();
  const taken = new Set([roles.gateway, roles.dns]);
  for (const { frame, guest } of frames) {
    const message = guest === null ? dhcpOf(frame) : null;
    if (message?.type !== dhcp.MessageType.Ack || message.yiaddr === 0) continue;
    const mac = guests.find((one) => one === frame.dst) ?? formatMac(message.chaddr.hi, message.chaddr.lo);
    if (leases.has(mac) || taken.has(message.yiaddr)) continue;
    taken.add(message.yiaddr);
    leases.set(mac, message.yiaddr);
  }
  return leases;
}

function forwardsOf({ frames }: Recording): LearnedForward[] {
  const found = new Map<string, LearnedForward>();
  const tcp = new TcpConversations();
  const spoken = new Set<string>();
  for (const { frame, guest } of frames) {
    const { ip, bytes } = frame;
    if (ip === null) continue;
    if (ip.proto === Protocol.Tcp) {
      const seen = tcp.take(frame, guest ?? frame.dst, guest !== null);
      if (seen?.isNew !== true || !seen.conversation.isInbound) continue;
      const { guestAddress, guestPort } = seen.conversation;
      keep(found, { proto: 'tcp', guestAddress, guestPort });
    }
    const datagram = ip.proto === Protocol.Udp ? decodeUdp(bytes.subarray(ip.l4, ip.end)) : null;
    if (datagram === null || ip.fragmentOffset > 0 || frame.isGroup) continue;
    if (datagram.srcPort === dhcp.SERVER_PORT || datagram.srcPort === dhcp.CLIENT_PORT) continue;
    if (guest !== null) spoken.add(endpointText(ip.src, datagram.srcPort));
    else if (!spoken.has(endpointText(ip.dst, datagram.dstPort)))
      keep(found, { proto: 'udp', guestAddress: ip.dst, guestPort: datagram.dstPort });
  }
  return [...found.values()];
}

function keep(found: Map<string, LearnedForward>, forward: LearnedForward): void {
  const key = `${forward.proto} ${endpointText(forward.guestAddress, forward.guestPort)}`;
  if (found.size < MAX_FORWARDS && !found.has(key) && forward.guestPort > 0) found.set(key, forward);
}

/** What `learned` adds to `config` for the conversations that the network opened; `ours`: an address as it is here. */
export function withForwards(
  config: NetworkConfig,
  learned: Learned,
  ours: (address: number) => number,
): NetworkConfig {
  const forwards = learned.forwards.map(({ proto, guestAddress, guestPort }, i) => ({
    proto,
    // The n-th is on port FIRST_FORWARD_PORT + n.
    host: `${FORWARD_ADDRESS}:${FIRST_FORWARD_PORT + i}`,
    guest: endpointText(ours(guestAddress), guestPort),
  }));
  const { dhcp } = config;
  if (dhcp === false || learned.leases.size === 0) return { ...config, forwards };
  const staticLeases: Record<string, string> = {};
  for (const [mac, address] of learned.leases) staticLeases[mac] = formatIpv4Word(ours(address));
  return { ...config, forwards, dhcp: { ...dhcp, staticLeases } };
}
