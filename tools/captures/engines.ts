// Who gives a guest its network: libslirp as QEMU has it, without a machine around it, or usernet. Either has a TAP device
// for each guest, and captures what it sees and says.

import { existsSync, readFileSync } from 'node:fs';
import { type Process, poll } from '../../test/e2e/support/processes.ts';
import { NamespaceGuest } from './guest.ts';
import type { EngineName, Format } from './scene.ts';
import type { World } from './world.ts';

const START_MS = 10_000;

export interface StageOptions {
  readonly engine: EngineName;
  /** Where the capture goes. */
  readonly file: string;
  /** Default 'pcap'. */
  readonly format?: Format;
  /**
   * What captures: the engine, all links in one file; or tcpdump or dumpcap on the first guest's device. Default: the
   * engine, if it knows the format.
   */
  readonly by?: 'engine' | 'guest';
  /** The guests' addresses, 'dhcp' for none. Default: one guest, 10.0.2.15/24. */
  readonly addresses?: readonly string[];
  /** More of what follows `-netdev user`, such as `hostfwd=...`. */
  readonly net?: string;
  readonly ipv6?: boolean;
}

/** An engine with its guests. */
export interface Stage {
  readonly engine: EngineName;
  readonly guests: readonly NamespaceGuest[];
  /** The first guest. */
  readonly guest: NamespaceGuest;
}

/** 52:54:00 is QEMU's, 12:34:56 what its first card has. */
export function macOf(index: number): string {
  return `52:54:00:12:34:${(0x56 + index).toString(16)}`;
}

/** Sets the stage, plays, and leaves a capture that is complete. */
export async function onStage(
  world: World,
  options: StageOptions,
  play: (stage: Stage) => Promise<void>,
): Promise<void> {
  const { engine, file, format = 'pcap', addresses = ['10.0.2.15/24'], ipv6 = false } = options;
  const isOurs = format === 'pcap' || (format === 'pcapng' && engine === 'usernet');
  const { by = isOurs ? 'engine' : 'guest' } = options;
  const devices = addresses.map((_, index) => `net${index}`);
  const capture = by === 'engine' ? file : null;
  const links = devices.map((device) => `tap:${device}`);
  const running = await startEngine(engine, world, links, capture, options.net);
  const guests = devices.map((device, index) => {
    return NamespaceGuest.open(world, { device, mac: macOf(index), address: addresses[index]!, ipv6 });
  });
  const guest = guests[0]!;
  const observer = capture === null ? await observe(guest, file, format) : null;
  await play({ engine, guests, guest });
  await world.settled(file);
  if (observer !== null) await observer.stop('SIGINT', START_MS);
  // libslirp's end is QEMU's, whose capture is written frame by frame; ours is complete when the program has ended.
  await running.stop('SIGTERM', START_MS);
}

/**
 * Starts an engine with links: `tap:NAME`, a device that it makes, and `unix:PATH`, a socket as QEMU's stream netdev
 * connects to. `net`: more of what follows `-netdev user`. Resolves when the links are there.
 */
export async function startEngine(
  engine: EngineName,
  world: World,
  links: readonly string[],
  capture: string | null,
  net?: string,
): Promise<Process> {
  if (engine === 'usernet') {
    const running = world.spawn('usernet', [
      ...[process.execPath, world.program, 'run', ...links.flatMap((link) => ['--link', link])],
      ...(net === undefined ? [] : ['--net', `user,${net}`]),
      ...(capture === null ? [] : ['--pcap', capture]),
    ]);
    await running.output(/ready$/m, START_MS);
    return running;
  }
  const running = world.spawn('libslirp', bareLibslirp(links, capture, net));
  await poll(START_MS, `QEMU: ${links}`, () => {
    if (running.exit !== null) throw new Error(running.log());
    return links.every(isThere) ? true : undefined;
  });
  return running;
}

/** The frames of all links and libslirp meet on QEMU's hub. */
function bareLibslirp(
  links: readonly string[],
  capture: string | null,
  net: string | undefined,
): readonly string[] {
  const user = ['-netdev', `user,id=slirp${net === undefined ? '' : `,${net}`}`];
  const others = links.flatMap((link, index) => {
    const [, kind, place] = /^(\w+):(.*)$/.exec(link)!;
    const options =
      kind === 'tap'
        ? `tap,id=link${index},ifname=${place},script=no,downscript=no`
        : `stream,id=link${index},server=on,addr.type=unix,addr.path=${place}`;
    return ['-netdev', options, '-netdev', `hubport,id=hub${index},hubid=0,netdev=link${index}`];
  });
  const machine = ['-M', 'none', '-nodefaults', '-display', 'none', '-monitor', 'none'];
  const hub = ['-netdev', 'hubport,id=hub,hubid=0,netdev=slirp'];
  return ['qemu-system-x86_64', ...machine, ...user, ...hub, ...others, ...dumpOf('slirp', capture)];
}

function dumpOf(netdev: string, capture: string | null): readonly string[] {
  if (capture === null) return [];
  return ['-object', `filter-dump,id=dump,netdev=${netdev},file=${capture},maxlen=262144`];
}

function isThere(link: string): boolean {
  const place = link.slice(link.indexOf(':') + 1);
  return link.startsWith('unix:')
    ? existsSync(place)
    : readFileSync('/proc/net/dev', 'utf8').includes(`${place}:`);
}

/** tcpdump or Wireshark's dumpcap on the guest's device. */
async function observe(guest: NamespaceGuest, file: string, format: Format): Promise<Process> {
  const precision = `--time-stamp-precision=${format === 'nano' ? 'nano' : 'micro'}`;
  const tcpdump = ['tcpdump', '-U', '--immediate-mode', precision, '-Z', 'root'];
  const program = format === 'pcapng' ? ['dumpcap', '-q'] : tcpdump;
  const argv = [...program, '-i', guest.device, '-w', file];
  const running = guest.spawn(...argv);
  await running.output(/listening on|^File: /m, START_MS);
  return running;
}

/** QEMU's options for `-netdev user` with `options`, captured to `file`: by QEMU itself, or by what is put in front of it. */
export function qemuNetwork(engine: EngineName, world: World, file: string, options: string) {
  const netdev = ['-netdev', `user,id=net0${options}`];
  if (engine === 'usernet') {
    const program = world.lab.copy(world.program);
    return { wrapper: [process.execPath, program, 'qemu', '--pcap', file, '--'], netdev };
  }
  return { wrapper: [], netdev: [...netdev, ...dumpOf('net0', file)] };
}
