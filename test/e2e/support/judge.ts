// Linux as the judge: its TCP in a network namespace as the guest of `usernet run --link tap:...`, through a link that is
// bad on purpose, and for comparison two Linuxes on one switch of ours with the same faults on one of the two links. Every
// TCP in it is on the congestion control that the Judge is told, by route, also the host's end of a connection: the engine
// and its host live in a namespace of their own. Root, iproute2, koffi, dist/usernet.mjs.

import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import type { FaultStats } from '../../../src/link/fault-stats.ts';
import type { NetworkStats } from '../../../src/network/stats.ts';
import { Process, within } from './processes.ts';
import { program } from './requirements.ts';
import { ip } from './tap-guest.ts';

const START_MS = 15_000;
const GATEWAY = '10.0.2.2';
/** Nothing else runs in the namespaces. */
const CLOSED_PORT = '9';
const bulk = join(dirname(program), '../test/e2e/support/bulk.mjs');
const open = new Set<Judge>();
let made = 0;
process.on('exit', () => {
  for (const judge of open) judge.remove();
});

export interface JudgeOptions {
  /** 'usernet': guest to gateway and host. 'linux': guest to a second guest, through the switch only. */
  readonly kind: 'usernet' | 'linux';
  /** Options of the guest's link: `loss=1%,delay=10ms,seed=7`; empty: a good one. */
  readonly faults?: string;
  readonly congestion?: string;
  readonly mtu?: number;
  /** More arguments of `usernet run`. */
  readonly args?: readonly string[];
}

export type Direction = 'guest to host' | 'host to guest';

export interface Transfer {
  readonly direction: Direction;
  readonly bytes: number;
  readonly mbits: number;
  /** Both ends have the same digest of as many bytes. */
  readonly intact: boolean;
}

interface Line {
  readonly bytes: number;
  readonly ms: number;
  readonly digest: string;
}

export class Judge {
  private readonly options: JudgeOptions;
  private readonly id = `${process.pid}j${++made}`;
  private readonly namespaces: string[] = [];
  private readonly processes: Process[] = [];
  private engine!: Process;
  /** Where the other end of a transfer is, and in which namespace it runs. */
  private server = { ns: '', listen: '', address: '' };
  private guest = '';

  private constructor(options: JudgeOptions) {
    this.options = options;
  }

  static async open(options: JudgeOptions): Promise<Judge> {
    const judge = new Judge(options);
    open.add(judge);
    try {
      await judge.start();
      return judge;
    } catch (error) {
      await judge.close();
      throw error;
    }
  }

  /** Moves `bytes` through one connection. Rejects when it takes longer than `ms`. */
  async transfer(direction: Direction, bytes: number, ms: number): Promise<Transfer> {
    const { ns, listen, address } = this.server;
    const serving = this.spawn('server', ns, [process.execPath, bulk, 'serve', listen]);
    const [, port] = await serving.output(/port (\d+)/, START_MS);
    const verb = direction === 'guest to host' ? 'put' : 'get';
    const client = this.spawn('client', this.guest, [
      process.execPath,
      bulk,
      verb,
      address,
      port!,
      `${bytes}`,
    ]);
    try {
      await within(ms, `${this.describe()} ${direction}`, client.exited);
      await serving.output(/digest|error/, START_MS);
    } finally {
      for (const each of [client, serving]) if (each.exit === null) each.killGroup();
    }
    const [sent, got] = verb === 'put' ? [client, serving] : [serving, client];
    const [from, to] = [lineOf(sent), lineOf(got)];
    return {
      direction,
      bytes: to.bytes,
      mbits: (to.bytes * 8) / Math.max(to.ms, 1) / 1000,
      intact: from.bytes === bytes && to.bytes === bytes && from.digest === to.digest,
    };
  }

  /** The shortest of five round trips from the guest to the other end, in milliseconds with a fraction. */
  async roundTrip(): Promise<number> {
    const { address } = this.server;
    const client = this.spawn('client', this.guest, [process.execPath, bulk, 'trip', address, CLOSED_PORT]);
    const [, trip] = await client.output(/trip ([\d.]+)/, START_MS);
    return Number(trip);
  }

