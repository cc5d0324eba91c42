import { expect, test } from 'vitest';
import { statsText } from '../../src/cli/stats-text.ts';
import type { NetworkStats, TcpFlowStats } from '../../src/network/stats.ts';

const tcp = {
  segmentsIn: 10,
  segmentsOut: 12,
  retransmittedBytes: 0,
  retransmits: 0,
  fastRetransmits: 0,
  undone: 0,
  tailLossProbes: 0,
  timeouts: 0,
  resetsOut: 3,
  challengeAcks: 0,
  outOfOrder: 0,
  windowProbes: 0,
};

const idle: NetworkStats = {
  uptime: 400,
  flows: { tcp: 0, udp: 0, tcpOpened: 0, udpOpened: 0 },
  links: [],
  leases: [],
  tcp,
  drops: {},
  accepted: 0,
  losses: {},
  arena: { size: 128 << 20, used: 0 },
  timers: 0,
};

test('flows, leases, links with frames and bytes, and each drop by its name', () => {
  const text = statsText('network 10.0.2.0/24', {
    ...idle,
    uptime: 200_000,
    flows: { tcp: 1, udp: 2, tcpOpened: 30, udpOpened: 4 },
    links: [{ name: 'qemu0', up: true, framesIn: 5, bytesIn: 700, framesOut: 6, bytesOut: 8000 }],
    leases: [{ mac: '52:54:00:12:34:56', address: '10.0.2.15', secondsLeft: 86399 }],
    drops: { IcmpByDesign: 4, TcpNoFlow: 1 },
    accepted: 95,
    losses: { UdpFiltered: 2 },
    arena: { size: 128 << 20, used: 1536 },
    timers: 7,
  });
  expect(text.split('\n')).toEqual([
    'network 10.0.2.0/24: up 3 min 20 s',
    '  flows    tcp 1 open, 30 in all; udp 2 open, 4 in all',
    '  lease    10.0.2.15 to 52:54:00:12:34:56, 23 h 59 min left',
    '  link     qemu0 up: from the guest 5 frames, 700 bytes; to the guest 6 frames, 8000 bytes',
    '  frames   95 accepted, 5 dropped',
    '  dropped  IcmpByDesign 4, TcpNoFlow 1',
    '  lost     UdpFiltered 2',
    '  tcp      segments in 10, out 12, resets sent 3',
    '  memory   1.5 KiB of 128 MiB in use, 7 timers',
    '',
  ]);
});

test('a link that is bad on purpose: a line of what it did, zeros left out', () => {
  const counted = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0, queueFull: 0, noMemory: 0 };
  const none = { ...counted, cutOff: 0, waiting: 0 };
  const text = statsText('usernet0', {
    ...idle,
    links: [
      {
        ...{ name: 'qemu0', up: false, framesIn: 5, bytesIn: 700, framesOut: 6, bytesOut: 8000 },
        faults: {
          toGuest: { ...none, passed: 90, lost: 3, queueFull: 7, cutOff: 1 },
          fromGuest: { ...none, passed: 80, duplicated: 2, reordered: 4, corrupted: 1, waiting: 6 },
        },
      },
      { name: 'qemu1', up: true, framesIn: 0, bytesIn: 0, framesOut: 0, bytesOut: 0 },
    ],
  });
  expect(text.split('\n').filter((line) => /link|faults/.test(line))).toEqual([
    '  link     qemu0 down: from the guest 5 frames, 700 bytes; to the guest 6 frames, 8000 bytes',
    '  faults   qemu0: to the guest 90 passed, 3 lost, 7 dropped by a full queue, 1 cut off; ' +
      'from the guest 80 passed, 2 duplicated, 4 reordered, 1 corrupted, 6 waiting',
    '  link     qemu1 up: from the guest 0 frames, 0 bytes; to the guest 0 frames, 0 bytes',
  ]);
});

test('what a link itself has lost is told with what it was sent', () => {
  const seen = { up: true, framesIn: 5, bytesIn: 700, framesOut: 6, bytesOut: 8000 };
  const text = statsText('network', {
    ...idle,
    links: [
      { name: 'tap0', ...seen, losses: { whileDown: 3, refused: 0 } },
      { name: 'tap1', ...seen, losses: { whileDown: 1, refused: 2 } },
      { name: 'tap2', ...seen, losses: { whileDown: 0, refused: 0 } },
    ],
  });
  const row = (name: string): string =>
    `  link     ${name} up: from the guest 5 frames, 700 bytes; to the guest 6 frames, 8000 bytes`;
  expect(text.split('\n').filter((line) => line.includes('link'))).toEqual([
    `${row('tap0')}, 3 lost while it was down`,
    `${row('tap1')}, 1 lost while it was down, 2 lost because the system did not take them`,
    row('tap2'),
  ]);
});

test('a network where nothing happened', () => {
  const text = statsText('usernet0', idle);
  expect(text).toContain('usernet0: up 0.4 s\n');
  expect(text).toContain('leases   none\n');
  expect(text).toContain('links    none\n');
  expect(text).toContain('dropped  none\n');
});

const flow: TcpFlowStats = {
  ...{ id: 1, kind: 'tcp', guest: '10.0.2.15:40000', remote: '198.51.100.7:80', state: 'ESTABLISHED' },
  ...{ bytesToHost: 700, bytesToGuest: 3 << 20, age: 9000, idle: 0 },
  queues: { toHost: 0, unacked: 0, unsent: 0, spilled: 0 },
  ...{ rtt: null, cwnd: 14_600, ssthresh: 65_536, sndWnd: 65_535, rcvWnd: 65_536, retransmits: 0 },
  ...{ guestWindowClosed: false, hostPaused: false, ownWindowClosed: false },
};

test('the busiest flows, with what waits and why, and how many more there are', () => {
  const blocked: TcpFlowStats = {
    ...{ ...flow, id: 2, state: 'CLOSE-WAIT', rtt: 20.4, retransmits: 7, idle: 65_000 },
    queues: { toHost: 100, unacked: 1024, unsent: 1024, spilled: 1024 },
    ...{ guestWindowClosed: true, hostPaused: true, ownWindowClosed: true },
  };
  const stats = { ...idle, flows: { tcp: 4, udp: 1, tcpOpened: 4, udpOpened: 1 } };
  const text = statsText('net', stats, [
    flow,
    blocked,
    {
      ...{ id: 3, kind: 'udp', guest: '10.0.2.15:5000', remote: '10.0.2.3:53' },
      ...{ bytesToHost: 40, bytesToGuest: 90, age: 10, idle: 10, remotes: 1 },
    },
  ]);
  expect(text.split('\n').slice(2, 6)).toEqual([
    '  flow     tcp 10.0.2.15:40000 to 198.51.100.7:80 ESTABLISHED: 700 bytes to the host, 3 MiB to the guest, idle 0 s',
    '  flow     tcp 10.0.2.15:40000 to 198.51.100.7:80 CLOSE-WAIT: 700 bytes to the host, 3 MiB to the guest, ' +
      "100 bytes wait for the host, our window closed, 3 KiB wait for the guest, the guest's window closed, " +
      'host paused, rtt 20 ms, cwnd 14.3 KiB, 7 retransmits, idle 1 min 5 s',
    '  flow     udp 10.0.2.15:5000 to 10.0.2.3:53: 40 bytes to the host, 90 bytes to the guest, idle 0 s',
    '  flow     and 2 more',
  ]);
  expect(statsText('net', { ...stats, flows: { ...stats.flows, tcp: 0 } }, [])).not.toContain('more');
});
