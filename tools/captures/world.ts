// The world around the guests of a recording: namespaces in which the host has loopback and a few documentation addresses
// and nothing else, with servers on their well-known ports. /etc, /var and /run are layers that vanish with the mount
// namespace: what DHCP clients and the recordings write never reaches this machine.
//
//   127.0.0.1      the host as the guests know it, 10.0.2.2
//   192.0.2.80     a computer of the internet that answers
//   203.0.113.0/24 a network to which there is no route
//
// A guest is a network namespace with a TAP device in it, or a virtual machine. Whatever a scene starts ends with clear().

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab, Process, poll } from '../../test/e2e/support/processes.ts';
import { Servers } from './servers.ts';

export const WEB = '192.0.2.80';
export const NOWHERE = '203.0.113.1';
/** A capture to which nothing was added for so long is complete. */
const QUIET_MS = 400;
const START_MS = 10_000;

export class World {
  /** Of the checkout. */
  readonly root: string;
  /** The program under test as users run it. */
  readonly program: string;
  /** A folder for captures that are being made. */
  readonly drafts = mkdtempSync(join(tmpdir(), 'usernet-drafts-'));
  lab: Lab;
  readonly servers: Servers;
  private nameServer: Process | null = null;
  private readonly running: Process[] = [];
  private readonly closers: (() => Promise<void>)[] = [];

  private constructor(root: string, servers: Servers) {
    this.root = root;
    this.program = join(root, 'dist/usernet.mjs');
    this.servers = servers;
    this.lab = new Lab('captures');
  }

  /** Sets up the namespaces that this process was started in. */
  static async open(root: string): Promise<World> {
    // In the machine's own namespaces what follows would be a disaster.
    const devices = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2).filter(Boolean);
    if (devices.length !== 1) throw new Error('not in a network namespace of its own');
    const layers = '/run/captures';
    run('mount', '-t', 'tmpfs', 'run', '/run');
    for (const name of ['etc', 'var']) layer(`/${name}`, join(layers, name));
    for (const folder of ['/run/netns', '/run/tftp']) mkdirSync(folder);
    run('hostname', 'guest');
    writeFileSync('/etc/resolv.conf', 'nameserver 127.0.0.1\n');
    // What systemd makes its client identifier of.
    writeFileSync('/etc/machine-id', '0123456789abcdef0123456789abcdef\n');
    run('ip', 'link', 'set', 'lo', 'up');
    run('ip', 'addr', 'add', `${WEB}/32`, 'dev', 'lo');
    run('ip', 'route', 'add', 'unreachable', '203.0.113.0/24');
    const world = new World(root, await Servers.open());
    await world.startNameServer();
    return world;
  }

  /** Starts a program among the servers of the host, as root. */
  spawn(name: string, argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Process {
    const [command, ...args] = argv;
    const child = spawn(command!, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env });
    child.on('error', (error) => process.stderr.write(`${name}: ${error.message}\n`));
    const started = new Process(name, child);
    this.running.push(started);
    return started;
  }

  /** Called by clear(), the last one first. */
  onClear(close: () => Promise<void>): void {
    this.closers.push(close);
  }

  /** Resolves when nothing more is written to a capture. */
  async settled(file: string): Promise<void> {
    const size = () => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    let last = size();
    let since = performance.now();
    await poll(START_MS, `${file}: quiet`, () => {
      const now = size();
      if (now !== last) since = performance.now();
      last = now;
      return performance.now() - since > QUIET_MS ? true : undefined;
    });
  }

  /** The end of what a scene has started. */
  async clear(): Promise<void> {
    for (const close of this.closers.splice(0).reverse()) await close();
    const ending = this.running.splice(0);
    for (const each of ending) if (each.exit === null) each.killGroup();
    await Promise.all(ending.map((each) => each.exited));
    await this.lab.close();
    this.lab = new Lab('captures');
  }

  async close(): Promise<void> {
    await this.clear();
    await this.lab.close();
    this.servers.close();
    rmSync(this.drafts, { recursive: true });
    this.nameServer?.killGroup();
  }

  /** dnsmasq with a few names and no resolver of its own. Lives as long as this process: not a scene's. */
  private async startNameServer(): Promise<void> {
    const long = Array.from(
      { length: 8 },
      (_, i) => `part ${i} of a text that does not fit: ${'.'.repeat(140)}`,
    );
    const argv = [
      ...['--keep-in-foreground', '--log-facility=-', '--conf-file=/dev/null', '--pid-file=', '--user=root'],
      ...['--no-resolv', '--no-hosts', '--local=/example/'],
      `--host-record=www.example,${WEB},2001:db8::80`,
      '--cname=web.example,www.example',
      '--mx-host=example,mail.example,10',
      '--txt-record=example,a text record',
      ...long.map((text) => `--txt-record=long.example,${text}`),
      '--srv-host=_http._tcp.example,www.example,80,1,2',
      `--ptr-record=80.2.0.192.in-addr.arpa,www.example`,
      ...['--enable-tftp', '--tftp-single-port', '--tftp-root=/run/tftp', '--port=53'],
    ];
    const child = spawn('dnsmasq', argv, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    child.on('error', (error) => process.stderr.write(`dnsmasq: ${error.message}\n`));
    this.nameServer = new Process('dnsmasq', child);
    await this.nameServer.output(/started/, START_MS);
  }
}

/** Runs a command to its end, here. Throws with what it said when it fails. */
export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    timeout: START_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Writes to `path` go to a layer above it from now on. */
function layer(path: string, above: string): void {
  const [upper, work] = [join(above, 'upper'), join(above, 'work')];
  for (const folder of [upper, work]) mkdirSync(folder, { recursive: true });
  run('mount', '-t', 'overlay', 'overlay', '-o', `lowerdir=${path},upperdir=${upper},workdir=${work}`, path);
}
