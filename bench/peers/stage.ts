// The stage of one run: the compiled programs, the servers on the host, and guests behind engines.

import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Engine } from './engines.ts';
import { addNamespace, deleteNamespace, inNamespace, pinned, run, Started, sleep } from './machine.ts';
import { guestImage, netdevFor, QemuGuest } from './qemu.ts';

/** The guest's name for the host's 127.0.0.1. */
const GATEWAY = '10.0.2.2';
const GUEST = '10.0.2.15/24';
const PORT = 7801;

/** What a measurement of load.c printed. */
export interface Load {
  readonly perSecond: number;
  /** Bytes, answers or datagrams, from the first on. */
  readonly total: number;
  readonly lost?: number;
}

/** A guest behind a running engine. */
export interface Guest {
  readonly engine: Engine;
  /** The engine's process. */
  readonly pid: number;
  /** Runs a client of load.c in the guest against the host. `seconds` is how long it takes at most. */
  load(mode: string, args: readonly (string | number)[], seconds: number): Promise<Load>;
  /** Opens idle connections that last until the returned process is stopped. */
  hold(count: number): Promise<Started>;
  /** A machine under QEMU in the place of this guest, which is gone then. Booted by the first call, kept until stop(). */
  machine(): Promise<QemuGuest>;
  stop(): Promise<void>;
}

export interface Place {
  readonly mtu: number;
  /** The CPU that everything runs on, or null for the scheduler's choice. */
  readonly cpu: number | null;
}

export class Stage {
  readonly loadProgram: string;
  readonly stats: string;
  private readonly cli: string;
  private readonly pump: string;
  private readonly folder: string;
  private count = 0;
  private image: string | null = null;

  /** `cli` is copied to `folder`, so that a build meanwhile changes nothing. */
  constructor(folder: string, cli: string) {
    this.folder = folder;
    this.cli = join(folder, 'usernet.mjs');
    copyFileSync(cli, this.cli);
    this.pump = this.compile('tap-pump');
    this.loadProgram = this.compile('load');
    this.stats = join(folder, 'stats');
  }

  /** The servers of load.c, on the host's loopback. */
  async servers(cpu: number | null): Promise<Started> {
    const servers = new Started(pinned(cpu, [this.loadProgram, 'serve', String(PORT), this.stats]));
    await servers.untilSays('ready');
    return servers;
  }

  /** A place for an engine that does not run yet. */
  prepare(engine: Engine, mtu: number): { ns: string; socket: string; command: string[] } {
    const ns = `un-peers-${process.pid}-${this.count++}`;
    addNamespace(ns);
    const socket = join(this.folder, `${ns}.sock`);
    return { ns, socket, command: engine.command({ ns, mtu, socket, cli: this.cli }) };
  }

  /** Starts an engine and a guest behind it. */
  async guest(engine: Engine, { mtu, cpu }: Place): Promise<Guest> {
    const { ns, socket, command } = this.prepare(engine, mtu);
    const running = [new Started(pinned(cpu, command))];
    try {
      if (engine.guestBy === 'socket') {
        await until(running[0]!, () => existsSync(socket));
        running.push(new Started(inNamespace(ns, pinned(cpu, [this.pump, 'tap0', socket]))));
        await running[1]!.untilSays('ready');
      } else await until(running[0]!, () => hasTap(ns));
      configure(ns, mtu);
    } catch (error) {
      await this.clear(ns, socket, running);
      throw error;
    }
    const stop = (): Promise<void> => this.clear(ns, socket, running);
    return this.guestOf(engine, ns, cpu, running, () => this.boot(engine, socket, running), stop);
  }

  /** Ends the namespace's cable, which is the last of what is running, and has QEMU connect to the engine instead. */
  private async boot(engine: Engine, socket: string, running: Started[]): Promise<QemuGuest> {
    const netdev = netdevFor(engine, socket);
    if (netdev === null) throw new Error(`${engine.name} owns a TAP, QEMU has nothing to connect to`);
    this.image ??= guestImage();
    await running.pop()?.stop();
    const guest = await QemuGuest.boot(this.image, netdev, socket, { own: GUEST, gateway: GATEWAY });
    running.push(guest.process);
    return guest;
  }

  private guestOf(
    engine: Engine,
    ns: string,
    cpu: number | null,
    running: readonly Started[],
    boot: () => Promise<QemuGuest>,
    stop: () => Promise<void>,
  ): Guest {
    let machine: Promise<QemuGuest> | null = null;
    const client = (mode: string, args: readonly (string | number)[]): Started =>
      new Started(
        inNamespace(
          ns,
          pinned(cpu, [this.loadProgram, mode, GATEWAY, String(PORT), ...args.map((each) => String(each))]),
        ),
      );
    return {
      engine,
      pid: running[0]!.pid,
      load: async (mode, args, seconds) =>
        JSON.parse(await client(mode, args).result((seconds + 10) * 1000)) as Load,
      hold: async (count) => {
        const held = client('hold', [count]);
        await held.untilSays('ready', 60_000);
        return held;
      },
      machine: () => {
        machine ??= boot();
        return machine;
      },
      stop,
    };
  }

  async clear(ns: string, socket: string, running: readonly Started[]): Promise<void> {
    for (const each of [...running].reverse()) await each.stop();
    deleteNamespace(ns);
    rmSync(socket, { force: true });
  }

  private compile(name: string): string {
    const program = join(this.folder, name);
    run('cc', ['-O2', '-o', program, resolve(`bench/peers/${name}.c`), '-lpthread']);
    return program;
  }
}

async function until(engine: Started, isThere: () => boolean): Promise<void> {
  for (let waited = 0; !isThere(); waited += 10) {
    if (engine.hasEnded || waited > 10_000)
      throw new Error(`${engine.process.spawnargs.join(' ')} does not come up: ${engine.said}`);
    await sleep(10);
  }
}

function hasTap(ns: string): boolean {
  return run('ip', ['-n', ns, '-o', 'link']).includes('tap0');
}

/** The guest's side, by hand: the same for every engine. */
function configure(ns: string, mtu: number): void {
  const ip = (...args: string[]): void => void run('ip', ['-n', ns, ...args]);
  const congestion = readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
  const settings = ['net.ipv6.conf.all.disable_ipv6=1', `net.ipv4.tcp_congestion_control=${congestion}`];
  run('ip', ['netns', 'exec', ns, 'sysctl', '-qw', ...settings]);
  ip('link', 'set', 'lo', 'up');
  ip('link', 'set', 'tap0', 'mtu', String(mtu), 'txqueuelen', '8192', 'up');
  ip('addr', 'replace', GUEST, 'dev', 'tap0');
  ip('route', 'replace', 'default', 'via', GATEWAY);
}