  /** Runs a program in the guest's namespace. */
  inGuest(argv: readonly string[]): Process {
    return this.spawn(argv[0]!, this.guest, argv);
  }

  /** The engine's statistics, as it prints them at its end. */
  async close(): Promise<string> {
    let printed = '';
    if (this.engine !== undefined && this.engine.exit === null) {
      await this.engine.stop('SIGTERM', START_MS);
      printed = this.engine.stdout;
    }
    for (const each of this.processes) if (each.exit === null) each.killGroup();
    await Promise.all(this.processes.map((each) => each.exited));
    this.remove();
    return printed;
  }

  remove(): void {
    if (!open.delete(this)) return;
    for (const each of this.processes) if (each.exit === null) each.killGroup();
    for (const ns of this.namespaces) ip('netns', 'del', ns);
  }

  describe(): string {
    return `${this.options.kind} ${this.options.faults ?? ''}`;
  }

  private async start(): Promise<void> {
    const { kind, faults = '', mtu = 1500, args = [] } = this.options;
    const host = this.namespace('h');
    ip('-n', host, 'link', 'set', 'lo', 'up');
    const own = ['local', '127.0.0.1', 'dev', 'lo', 'table', 'local', 'proto', 'kernel', 'scope', 'host'];
    ip('-n', host, 'route', 'replace', ...own, 'src', '127.0.0.1', ...this.control());
    const links = [`tap:g${this.id}${faults === '' ? '' : `,${faults}`}`];
    if (kind === 'linux') links.push(`tap:r${this.id}`);
    const run = [process.execPath, program, 'run', ...links.flatMap((link) => ['--link', link])];
    this.engine = this.spawn('usernet', host, [
      ...run,
      '--net',
      `user,mtu=${mtu}`,
      '--stats',
      'json',
      ...args,
    ]);
    await this.engine.output(/ready$/m, START_MS);
    this.guest = this.seat(host, `g${this.id}`, '10.0.2.15');
    if (kind === 'usernet') this.server = { ns: host, listen: '127.0.0.1', address: GATEWAY };
    else {
      const address = '10.0.2.16';
      this.server = { ns: this.seat(host, `r${this.id}`, address), listen: address, address };
    }
  }

  /** A namespace with the device of a link in it: a Linux on our switch. */
  private seat(host: string, device: string, address: string): string {
    const ns = this.namespace(device.slice(0, 1));
    ip('-n', host, 'link', 'set', device, 'netns', ns);
    ip('netns', 'exec', ns, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1');
    ip('-n', ns, 'link', 'set', 'lo', 'up');
    ip('-n', ns, 'link', 'set', device, 'txqueuelen', '1000', 'up');
    ip('-n', ns, 'addr', 'add', `${address}/24`, 'dev', device);
    const scope = ['proto', 'kernel', 'scope', 'link', 'src', address];
    ip('-n', ns, 'route', 'replace', '10.0.2.0/24', 'dev', device, ...scope, ...this.control());
    ip('-n', ns, 'route', 'replace', 'default', 'via', GATEWAY, ...this.control());
    return ns;
  }

  private control(): string[] {
    return ['congctl', this.options.congestion ?? 'cubic'];
  }

  private namespace(kind: string): string {
    const ns = `usernet-${kind}${this.id}`;
    ip('netns', 'add', ns);
    this.namespaces.push(ns);
    return ns;
  }

  private spawn(name: string, ns: string, argv: readonly string[]): Process {
    const child = spawn('ip', ['netns', 'exec', ns, ...argv], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const started = new Process(`${ns}: ${name}`, child);
    this.processes.push(started);
    return started;
  }
}

/** What the guest's link has done, from the statistics that the engine prints at its end; null of one that is good. */
export function faultsIn(printed: string): FaultStats | null {
  const { links } = JSON.parse(printed.trim().split('\n').at(-1) ?? '') as NetworkStats;
  return links.find(({ faults }) => faults !== undefined)?.faults ?? null;
}

/** The last report of one end. */
function lineOf(end: Process): Line {
  const line = /^\{.*"digest".*\}$/m.exec(end.stdout)?.[0];
  if (line === undefined) throw new Error(`no report\n${end.log()}`);
  return JSON.parse(line) as Line;
}
