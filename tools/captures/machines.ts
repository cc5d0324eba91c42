// Debian's kernel and busybox in a virtual machine under QEMU: the guest of the end-to-end tests (tools/guest).

import { spawnSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { Guest, type Nic } from '../../test/e2e/support/guest.ts';
import { qemuNetwork } from './engines.ts';
import type { Scene } from './scene.ts';
import { Port } from './servers.ts';
import { NOWHERE, WEB } from './world.ts';

const GATEWAY = '10.0.2.2';

/** The usual things, one after the other. */
async function session(guest: Guest): Promise<void> {
  await guest.lease('-x hostname:guest');
  await guest.run(`arping -D -c 1 -I eth0 10.0.2.15`);
  await guest.run(`test $(wget -q -O - http://${WEB}/20000 | wc -c) = 20000`);
  await guest.run(
    `yes upload | head -c 30000 | socat -t 5 - TCP4:${GATEWAY}:${Port.count} | grep -q '30000 bytes'`,
  );
  await guest.sh(
    `socat /dev/null TCP4:${GATEWAY}:${Port.closed}; socat /dev/null TCP4:${NOWHERE}:80,connect-timeout=2`,
  );
  await guest.run(`yes | head -c 4000 >/tmp/datagram; for length in 10 4000; do
    test $(head -c $length /tmp/datagram | timeout 4 socat -b 65536 -t 2 - UDP4:${GATEWAY}:${Port.echo} | wc -c) = $length || exit 1; done`);
  await guest.run(`nslookup www.example; ! nslookup nobody.example`);
  await guest.sh(`ping -c 1 -W 1 ${GATEWAY}; ping -c 1 -W 1 ${WEB}`);
  await guest.run(`echo hello | socat -t 5 - TCP4:${GATEWAY}:${Port.echo} | grep -q hello`);
}

async function download(guest: Guest): Promise<void> {
  await guest.lease();
  await guest.run(`test $(wget -q -O - http://${GATEWAY}/100000 | wc -c) = 100000`);
}

/** The image of tools/guest; nothing is done when it is there. */
async function buildGuest(root: string): Promise<void> {
  const done = spawnSync(process.execPath, ['tools/run.mjs', 'tools/guest/build.ts'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(done.stderr);
}

interface MachineScene {
  readonly name: string;
  readonly nic: Nic;
  readonly packages: readonly string[];
  readonly runs: string;
  readonly shows: string;
  play(guest: Guest): Promise<void>;
}

function onMachine({ name, nic, packages, runs, shows, play }: MachineScene): Scene[] {
  return (['libslirp', 'usernet'] as const).map((engine) => ({
    name: `${name}-${engine}`,
    format: 'pcap',
    engine,
    guest: `Debian's kernel in QEMU with ${nic}: ${runs}`,
    packages: ['qemu-system-x86', ...packages],
    debs: 'tools/guest/build/packages',
    shows,
    prepare: buildGuest,
    record: async (world, file) => {
      const draft = world.lab.path('capture.pcap');
      const { wrapper, netdev } = qemuNetwork(engine, world, draft, '');
      const device = ['-device', `${nic},netdev=net0`];
      const guest = await Guest.boot(world.lab, { name, nic, wrapper, network: [...netdev, ...device] });
      await play(guest);
      await world.settled(draft);
      await guest.powerOff();
      copyFileSync(draft, file);
    },
  }));
}

export const machineScenes: readonly Scene[] = [
  ...onMachine({
    name: 'qemu-session',
    nic: 'virtio-net-pci',
    packages: ['linux-image', 'busybox-static', 'socat'],
    runs: 'busybox, `socat`, IPv6 on',
    shows:
      'DHCP, duplicate address detection, 20 000 bytes over HTTP, 30 000 to the host with a half-close, a closed port, an unreachable host, datagrams of 10 and 4000 bytes, names that are there and not, pings, an echo',
    play: session,
  }),
  ...onMachine({
    name: 'qemu-ne2000',
    nic: 'ne2k_pci',
    packages: ['linux-image', 'busybox-static'],
    runs: '`busybox wget`, IPv6 on',
    shows: 'DHCP, and 100 000 bytes over HTTP to a card that has room for eight frames',
    play: download,
  }),
];
