// The machine of settings.ts in Node: its files, and the serial port that its agent listens on (tools/guest/files/agent).

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Duplex } from 'node:stream';
import { V86 } from 'v86';
import { type Card, commandLine, machineSettings } from './settings.ts';

const UART_BYTES = 4096;

const buffer = (bytes: Uint8Array): { buffer: ArrayBuffer } => ({ buffer: new Uint8Array(bytes).buffer });

export interface MachineOptions {
  /** The machine goes on from there. Without it, it boots. */
  readonly state?: Uint8Array;
  /** v86's own network, in place of a cable. */
  readonly relayUrl?: string;
}

/** A machine that boots from `folder`, or goes on from a state. It has to be started: run(). */
export function newMachine(folder: string, card: Card, { state, relayUrl }: MachineOptions = {}): V86 {
  const file = (name: string) => buffer(readFileSync(join(folder, name)));
  const boot = () => ({
    bios: file('bios.bin'),
    vga_bios: file('vgabios.bin'),
    bzimage: file('vmlinuz'),
    initrd: file('initramfs.cpio'),
    cmdline: commandLine(card),
  });
  const settings = machineSettings(card);
  return new V86({
    ...settings,
    wasm_path: join(dirname(createRequire(import.meta.url).resolve('v86')), 'v86.wasm'),
    ...(relayUrl === undefined ? {} : { net_device: { ...settings.net_device, relay_url: relayUrl } }),
    ...(state === undefined ? boot() : { initial_state: buffer(state) }),
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
