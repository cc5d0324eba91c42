// Linux's own TCP/IP as a guest: a network namespace with a TAP device in it, whose other end is a link of a network in
// this process. Needs root: describeWithTap() in requirements.ts.

import { execFileSync, spawn } from 'node:child_process';
import type { Link } from '../../../src/link/link.ts';
import { openTap, type TapLink } from '../../../src/node/tap.ts';
import { Process, within } from './processes.ts';

export interface TapGuestOptions {
  /** One that is there already; it goes with the guest. Absent: one is made. */
  readonly device?: string;
  /** Attaches the link, or what it makes of it, to a network: `(link) => network.attach(link)`. */
  readonly attach: (link: Link) => void;
  /** 68..65521 bytes. */
  readonly mtu?: number;
  /** With its prefix; null: none, for DHCP. */
  readonly address?: string | null;
  readonly gateway?: string;
  /** Frames that wait in the device for us. */
  readonly txqueuelen?: number;
  /** Congestion control of its TCP over the routes that configure() makes; cubic if absent. */
  readonly congestion?: string;
  /** More sysctls of the namespace: { 'net.ipv4.tcp_sack': '0' }. */
  readonly sysctls?: Readonly<Record<string, string>>;
}

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const COMMAND_MS = 30_000;
const open = new Set<TapGuest>();
let made = 0;
process.on('exit', () => {
  for (const guest of open) guest.remove();
});

/** Runs a command to its end, here. Throws with what it said when it fails. */
export function ip(...args: string[]): string {
  return execFileSync('ip', args, {
    encoding: 'utf8',
    timeout: COMMAND_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export class TapGuest {
  /** The namespace. */
  readonly ns: string;
  readonly device: string;
  readonly link: TapLink;
  private readonly options: TapGuestOptions;
  private readonly processes: Process[] = [];

  private constructor(ns: string, link: TapLink, options: TapGuestOptions) {
    this.ns = ns;
    this.device = link.name;
    this.link = link;
    this.options = options;
  }

  /** The namespace is there and configured, the device in it and up, when this resolves. */
  static async open(options: TapGuestOptions): Promise<TapGuest> {
    const id = `${process.pid}x${++made}`;
    const { mtu, device = `ut${id}` } = options;
    const link = await openTap({ name: device, ...(mtu === undefined ? {} : { mtu }) });
    const guest = new TapGuest(`usernet-${id}`, link, options);
    try {
      options.attach(link);
      open.add(guest);
      ip('netns', 'add', guest.ns);
      ip('link', 'set', guest.device, 'netns', guest.ns);
      guest.configure();
      return guest;
    } catch (error) {
      await guest.close();
      throw error;
    }
  }

  /** `ip -n NAMESPACE ...` */
  ip(...args: string[]): string {
    return ip('-n', this.ns, ...args);
  }

  sysctl(name: string, value: string): void {
    ip('netns', 'exec', this.ns, 'sysctl', '-qw', `${name}=${value}`);
  }

  /** Brings the device up, with its address and default route. Again after it was down: then both are lost. */
  configure(): void {
    const { device } = this;
    const { address = '10.0.2.15/24', gateway = '10.0.2.2', txqueuelen = 1000 } = this.options;
    // Without router solicitations the guest says only what it is asked to.
    this.sysctl('net.ipv6.conf.all.disable_ipv6', '1');
    for (const [name, value] of Object.entries(this.options.sysctls ?? {})) this.sysctl(name, value);
    this.ip('link', 'set', 'lo', 'up');
    this.ip('link', 'set', device, 'txqueuelen', `${txqueuelen}`, 'up');
    if (address === null) return;
    this.ip('addr', 'replace', address, 'dev', device);
    // By route: a namespace's sysctl takes only what the whole machine allows to everybody.
    const control = ['congctl', this.options.congestion ?? 'cubic'];
    const [own] = JSON.parse(this.ip('-j', 'route', 'show', 'dev', device, 'proto', 'kernel'));
    const scope = ['proto', 'kernel', 'scope', 'link', 'src', own.prefsrc];
    this.ip('route', 'replace', own.dst, 'dev', device, ...scope, ...control);
    this.ip('route', 'replace', 'default', 'via', gateway, ...control);
  }

  /** Starts a program in the namespace; it is killed with the guest at the latest. */
  spawn(argv: readonly string[]): Process {
    const child = spawn('ip', ['netns', 'exec', this.ns, ...argv], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const started = new Process(`${this.ns}: ${argv[0]}`, child);
    this.processes.push(started);
    return started;
  }

  /** Runs a shell script in the namespace. Several may run at once. Rejects after `ms`. */
  async sh(script: string, ms = COMMAND_MS): Promise<Outcome> {
    const running = this.spawn(['sh', '-c', script]);
    try {
      const { code } = await within(ms, `${this.ns}: ${script}`, running.exited);
      return { status: code, stdout: running.stdout, stderr: running.stderr };
    } finally {
      if (running.exit === null) running.killGroup();
    }
  }

  /** As `sh`, but a status other than 0 rejects. Returns standard output without white space around it. */
  async run(script: string, ms = COMMAND_MS): Promise<string> {
    const { status, stdout, stderr } = await this.sh(script, ms);
    if (status !== 0) throw new Error(`${this.ns}: ${script}\nstatus ${status}\n${stdout}${stderr}`);
    return stdout.trim();
  }

  /** Frames that the kernel had for us and found no room for: a full queue (txqueuelen), or the device down. */
  dropped(): number {
    const [device] = JSON.parse(this.ip('-s', '-j', 'link', 'show', 'dev', this.device));
    return device.stats64.tx.dropped;
  }

  /** Kills what runs, closes the link, removes the namespace. */
  async close(): Promise<void> {
    for (const each of this.processes) if (each.exit === null) each.killGroup();
    await Promise.all(this.processes.map((each) => each.exited));
    await this.link.close();
    this.remove();
  }

  /** The namespace goes, and what is left in it is killed. */
  remove(): void {
    if (!open.delete(this)) return;
    for (const each of this.processes) if (each.exit === null) each.killGroup();
    try {
      ip('netns', 'del', this.ns);
    } catch (error) {
      // It may not be there yet.
      process.stderr.write(`${this.ns}: ${(error as Error).message}\n`);
    }
  }
}
