// The networks that the fuzzer throws frames at: each different in what is switched on, and with low limits, so that
// every one of them is reached.

import type { NetworkConfig } from '../../src/network/config.ts';

export interface WorldSpec {
  readonly name: string;
  readonly config: NetworkConfig;
  /** Longest frame of each guest's link. The first guest is the well-behaved one. */
  readonly maxFrames: readonly number[];
  /** Where guests are: their addresses end in .15, .16 ... from this one on. */
  readonly firstGuest: number;
}

const LIMITS = { tcpFlows: 32, udpFlows: 24, pendingConnects: 12, macs: 24, leases: 200 };
const MIB = 1 << 20;
const FORWARDS: NetworkConfig['forwards'] = [
  { proto: 'tcp', host: '127.0.0.1:2222', guest: '10.0.2.15:22' },
  { proto: 'udp', host: '127.0.0.1:5353', guest: '10.0.2.15:53' },
  { proto: 'tcp', host: '127.0.0.1:8080', guest: '10.0.2.16:80' },
  { proto: 'udp', host: '127.0.0.1:6969', guest: '10.0.2.16:69' },
  { proto: 'udp', host: '127.0.0.1:6970', guest: '10.0.2.16:69' },
  { proto: 'tcp', host: '127.0.0.1:8443', guest: '10.0.2.99:443' },
  { proto: 'udp', host: '127.0.0.1:8444', guest: '10.0.2.99:443' },
];
const GUEST = 0x0a00020f;

export const WORLDS: readonly WorldSpec[] = [
  {
    name: 'usual',
    config: { forwards: FORWARDS, limits: { ...LIMITS, flowBytes: 262144, arenaBytes: 8 * MIB } },
    maxFrames: [1514, 1514, 1514],
    firstGuest: GUEST,
  },
  {
    name: 'tight',
    config: {
      mtu: 576,
      congestion: 'newreno',
      forwards: FORWARDS,
      dhcp: { leaseSeconds: 60 },
      limits: {
        ...{ tcpFlows: 6, udpFlows: 3, pendingConnects: 2, macs: 4, leases: 8 },
        ...{ flowBytes: 65536, arenaBytes: 8 * MIB },
      },
      timeouts: { connect: 5000, udpIdle: 1000, timeWait: 500 },
    },
    maxFrames: [1514, 590],
    firstGuest: GUEST,
  },
  {
    name: 'jumbo',
    config: {
      mtu: 9000,
      udpFullCone: true,
      pacing: false,
      limits: { ...LIMITS, flowBytes: 2 * MIB, arenaBytes: 16 * MIB },
    },
    maxFrames: [65549, 9014],
    firstGuest: GUEST,
  },
  {
    name: 'restricted',
    config: { restrict: true, forwards: FORWARDS, limits: { ...LIMITS, arenaBytes: 8 * MIB } },
    maxFrames: [1514, 1514],
    firstGuest: GUEST,
  },
  {
    name: 'configured',
    config: {
      hostLoopback: false,
      linkLocal: true,
      congestion: 'newreno',
      dns: { address: '10.0.2.53', resolvers: ['192.0.2.53'] },
      dhcp: {
        ...{
          first: '10.0.2.15',
          last: '10.0.2.30',
          leaseSeconds: 120,
          hostname: 'vm',
          domainName: 'example.org',
        },
        ...{
          domainSearch: ['example.org', 'a.example.net'],
          tftpServerName: '10.0.2.4',
          bootfile: 'pxelinux.0',
        },
        staticLeases: { '52:54:00:00:00:01': '10.0.2.20', '52:54:00:00:00:02': '10.0.2.200' },
      },
      limits: { ...LIMITS, leases: 12, flowBytes: 4096, arenaBytes: 8 * MIB },
    },
    maxFrames: [1514, 1514],
    firstGuest: GUEST,
  },
  {
    name: 'small-subnet',
    config: {
      subnet: '10.0.2.0/29',
      dhcp: false,
      dns: false,
      limits: { ...LIMITS, flowBytes: 131072, arenaBytes: 8 * MIB },
    },
    maxFrames: [1514, 1514],
    firstGuest: 0x0a000204,
  },
];

/** The network of that name; throws where there is none. */
export function worldOf(name: string): WorldSpec {
  const found = WORLDS.find((world) => world.name === name);
  if (found === undefined) throw new Error(`no world is called ${name}`);
  return found;
}
