// What drives a guest of tools/guest from outside: QEMU's command, and the protocol of tools/guest/files/agent on a serial port
// of its own. "ID BASE64-OF-A-SHELL-SCRIPT" goes in, "ID STATUS BASE64-OF-ITS-OUTPUT" comes back, and once "ready ...".

import type { Socket } from 'node:net';

export interface Outcome {
  readonly status: number;
  /** Standard output and error. */
  readonly output: string;
}

export class GuestAgent {
  private readonly port: Socket;
  private readonly waiting = new Map<string, (outcome: Outcome) => void>();
  private lastId = 0;
  private input = '';

  constructor(port: Socket) {
    this.port = port;
    port.setEncoding('latin1').on('data', (text: string) => this.take(text));
    // QEMU was killed: whoever waits for an answer learns of it by the process's end.
    port.on('error', () => port.destroy());
  }

  /** Resolves when the guest takes commands. */
  ready(): Promise<Outcome> {
    return this.answer('ready');
  }

  /** Runs a shell script in the guest. Several may run at once. Stays pending when the guest ends. */
  sh(script: string): Promise<Outcome> {
    const id = `${++this.lastId}`;
    const answer = this.answer(id);
    this.send(id, script);
    return answer;
  }

  /** The same, for a script that does not live to be answered. */
  send(id: string, script: string): void {
    this.port.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
  }

  destroy(): void {
    this.port.destroy();
  }

  private answer(id: string): Promise<Outcome> {
    return new Promise((resolve) => this.waiting.set(id, resolve));
  }

  private take(text: string): void {
    const lines = (this.input + text).split('\n');
    this.input = lines.pop()!;
    for (const line of lines) {
      const [id, status, output] = line.trim().split(' ');
      const resolve = this.waiting.get(id!);
      this.waiting.delete(id!);
      resolve?.({ status: Number(status), output: Buffer.from(output ?? '', 'base64').toString() });
    }
  }
}

export interface Machine {
  readonly kernel: string;
  readonly initramfs: string;
  readonly nic: string;
  /** QEMU's options for the network, as they follow the rest of the command. */
  readonly network: readonly string[];
  readonly memoryMiB?: number;
  /** Where the agent's port listens, and the file that the console goes to. */
  readonly control: string;
  readonly console: string;
}

/** No `-nodefaults`: without a network option QEMU shall have its default one. KVM is not asked for even where it is. */
export function qemuCommand(machine: Machine): string[] {
  return [
    'qemu-system-x86_64',
    ...['-M', 'pc', '-accel', 'tcg', '-cpu', 'max', '-m', `${machine.memoryMiB ?? 384}`],
    ...['-no-user-config', '-display', 'none', '-vga', 'none', '-monitor', 'none', '-parallel', 'none'],
    '-no-reboot',
    ...['-kernel', machine.kernel, '-initrd', machine.initramfs],
    ...['-append', `console=ttyS0 quiet panic=-1 nic=${machine.nic}`],
    ...['-serial', `file:${machine.console}`],
    ...['-chardev', `socket,id=control,path=${machine.control}`, '-serial', 'chardev:control'],
    ...machine.network,
  ];
}
