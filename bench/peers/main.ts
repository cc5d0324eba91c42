// End to end beside the C engine: Linux's own TCP as the guest, iperf3 to a server on the host's loopback through
// 10.0.2.2, engines in turn, several rounds, the median of the ratios. Root, with iproute2, iperf3, slirp4netns and a C
// compiler:   npm run bench:peers -- [--rounds 5] [--seconds 3] [--json FILE]
//
// The guest of usernet is bench/peers/tap-pump.c in a network namespace, joined by a unix socket as QEMU would be;
// slirp4netns owns its TAP. So usernet pays for a hop that slirp4netns does not have.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  addNamespace,
  cleanUp,
  cpuSeconds,
  deleteNamespace,
  iperf,
  median,
  run,
  start,
  stop,
  untilPrinted,
} from './machine.ts';

const IPERF_PORT = 5209;
const GATEWAY = '10.0.2.2';
const MTU = 1500;

interface Engine {
  readonly name: string;
  readonly version: string;
  /** Brings up a namespace whose default route leads into the engine; the engine's process. */
  up(ns: string): Promise<{ pid: number; down(): Promise<void> }>;
}

interface Row {
  readonly name: string;
  readonly streams: number;
  readonly reverse: boolean;
}

const ROWS: readonly Row[] = [
  { name: 'guest to host, 1 stream', streams: 1, reverse: false },
  { name: 'guest to host, 8 streams', streams: 8, reverse: false },
  { name: 'host to guest, 1 stream', streams: 1, reverse: true },
  { name: 'host to guest, 8 streams', streams: 8, reverse: true },
];

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    json: { type: 'string' },
    cli: { type: 'string', default: resolve('dist/usernet.mjs') },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'usernet-bench-'));
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => void leave().finally(() => process.exit(128 + constants.signals[name])));
try {
  await main();
} finally {
  await leave();
}

/** Leaves nothing behind, also when it is interrupted. */
async function leave(): Promise<void> {
  await cleanUp();
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const pump = join(folder, 'tap-pump');
  execFileSync('cc', ['-O2', '-o', pump, resolve('bench/peers/tap-pump.c'), '-lpthread']);
  const engines = [usernet(pump), slirp4netns()];
  const server = start('iperf3', ['-s', '-p', String(IPERF_PORT), '--forceflush']);
  await untilPrinted(server, 'listening');
  const samples = new Map<string, { gbits: number[]; cpu: number[] }>();
  const rounds = Number(values.rounds);
  for (let round = 0; round < rounds; round++) {
    // The order turns round, so that neither always comes first.
    const order = round % 2 === 0 ? engines : [...engines].reverse();
    for (const engine of order) await measure(engine, samples, round, rounds);
  }
  report(engines, samples, rounds);
}

async function measure(
  engine: Engine,
  samples: Map<string, { gbits: number[]; cpu: number[] }>,
  round: number,
  rounds: number,
): Promise<void> {
  const ns = `unb${process.pid % 10000}`;
  addNamespace(ns);
  try {
    const up = await engine.up(ns);
    for (const row of ROWS) {
      const before = cpuSeconds(up.pid);
      const gbits = await iperf(ns, GATEWAY, IPERF_PORT, row.streams, row.reverse, Number(values.seconds));
      const cpu = (cpuSeconds(up.pid) - before) / (Number(values.seconds) + 0.5);
      const sample = samples.get(`${engine.name} ${row.name}`) ?? { gbits: [], cpu: [] };
      sample.gbits.push(gbits);
      sample.cpu.push(cpu);
      samples.set(`${engine.name} ${row.name}`, sample);
      process.stderr.write(
        `round ${round + 1}/${rounds}  ${engine.name.padEnd(12)} ${row.name}: ${gbits.toFixed(2)} Gbit/s\n`,
      );
    }
    await up.down();
  } finally {
    deleteNamespace(ns);
  }
}

function usernet(pump: string): Engine {
  return {
    name: 'usernet',
    version: JSON.parse(readFileSync('package.json', 'utf8')).version as string,
    async up(ns) {
      const socket = join(folder, `${ns}.sock`);
      const engine = start(process.execPath, [
        values.cli,
        'run',
        '--link',
        `unix:${socket}`,
        '--net',
        `user,mtu=${MTU}`,
      ]);
      await untilPrinted(engine, socket);
      const guest = start('ip', ['netns', 'exec', ns, pump, 'tap0', socket]);
      await untilPrinted(guest, 'ready');
      configure(ns);
      return {
        pid: engine.pid ?? 0,
        down: async () => {
          await stop(guest);
          await stop(engine);
        },
      };
    },
  };
}

function slirp4netns(): Engine {
  return {
    name: 'slirp4netns',
    version: run('slirp4netns', ['--version']).split('\n').slice(0, 3).join(', '),
    async up(ns) {
      const engine = start('slirp4netns', [
        '--netns-type=path',
        `--mtu=${MTU}`,
        '--ready-fd=1',
        `/var/run/netns/${ns}`,
        'tap0',
      ]);
      await untilPrinted(engine, '1');
      configure(ns);
      return { pid: engine.pid ?? 0, down: () => stop(engine) };
    },
  };
}

/** The guest's side, by hand: the same for every engine. */
function configure(ns: string): void {
  const ip = (...args: string[]): void => void run('ip', ['-n', ns, ...args]);
  run('ip', ['netns', 'exec', ns, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1']);
  ip('link', 'set', 'lo', 'up');
  ip('link', 'set', 'tap0', 'mtu', String(MTU), 'txqueuelen', '8192', 'up');
  ip('addr', 'replace', '10.0.2.15/24', 'dev', 'tap0');
  ip('route', 'replace', 'default', 'via', GATEWAY);
}

function report(
  engines: readonly Engine[],
  samples: Map<string, { gbits: number[]; cpu: number[] }>,
  rounds: number,
): void {
  const of = (engine: string, row: Row) => samples.get(`${engine} ${row.name}`)!;
  const congestion = readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
  const rows = ROWS.map((row) => {
    const [ours, theirs] = [of('usernet', row), of('slirp4netns', row)];
    const ratios = ours.gbits.map((gbits, i) => gbits / theirs.gbits[i]!);
    return {
      name: row.name,
      usernet: median(ours.gbits),
      usernetCpu: median(ours.cpu),
      slirp4netns: median(theirs.gbits),
      slirp4netnsCpu: median(theirs.cpu),
      ratio: median(ratios),
      ratios,
    };
  });
  const out = [
    `TCP, MTU ${MTU}, ${rounds} interleaved rounds of ${values.seconds} s, medians; both ends on ${congestion}`,
    `${engines.map((engine) => `${engine.name} ${engine.version}`).join('; ')}`,
    `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    '',
    '| | usernet Gbit/s (CPU) | slirp4netns Gbit/s (CPU) | median ratio |',
    '|---|---|---|---|',
    ...rows.map((row) => {
      const cell = (gbits: number, cpu: number): string => `${gbits.toFixed(2)} (${Math.round(cpu * 100)} %)`;
      return `| ${row.name} | ${cell(row.usernet, row.usernetCpu)} | ${cell(row.slirp4netns, row.slirp4netnsCpu)} | ${row.ratio.toFixed(2)} |`;
    }),
  ];
  process.stdout.write(`${out.join('\n')}\n`);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ rounds, congestion, rows }, null, 2)}\n`);
}
