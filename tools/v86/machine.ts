// The machine in v86 that Debian's 686 kernel runs on: what it is made of, and the serial port that its agent listens on
// (tools/guest/files/agent). The files are made by build.ts, into FOLDER.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Duplex } from 'node:stream';
import { V86 } from 'v86';

/** v86's name for a network card. */
export type Card = 'ne2k' | 'virtio';
export const CARDS: readonly Card[] = ['ne2k', 'virtio'];

/** Where build.ts puts the image, in the checkout: beside what the other guest is made of, and no part of the repository. */
export const FOLDER = 'tools/guest/build/v86';

/** MTU of the virtio card: above 1500 Linux's driver gives it buffers of that size, sixteen pages to a frame. */
const CARD_MTU = 1500;
const MEMORY_LEN = 96 << 20;
const UART_BYTES = 4096;

const buffer = (bytes: Uint8Array): { buffer: ArrayBuffer } => ({ buffer: new Uint8Array(bytes).buffer });

/** A machine that boots from `folder`, or goes on from `state`. It has to be started: run(). */
export function newMachine(folder: string, card: Card, state?: Uint8Array): V86 {
  const file = (name: string) => buffer(readFileSync(join(folder, name)));
  const boot = {
    bios: file('bios.bin'),
    vga_bios: file('vgabios.bin'),
    bzimage: file('vmlinuz'),
    initrd: file('initramfs.cpio'),
    // A clock of ticks: v86's TSC is the age of its process, and a guest that goes on in a younger one would see it stand
    // still until that is as old; a timer that is set once is lost where a state is restored after its time.
    cmdline: `console=ttyS0 quiet panic=-1 notsc clocksource=jiffies nohz=off highres=off mitigations=off nic=${card}`,
  };
  const device: object = { type: card, mtu: CARD_MTU };
  return new V86({
    wasm_path: join(dirname(createRequire(import.meta.url).resolve('v86')), 'v86.wasm'),
    memory_size: MEMORY_LEN,
    vga_memory_size: 1 << 20,
    uart1: true,
    disable_speaker: true,
    net_device: device,
    // The ne2k card takes frames for the MAC that it has, the guest's driver sends with the one that it had.
    preserve_mac_from_state_image: true,
    ...(state === undefined ? boot : { initial_state: buffer(state) }),
    autostart: false,
  });
}

/** The state that build.ts has saved of the machine with that card: its agent takes commands, it has no address yet. */
export function restoredState(folder: string, card: Card): Uint8Array {
  return readFileSync(join(folder, `${card}.state`));
}

/** Resolves once there is a machine that can be started: v86 compiles its WebAssembly first. */
export function whenReady(machine: V86): Promise<void> {
  return new Promise((resolve) => machine.add_listener('emulator-ready', resolve));
}

/** The machine's second serial port, as its agent's driver wants it. */
export function agentPort(machine: V86): Duplex {
  const port = new Duplex({
    read: () => {},
    write: (bytes: Uint8Array, _, done) => {
      // Its UART loses what does not fit.
      if (bytes.length > UART_BYTES) return done(new Error(`a command of ${bytes.length} bytes`));
      machine.serial_send_bytes(1, bytes);
      done();
    },
  });
  machine.add_listener('serial1-output-byte', (byte) => void port.push(Uint8Array.of(byte)));
  return port;
}
