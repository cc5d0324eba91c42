// Boot loaders under QEMU: its own boot ROM, iPXE; U-Boot; and the UEFI firmware EDK2. Each has a DHCP client of its own.

import { existsSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Process, poll, within } from '../../test/e2e/support/processes.ts';
import { qemuNetwork } from './engines.ts';
import type { EngineName, Scene } from './scene.ts';
import { Port, text } from './servers.ts';
import type { World } from './world.ts';

const BOOT_MS = 90_000;
const START_MS = 10_000;
const GATEWAY = '10.0.2.2';
/** Of libslirp's own TFTP server and of the host's. */
const TFTP = '/run/tftp';

/** A machine with nothing but a card and a serial port. */
class Machine {
  readonly process: Process;
  private readonly serial: Socket;
  private output = '';

  private constructor(process: Process, serial: Socket) {
    this.process = process;
    this.serial = serial;
    serial.setEncoding('latin1').on('data', (text: string) => {
      this.output += text;
    });
    serial.on('error', () => serial.destroy());
  }

  /** `dhcp`: more of what follows `-netdev user`, beginning with a comma. */
  static async start(
    world: World,
    engine: EngineName,
    file: string,
    dhcp: string,
    options: readonly string[],
  ): Promise<Machine> {
    const { wrapper, netdev } = qemuNetwork(engine, world, file, dhcp);
    const path = world.lab.path('serial');
    const process = world.spawn('QEMU', [
      ...[...wrapper, 'qemu-system-x86_64', '-M', 'pc', '-accel', 'tcg', '-m', '256', '-no-user-config'],
      ...['-display', 'none', '-monitor', 'none', '-chardev', `socket,id=serial,path=${path},server=on`],
      ...['-serial', 'chardev:serial', ...netdev, ...options],
    ]);
    await poll(START_MS, 'serial port', () => (existsSync(path) ? true : undefined));
    return new Machine(process, connect(path));
  }

  /** Waits until the machine says something that it has not said when it was last asked, and answers it. */
  async hear(pattern: RegExp, answer = ''): Promise<void> {
    await poll(BOOT_MS, `${pattern} on the serial port`, () => {
      if (this.process.exit !== null) throw new Error(this.process.log());
      const found = pattern.exec(this.output);
      if (found === null) return undefined;
      this.output = this.output.slice(found.index + found[0].length);
      return true;
    });
    this.serial.write(answer);
  }

  async stop(): Promise<void> {
    await this.process.stop('SIGTERM', START_MS);
    this.serial.destroy();
  }
}

const IPXE_SCRIPT = `#!ipxe
imgfetch http://${GATEWAY}/20000
imgfetch http://www.example/1000
imgfetch http://${GATEWAY}:${Port.closed}/ ||
imgfetch http://${GATEWAY}/done
`;

/** Loads a script and does what it says. Over TFTP from libslirp's own server, over HTTP behind us. */
async function ipxe(engine: EngineName, world: World, file: string): Promise<void> {
  writeFileSync(join(TFTP, 'boot.ipxe'), IPXE_SCRIPT);
  world.servers.files.set('/boot.ipxe', Buffer.from(IPXE_SCRIPT));
  world.servers.files.set('/done', Buffer.from('done\n'));
  const done = world.servers.request('/done');
  const boot = {
    libslirp: `,tftp=${TFTP},bootfile=boot.ipxe`,
    usernet: `,bootfile=http://${GATEWAY}/boot.ipxe`,
  };
  const options = ['-boot', 'n', '-device', 'e1000,netdev=net0'];
  const machine = await Machine.start(world, engine, file, boot[engine], options);
  await within(BOOT_MS, 'iPXE asks for /done', done);
  await world.settled(file);
  await machine.stop();
}

async function uboot(engine: EngineName, world: World, file: string): Promise<void> {
  writeFileSync(join(TFTP, 'boot.txt'), text(5000));
  const dhcp = { libslirp: `,tftp=${TFTP}`, usernet: '' };
  const options = ['-bios', '/usr/lib/u-boot/qemu-x86_64/u-boot.rom', '-device', 'e1000,netdev=net0'];
  const machine = await Machine.start(world, engine, file, dhcp[engine], options);
  await machine.hear(/stop autoboot/, ' ');
  await machine.hear(/=> $/, 'setenv autoload no\r');
  await machine.hear(/=> $/, 'dhcp\r');
  await machine.hear(/bound to address 10\.0\.2\.15[\s\S]*=> $/, `tftpboot 0x2000000 ${GATEWAY}:boot.txt\r`);
  await machine.hear(/Bytes transferred = 5000[\s\S]*=> $/, `ping ${GATEWAY}\r`);
  await machine.hear(/alive[\s\S]*=> $/);
  await world.settled(file);
  await machine.stop();
}

async function edk2(engine: EngineName, world: World, file: string): Promise<void> {
  // Not a program that it could start: it says so and goes on.
  writeFileSync(join(TFTP, 'boot.efi'), text(5000));
  const dhcp = { libslirp: `,tftp=${TFTP},bootfile=boot.efi`, usernet: ',bootfile=boot.efi' };
  const options = ['-bios', '/usr/share/ovmf/OVMF.fd', '-device', 'virtio-net-pci,netdev=net0,romfile='];
  const machine = await Machine.start(world, engine, file, dhcp[engine], options);
  await machine.hear(/downloaded successfully/);
  await world.settled(file);
  await machine.stop();
}

interface LoaderScene {
  readonly name: string;
  readonly guest: string;
  readonly packages: readonly string[];
  readonly shows: Readonly<Record<EngineName, string>>;
  record(engine: EngineName, world: World, file: string): Promise<void>;
}

function bothEngines({ name, guest, packages, shows, record }: LoaderScene): Scene[] {
  return (['libslirp', 'usernet'] as const).map((engine) => ({
    name: `${name}-${engine}`,
    format: 'pcap',
    engine,
    guest,
    packages: ['qemu-system-x86', ...packages],
    shows: shows[engine],
    record: (world, file) => record(engine, world, file),
  }));
}

const IPXE_SHOWS = '20 000 bytes over HTTP, 1000 from a server by name (DNS), a closed port';
const NAT_TFTP = 'a TFTP server on the host, by way of NAT';

export const loaderScenes: readonly Scene[] = [
  ...bothEngines({
    name: 'boot-ipxe',
    guest: "QEMU's boot ROM, iPXE, on e1000",
    packages: ['ipxe-qemu'],
    shows: {
      libslirp: `DHCP, the boot file over TFTP, then ${IPXE_SHOWS}`,
      usernet: `DHCP, the boot file over HTTP by the URL that DHCP gives, then ${IPXE_SHOWS}`,
    },
    record: ipxe,
  }),
  ...bothEngines({
    name: 'boot-uboot',
    guest: 'U-Boot on e1000',
    packages: ['u-boot-qemu'],
    shows: {
      libslirp: 'DHCP, 5000 bytes over TFTP, a ping',
      usernet: `DHCP, 5000 bytes over TFTP from ${NAT_TFTP}, a ping`,
    },
    record: uboot,
  }),
  ...bothEngines({
    name: 'boot-edk2',
    guest: 'UEFI firmware, EDK2, on virtio-net-pci',
    packages: ['ovmf'],
    shows: {
      libslirp: 'DHCP, the boot file over TFTP: its size first, then 5000 bytes',
      usernet: `DHCP, the boot file over TFTP from ${NAT_TFTP}: its size first, then 5000 bytes`,
    },
    record: edk2,
  }),
];
