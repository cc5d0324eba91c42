// A guest that is Linux's own network stack: a network namespace with a TAP device of an engine in it, where the usual
// programs run. Its /etc, /var and /run are layers of its own.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Process, within } from '../../test/e2e/support/processes.ts';
import { run, type World } from './world.ts';

const COMMAND_MS = 60_000;
/** Address and default route of a guest that does not ask DHCP. */
const STATIC = { address: '10.0.2.15/24', gateway: '10.0.2.2' };

export interface GuestOptions {
  /** The device, as the engine has made it. */
  readonly device: string;
  readonly mac: string;
  /** 'dhcp': none, a client will ask for it. Default: 10.0.2.15, with a route. */
  readonly address?: string;
  /** Default: no. Otherwise its own noise is in the capture. */
  readonly ipv6?: boolean;
}

export class NamespaceGuest {
  readonly device: string;
  private readonly world: World;
  private readonly name: string;
  private readonly folder: string;

  private constructor(world: World, device: string) {
    this.world = world;
    this.device = device;
    this.name = `guest-${device}`;
    this.folder = join('/run/captures', this.name);
  }

  static open(world: World, options: GuestOptions): NamespaceGuest {
    const { device, mac, address = STATIC.address, ipv6 = false } = options;
    const guest = new NamespaceGuest(world, device);
    run('mkdir', '-p', guest.folder);
    run('mount', '-t', 'tmpfs', guest.name, guest.folder);
    for (const layer of ['etc', 'var']) {
      for (const part of ['upper', 'work']) mkdirSync(join(guest.folder, layer, part), { recursive: true });
    }
    mkdirSync(join(guest.folder, 'run'));
    writeFileSync(join(guest.folder, 'enter'), enterScript(guest.folder), { mode: 0o755 });
    run('ip', 'netns', 'add', guest.name);
    world.onClear(() => guest.close());
    run('ip', 'link', 'set', device, 'netns', guest.name);
    run('ip', 'netns', 'exec', guest.name, 'sysctl', '-qw', `net.ipv6.conf.all.disable_ipv6=${ipv6 ? 0 : 1}`);
    guest.ip('link', 'set', device, 'address', mac);
    guest.ip('link', 'set', 'lo', 'up');
    guest.ip('link', 'set', device, 'up');
    if (address === 'dhcp') return guest;
    guest.ip('addr', 'add', address, 'dev', device);
    guest.ip('route', 'add', 'default', 'via', STATIC.gateway);
    return guest;
  }

  /** `ip -n NAMESPACE ...` */
  ip(...args: string[]): string {
    return run('ip', '-n', this.name, ...args);
  }

  /** Starts a program in the guest; it ends with the scene at the latest. */
  spawn(...argv: string[]): Process {
    const enter = [
      'nsenter',
      `--net=/run/netns/${this.name}`,
      'unshare',
      '--mount',
      join(this.folder, 'enter'),
    ];
    return this.world.spawn(`${this.name}: ${argv[0]}`, [...enter, ...argv]);
  }

  /** Runs a shell script to its end. Rejects when its status is not 0; returns what it printed. */
  async sh(script: string): Promise<string> {
    const running = this.spawn('sh', '-c', script);
    const { code } = await within(COMMAND_MS, script, running.exited);
    if (code !== 0) throw new Error(`${script}: status ${code}\n${running.stdout}${running.stderr}`);
    return running.stdout;
  }

  private async close(): Promise<void> {
    run('ip', 'netns', 'del', this.name);
    run('umount', '--lazy', this.folder);
  }
}

/** What a program of the guest starts with, in a mount namespace of its own. */
function enterScript(folder: string): string {
  const layers = ['etc', 'var'].map((name) => {
    const above = `upperdir=${folder}/${name}/upper,workdir=${folder}/${name}/work`;
    return `mount -t overlay overlay -o lowerdir=/${name},${above} /${name}`;
  });
  return `#!/bin/sh -e
mount -t sysfs sys /sys
${layers.join('\n')}
mount --bind ${folder}/run /run
exec "$@"
`;
}
