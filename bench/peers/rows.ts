// The rows of the tables: what is measured, and the bounds that it has to meet.

import {
  bulk,
  connections,
  datagrams,
  firstOffer,
  idleFlows,
  type Measure,
  memory,
  rawFrames,
  realGuest,
  requestResponse,
} from './measures.ts';
import { GUEST_CONGESTION } from './qemu.ts';

/** Our value over that of `engine`, or our value itself when there is none, has to be at least (or at most) `limit`. */
export interface Bound {
  readonly limit: number;
  readonly engine?: string;
}

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  readonly must: readonly Bound[];
  readonly want: readonly Bound[];
}

export interface Row {
  readonly id: string;
  readonly group: string;
  readonly mtu: number;
  /** Whether servers, engine, pump and load all share one CPU. Latency is only comparable so. */
  readonly isPinned: boolean;
  readonly measure: Measure;
  /** By the names under which `measure` returns them. */
  readonly figures: Readonly<Record<string, Figure>>;
  /** The engines that it is not for: its table has no column of theirs. */
  readonly without?: readonly string[];
  /** What stands above the table of its group. */
  readonly note?: string;
}

const times = (limit: number, engine: string): Bound => ({ limit, engine });

function more(name: string, unit: string, must: readonly Bound[], want: readonly Bound[]): Figure {
  return { name, unit, better: 'more', must, want };
}

function less(name: string, unit: string, must: readonly Bound[], want: readonly Bound[]): Figure {
  return { name, unit, better: 'less', must, want };
}

function bulkRow(
  mtu: number,
  direction: 'up' | 'down',
  streams: number,
  must: readonly Bound[],
  want: readonly Bound[],
  cpu?: Figure,
): Row {
  const ends = direction === 'up' ? 'guest to host' : 'host to guest';
  const name = `${ends}, ${streams} stream${streams > 1 ? 's' : ''}`;
  return {
    id: `tcp-${direction}-${streams}${mtu === 1500 ? '' : '-jumbo'}`,
    group: `TCP, MTU ${mtu}`,
    mtu,
    isPinned: false,
    measure: bulk(direction, streams),
    figures: {
      gbits: more(name, 'Gbit/s', must, want),
      cpuPerGb: cpu ?? less(`the engine's CPU, ${name}`, 's/GB', [], []),
    },
  };
}

function row(
  id: string,
  group: string,
  isPinned: boolean,
  measure: Measure,
  figures: Readonly<Record<string, Figure>>,
): Row {
  return { id, group, mtu: 1500, isPinned, measure, figures };
}

const S = 'slirp4netns';
const P = 'passt';

const BULK: readonly Row[] = [
  bulkRow(
    1500,
    'up',
    1,
    [times(4, S), times(0.9, P)],
    [times(1.2, P)],
    less("the engine's CPU, guest to host", 's/GB', [times(1 / 3, S)], [times(1, P)]),
  ),
  bulkRow(1500, 'up', 8, [times(4.5, S), times(0.9, P)], [times(1.2, P)]),
  bulkRow(
    1500,
    'down',
    1,
    [times(1, S)],
    [times(1.4, S)],
    less("the engine's CPU, host to guest", 's/GB', [times(1, S)], [times(1, P)]),
  ),
  bulkRow(1500, 'down', 8, [times(1.05, S)], [times(1.4, S)]),
  bulkRow(65520, 'up', 1, [times(2.5, S)], [times(3.5, S)]),
  bulkRow(65520, 'up', 8, [times(1.7, S)], [times(2.2, S)]),
  bulkRow(65520, 'down', 1, [times(1.3, S)], [times(1, 'pasta')]),
  bulkRow(65520, 'down', 8, [times(1.05, S)], [times(1, 'pasta')]),
];

const LATENCY = 'Request and response, everything on one CPU, MTU 1500';
const RATES = 'Connections and datagrams, MTU 1500';

const SMALL: readonly Row[] = [
  row('rr', LATENCY, true, requestResponse('rr'), {
    rate: more('TCP, one connection', '/s', [times(0.85, P)], [times(1.05, P)]),
  }),
  row('crr', LATENCY, true, requestResponse('crr'), {
    rate: more('connect, a byte each way, close', '/s', [times(0.85, S)], [times(0.9, P)]),
  }),
  row('udp-rr', LATENCY, true, requestResponse('udp-rr'), {
    rate: more('UDP', '/s', [times(0.6, P)], [times(0.9, P)]),
  }),
  row('connect-16', RATES, false, connections(16), {
    rate: more('connections, 16 in parallel', '/s', [times(1, S)], [times(1, P)]),
  }),
  row('udp-up', RATES, false, datagrams('up', 64), {
    rate: more('UDP 64 B, guest to host', 'thousand/s', [times(1.4, S)], [times(1, P)]),
  }),
  row('udp-down', RATES, false, datagrams('down', 1400), {
    rate: more('UDP 1400 B, host to guest', 'thousand/s', [times(1.3, S)], [times(1.3, P)]),
  }),
];

export const STANDING = 'At rest, MTU 1500';

const AT_REST: readonly Row[] = [
  row('start', STANDING, false, firstOffer, {
    ms: less('process begin to first DHCP offer', 'ms', [{ limit: 250 }], [{ limit: 120 }]),
  }),
  row('memory', STANDING, false, memory, {
    idleMib: less('resident, idle', 'MiB', [{ limit: 80 }], [{ limit: 60 }]),
    kibPerFlow: less('resident, for each idle TCP flow', 'KiB', [{ limit: 8 }], [{ limit: 6 }]),
  }),
  row('idle-flows', STANDING, true, idleFlows, {
    echo: less('echo time with 4000 idle flows, over none', 'times', [{ limit: 1.3 }], [{ limit: 1.1 }]),
    connect: less('connection time, the same', 'times', [{ limit: 1.3 }], [{ limit: 1.1 }]),
  }),
];

const RAW = 'Raw frames and TCP in one process, MTU 1500';
const G = 'gondolin';

const RAW_FRAMES: readonly Row[] = [
  row('raw-up', RAW, false, rawFrames('up'), {
    gbits: more('guest to host', 'Gbit/s', [times(3, G)], [times(10, G)]),
  }),
  row('raw-down', RAW, false, rawFrames('down'), {
    gbits: more('host to guest', 'Gbit/s', [times(3, G)], [times(10, G)]),
  }),
];

const REAL = 'iperf3 in a Debian guest, QEMU without KVM, virtio-net, MTU 1500';
const L = 'libslirp';

/** A row with what the table has to say of a guest that is not the one of the other rows. */
function realRow(direction: 'up' | 'down', name: string, must: number, want: number): Row {
  const figures = { mbits: more(name, 'Mbit/s', [times(must, L)], [times(want, L)]) };
  return {
    ...row(`qemu-${direction}`, REAL, false, realGuest(direction), figures),
    // They own a TAP: QEMU has nothing to connect to.
    without: [S, 'pasta'],
    note: `The guest's congestion control is ${GUEST_CONGESTION}. libslirp here is \`-netdev user\` of the guest's own QEMU; the others are on \`-netdev stream\`.`,
  };
}

const REAL_GUEST: readonly Row[] = [
  realRow('up', 'guest to host', 1.6, 2.1),
  realRow('down', 'host to guest', 0.95, 1.05),
];

export const ROWS: readonly Row[] = [...BULK, ...SMALL, ...REAL_GUEST, ...AT_REST, ...RAW_FRAMES];
