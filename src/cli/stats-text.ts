// Statistics for a person: one subject a line, counters that are zero left out.

import type { FaultCounts } from '../link/fault-stats.ts';
import type { LinkLosses } from '../link/link.ts';
import type {
  FlowStats,
  LeaseStats,
  LinkStats,
  NetworkStats,
  TcpFlowStats,
  TcpStats,
} from '../network/stats.ts';

/** Several lines, the last one ended. `title` is said first, `busiest` are the flows to list. */
export function statsText(title: string, stats: NetworkStats, busiest: readonly FlowStats[] = []): string {
  const { flows, links, leases } = stats;
  const more = flows.tcp + flows.udp - busiest.length;
  const lines = [
    `${title}: up ${duration(stats.uptime / 1000)}`,
    row(
      'flows',
      `tcp ${flows.tcp} open, ${flows.tcpOpened} in all; udp ${flows.udp} open, ${flows.udpOpened} in all`,
    ),
    ...busiest.map((flow) => row('flow', flowText(flow))),
    ...(busiest.length > 0 && more > 0 ? [row('flow', `and ${more} more`)] : []),
    ...(leases.length === 0
      ? [row('leases', 'none')]
      : leases.map((lease) => row('lease', leaseText(lease)))),
    ...(links.length === 0 ? [row('links', 'none')] : links.flatMap(linkRows)),
    row('frames', `${stats.accepted} accepted, ${sum(stats.drops)} dropped`),
    row('dropped', named(stats.drops)),
    row('lost', named(stats.losses)),
    row('tcp', tcpText(stats.tcp)),
    row('memory', `${bytes(stats.arena.used)} of ${bytes(stats.arena.size)} in use, ${stats.timers} timers`),
  ];
  return `${lines.join('\n')}\n`;
}

function row(subject: string, text: string): string {
  return `  ${subject.padEnd(8)} ${text}`;
}

function flowText(flow: FlowStats): string {
  const parts = [
    `${bytes(flow.bytesToHost)} to the host`,
    `${bytes(flow.bytesToGuest)} to the guest`,
    ...(flow.kind === 'tcp' ? tcpFlowParts(flow) : []),
    `idle ${duration(flow.idle / 1000)}`,
  ];
  const state = flow.kind === 'tcp' ? ` ${flow.state}` : '';
  return `${flow.kind} ${flow.guest} to ${flow.remote}${state}: ${parts.join(', ')}`;
}

/** What waits, and why; and how the guest is reached. */
function tcpFlowParts(flow: TcpFlowStats): string[] {
  const { toHost, unacked, unsent, spilled } = flow.queues;
  const toGuest = unacked + unsent + spilled;
  const parts: [string, boolean][] = [
    [`${bytes(toHost)} wait for the host`, toHost > 0],
    ['our window closed', flow.ownWindowClosed],
    [`${bytes(toGuest)} wait for the guest`, toGuest > 0],
    ["the guest's window closed", flow.guestWindowClosed],
    ['host paused', flow.hostPaused],
    [`rtt ${Math.round(flow.rtt ?? 0)} ms`, flow.rtt !== null],
    [`cwnd ${bytes(flow.cwnd)}`, flow.rtt !== null],
    [`${flow.retransmits} retransmits`, flow.retransmits > 0],
  ];
  return parts.filter(([, said]) => said).map(([text]) => text);
}

function leaseText(lease: LeaseStats): string {
  return `${lease.address} to ${lease.mac}, ${duration(lease.secondsLeft)} left`;
}

function linkRows(link: LinkStats): string[] {
  const { faults } = link;
  const rows = [row('link', linkText(link))];
  if (faults === undefined) return rows;
  const text = `to the guest ${faultText(faults.toGuest)}; from the guest ${faultText(faults.fromGuest)}`;
  return [...rows, row('faults', `${link.name}: ${text}`)];
}

function faultText(counts: FaultCounts): string {
  const said: [string, number][] = [
    ['passed', counts.passed],
    ['lost', counts.lost],
    ['duplicated', counts.duplicated],
    ['reordered', counts.reordered],
    ['corrupted', counts.corrupted],
    ['dropped by a full queue', counts.queueFull],
    ['dropped for lack of memory', counts.noMemory],
    ['cut off', counts.cutOff],
    ['waiting', counts.waiting],
  ];
  const parts = said.filter(([, n], i) => i === 0 || n > 0);
  return parts.map(([name, n]) => `${n} ${name}`).join(', ');
}

function linkText(link: LinkStats): string {
  const fromGuest = `${link.framesIn} frames, ${link.bytesIn} bytes`;
  const toGuest = `${link.framesOut} frames, ${link.bytesOut} bytes${lossText(link.losses)}`;
  return `${link.name} ${link.up ? 'up' : 'down'}: from the guest ${fromGuest}; to the guest ${toGuest}`;
}

function lossText(losses: LinkLosses | undefined): string {
  if (losses === undefined) return '';
  const down = losses.whileDown === 0 ? '' : `, ${losses.whileDown} lost while it was down`;
  return losses.refused === 0 ? down : `${down}, ${losses.refused} lost because the system did not take them`;
}

function tcpText(tcp: TcpStats): string {
  const counts: [string, number][] = [
    ['segments in', tcp.segmentsIn],
    ['out', tcp.segmentsOut],
    ['retransmits', tcp.retransmits],
    ['bytes sent again', tcp.retransmittedBytes],
    ['recoveries', tcp.fastRetransmits],
    ['timeouts', tcp.timeouts],
    ['tail loss probes', tcp.tailLossProbes],
    ['for nothing', tcp.undone],
    ['resets sent', tcp.resetsOut],
    ['challenge ACKs', tcp.challengeAcks],
    ['out of order', tcp.outOfOrder],
    ['window probes', tcp.windowProbes],
  ];
  const said = counts.filter(([, n], i) => i < 2 || n > 0);
  return said.map(([name, n]) => `${name} ${n}`).join(', ');
}

function named(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, n]) => `${name} ${n}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0);
}

/** `0.4 s`, `12 s`, `3 min 20 s`, `23 h 59 min`, `2 d 3 h`. */
function duration(seconds: number): string {
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

function bytes(n: number): string {
  if (n < 1024) return `${n} bytes`;
  if (n < 1 << 20) return `${Number((n / 1024).toFixed(1))} KiB`;
  return `${Number((n / (1 << 20)).toFixed(1))} MiB`;
}
