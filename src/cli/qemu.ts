// `usernet qemu`: runs a QEMU command with our networks in the place of its own. Each listens in a private folder before
// QEMU is started, and ends with it.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../network/config.ts';
import type { EventHandlers } from '../network/events.ts';
import { LinkNames, listenQemu, type OnLink, type QemuPort } from '../node/qemu-port.ts';
import { type Args, type Command, UsageError } from './args.ts';
import { networkLines } from './banner.ts';
import { openCaptures } from './capture-file.ts';
import {
  NET_OPTION,
  netOption,
  PCAP_OPTION,
  RESOLVER_OPTION,
  STATS_OPTION,
  statsFormat,
  withResolvers,
} from './options.ts';
import { say } from './output.ts';
import { type PlannedNetwork, planQemu, type QemuPlan } from './qemu-command.ts';
import { Session, type SessionOptions, within } from './session.ts';
import { exitStatus, onSignals } from './signals.ts';

const CLOSE_MS = 600;
/** What shells say for a command that is not there, or may not be run. */
const NOT_FOUND = 127;
const NOT_RUN = 126;

export const qemu: Command = {
  name: 'qemu',
  summary: 'run a QEMU command with its user networking replaced',
  usage: [
    "qemu [--net 'user,...'] [--resolver ADDRESS[:PORT] ...]",
    '    [--pcap FILE[,OPTION=VALUE...] ...] [--stats text|json]',
    '    -- qemu-system-x86_64 ...',
  ],
  options: [NET_OPTION, RESOLVER_OPTION, PCAP_OPTION, STATS_OPTION],
  notes: [
    'Each -netdev user, -nic user and -net user of the command, or the network that QEMU makes when nothing is said of ' +
      'networks, becomes a stream netdev of the same id with the same NIC and the same options; those of --net come ' +
      'before them. Other networks stay as they are.',
    'QEMU has the terminal and gets the signals, and its exit status is ours; 127 when it is not found. Statistics are ' +
      'printed on standard output on SIGUSR1, and, with --stats, when QEMU has ended.',
  ],
  rest: 'COMMAND',
  run: qemuCommand,
};

async function qemuCommand(args: Args): Promise<number> {
  if (args.rest.length === 0)
    throw new UsageError('qemu: the command is missing: usernet qemu -- qemu-system-x86_64 ...');
  const { base } = netOption(args);
  const folder = mkdtempSync(join(tmpdir(), 'usernet-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  let networks: Networks | null = null;
  const relay = new SignalRelay(() => networks?.print());
  const plan = planQemu(args.rest, base, (index) => join(folder, `${index}.sock`));
  const captures = openCaptures(args.all('pcap'));
  const format = statsFormat(args);
  networks = new Networks({ format: format ?? 'text', wrap: captures.wrap, events: EVENTS });
  try {
    for (const network of plan.networks) {
      await networks.open({ ...network, config: withResolvers(network.config, args) });
    }
    const status = await runQemu(plan, relay);
    if (plan.daemonize && status === 0) await networks.untilEmpty();
    if (format !== null) networks.print();
    return status;
  } finally {
    const closed = await within(CLOSE_MS, Promise.all([networks.close(), captures.close()]));
    if (!closed) setTimeout(() => process.exit(), 100).unref();
  }
}

/** QEMU has the terminal: nothing is said there but trouble. */
const EVENTS: EventHandlers = { error: ({ message }) => say(message) };

class Networks {
  private readonly options: SessionOptions;
  private readonly sessions: Session[] = [];
  private readonly ports: QemuPort[] = [];
  private readonly names = new LinkNames();
  private guests = 0;
  private whenEmpty: (() => void) | null = null;

  constructor(options: SessionOptions) {
    this.options = options;
  }

  async open(plan: PlannedNetwork): Promise<void> {
    const { events } = this.options;
    const session = new Session(plan.id, plan.config, {
      ...this.options,
      events: { ...events, 'guest-up': () => this.count(1), 'guest-down': () => this.count(-1) },
    });
    this.sessions.push(session);
    await session.start();
    const spec = { kind: 'unix', path: plan.socket, server: true } as const;
    const onLink: OnLink = (link) => session.attach(link);
    this.ports.push(await listenQemu(spec, onLink, this.names, { onFull: say }));
    for (const line of [...networkLines(parseConfig(plan.config)), ...plan.notes]) say(`${plan.id}: ${line}`);
  }

  /** Resolves when no guest is there any more, or a signal says that this is enough. */
  untilEmpty(): Promise<void> {
    return new Promise((resolve) => {
      onSignals({ onEnd: () => resolve(), onStats: () => this.print() });
      this.whenEmpty = resolve;
      this.count(0);
    });
  }

  print(): void {
    for (const session of this.sessions) session.print();
  }

  async close(): Promise<void> {
    const parts = [...this.ports, ...this.sessions];
    await Promise.all(parts.map((part) => part.close()));
  }

  private count(change: number): void {
    this.guests += change;
    if (this.guests === 0) this.whenEmpty?.();
  }
}

/** Resolves to the exit status. */
function runQemu(plan: QemuPlan, relay: SignalRelay): Promise<number> {
  const [program = '', ...args] = plan.argv;
  const child = spawn(program, args, { stdio: 'inherit' });
  relay.child = child;
  return new Promise<number>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      // A folder of PATH that may not be entered makes a missing program look like a forbidden one.
      const missing = error.code === 'ENOENT' || (error.code === 'EACCES' && !program.includes('/'));
      say(missing ? `${program}: not found` : `${program}: ${error.message}`);
      resolve(missing ? NOT_FOUND : NOT_RUN);
    });
    child.once('exit', (code, signal) => resolve(code ?? exitStatus(signal ?? 'SIGKILL')));
  }).finally(() => relay.stop());
}

/** Signals go to QEMU, which ends as it sees fit, and we with it. Before there is a QEMU they end this program. */
class SignalRelay {
  child: ChildProcess | null = null;
  private readonly onStats: () => void;

  constructor(onStats: () => void) {
    this.onStats = onStats;
    process.on('SIGINT', this.interrupt).on('SIGTERM', this.pass).on('SIGHUP', this.pass);
    process.on('SIGUSR1', this.onStats).on('exit', this.leave);
  }

  stop(): void {
    process.off('SIGINT', this.interrupt).off('SIGTERM', this.pass).off('SIGHUP', this.pass);
    process.off('SIGUSR1', this.onStats).off('exit', this.leave);
  }

  private readonly pass = (signal: NodeJS.Signals): void => {
    if (this.child === null) process.exit(exitStatus(signal));
    this.child.kill(signal);
  };

  /** Ctrl-C in a terminal reaches every process of the job: QEMU has it already. */
  private readonly interrupt = (signal: NodeJS.Signals): void => {
    const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
    if (this.child === null || !onTerminal) this.pass(signal);
  };

  /** A guest without its network is of no use. */
  private readonly leave = (): void => {
    this.child?.kill('SIGTERM');
  };
}
