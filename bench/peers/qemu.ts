// A real guest: Debian's kernel and iperf3 under QEMU without KVM, the image of the end-to-end tests (tools/guest).
//
// It is booted with one virtio-net NIC on the network of an engine, and driven over a serial port of its own: no network is
// involved in that.

import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { GuestAgent, type Outcome, qemuCommand } from '../../test/e2e/support/guest-agent.ts';
import type { Engine } from './engines.ts';
import { run, Started } from './machine.ts';

/** Built into Debian's kernel and its default; set by hand nevertheless, so that what the tables say of it is true. */
export const GUEST_CONGESTION = 'cubic';
const NIC = 'virtio-net-pci';
const BUILD_MS = 600_000;
/** It takes 3 s on a machine that has nothing else to do. */
const BOOT_MS = 120_000;
/** For what is around a measurement: iperf3's start, and its report. */
const MARGIN_MS = 20_000;
/** None of those that load.c serves, which begin at 7801. */
const IPERF_PORT = 7821;
/** iperf3's -O: what slow start and the first windows do is not what is measured. */
const OMITTED_SECONDS = 1;
const KEPT_TEXT = 1000;

/** QEMU's option that puts a guest on the network of `engine`; null where there is none. */
export function netdevFor(engine: Engine, socket: string): string | null {
  // The bound is what QEMU has without anything beside it, not a second QEMU around the same library.
  if (engine.name === 'libslirp') return 'user,id=net0';
  if (engine.guestBy === 'tap') return null;
  return `stream,id=net0,server=off,addr.type=unix,addr.path=${socket}`;
}

/** The folder of the image, which is built from Debian's packages when it is not there or out of date. */
export function guestImage(): string {
  for (const tool of ['qemu-system-x86_64', 'iperf3'])
    if (!isThere(tool)) throw new Error(`there is no ${tool}`);
  const lock = resolve('tools/guest/build/lock');
  mkdirSync(dirname(lock), { recursive: true });
  // The end-to-end tests build it too: one at a time.
  return run('flock', [lock, process.execPath, 'tools/run.mjs', 'tools/guest/build.ts'], BUILD_MS).trim();
}

function isThere(tool: string): boolean {
  try {
    run('which', [tool]);
    return true;
  } catch {
    return false; // which(1) says no by its status
  }
}

/** What the guest needs to be told. */
export interface Addresses {
  readonly own: string;
  readonly gateway: string;
}

export class QemuGuest {
  readonly process: Started;
  private readonly gateway: string;
  private readonly agent: GuestAgent;
  private readonly ended: Promise<never>;

  private constructor(process: Started, ended: Promise<never>, port: Socket, gateway: string) {
    this.process = process;
    this.ended = ended;
    this.agent = new GuestAgent(port);
    this.gateway = gateway;
  }

  /** Boots a guest and sets its network up by hand, the same for every engine. `path` is where its files begin. */
  static async boot(
    image: string,
    netdev: string,
    path: string,
    { own, gateway }: Addresses,
  ): Promise<QemuGuest> {
    const [control, console] = [`${path}.control`, `${path}.console`];
    const server = createServer().listen(control);
    await once(server, 'listening');
    const files = {
      kernel: join(image, 'vmlinux'),
      initramfs: join(image, 'initramfs.cpio'),
      control,
      console,
    };
    const network = ['-netdev', netdev, '-device', `${NIC},netdev=net0`];
    const process = new Started(qemuCommand({ ...files, nic: NIC, network }));
    const ended = once(process.process, 'close').then(() => {
      throw new Error(`QEMU ended: ${process.said}`);
    });
    // Whoever waits is told by the race; nobody may be waiting.
    ended.catch(() => {});
    try {
      const [port] = (await Promise.race([
        once(server, 'connection', { signal: AbortSignal.timeout(BOOT_MS) }),
        ended,
      ])) as [Socket];
      const guest = new QemuGuest(process, ended, port, gateway);
      await guest.answer(guest.agent.ready(), BOOT_MS);
      await guest.sh(
        `set -e
        ip addr add ${own} dev eth0
        ip route add default via ${gateway}
        echo ${GUEST_CONGESTION} >/proc/sys/net/ipv4/tcp_congestion_control`,
        MARGIN_MS,
      );
      return guest;
    } catch (error) {
      await process.stop();
      const said = readFileSync(console, { encoding: 'utf8', flag: 'a+' }).slice(-KEPT_TEXT);
      throw new Error(`the guest does not come up: ${String(error)}\n${said}`);
    } finally {
      server.close();
    }
  }

  /** iperf3 in the guest against the host's 127.0.0.1 for whole seconds: bits per second as the receiver counted them. */
  async iperf3(direction: 'up' | 'down', atLeastSeconds: number): Promise<number> {
    const seconds = Math.ceil(atLeastSeconds);
    const port = String(IPERF_PORT);
    // One that serves one client: a server that a failed client has left busy would fail the next rounds as well.
    const server = new Started(['iperf3', '-s', '-1', '-B', '127.0.0.1', '-p', port, '--forceflush']);
    try {
      await server.untilSays('listening');
      const times = `-t ${seconds} -O ${OMITTED_SECONDS} -i 0`;
      const command = `iperf3 -c ${this.gateway} -p ${port} ${times} ${direction === 'down' ? '-R' : ''} -J`;
      const text = await this.sh(command, (seconds + OMITTED_SECONDS) * 1000 + MARGIN_MS);
      const report = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
      return report.end.sum_received.bits_per_second;
    } finally {
      await server.stop();
    }
  }

  /** Runs a shell script in the guest and returns what it printed; a status other than 0 throws with that. */
  private async sh(script: string, ms: number): Promise<string> {
    const { status, output } = await this.answer(this.agent.sh(script), ms);
    if (status !== 0) throw new Error(`in the guest: ${script}: ${status}: ${output}`);
    return output;
  }

  /** `answer` within `ms`, or an error: QEMU has ended, or the time is over. */
  private async answer(answer: Promise<Outcome>, ms: number): Promise<Outcome> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the guest did not answer within ${ms} ms`)), ms);
    });
    try {
      return await Promise.race([answer, this.ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
