// A Debian guest under QEMU, driven over a serial port of its own: `guest.sh('ip addr')`. See tools/guest/.

import { createServer, type Server, type Socket } from 'node:net';
import { GuestAgent, type Outcome, qemuCommand } from './guest-agent.ts';
import { type Lab, type Process, within } from './processes.ts';
import { initramfs, kernel } from './requirements.ts';

export type Nic = 'virtio-net-pci' | 'e1000' | 'rtl8139' | 'ne2k_pci';

export interface GuestOptions {
  /** Names its files and log. Unique in its Lab. */
  readonly name: string;
  readonly nic: Nic;
  /** QEMU's options for the network, as they follow the rest of the command. */
  readonly network: readonly string[];
  /** What stands in front of `qemu-system-x86_64`: nothing, or `usernet qemu ... --`. */
  readonly wrapper?: readonly string[];
  readonly memoryMiB?: number;
}

export type { Outcome } from './guest-agent.ts';

const BOOT_MS = 60_000;
const COMMAND_MS = 60_000;

export class Guest {
  readonly name: string;
  /** QEMU, or `usernet qemu` around it. */
  readonly process: Process;
  private readonly agent: GuestAgent;

  private constructor(name: string, process: Process, port: Socket) {
    this.name = name;
    this.process = process;
    this.agent = new GuestAgent(port);
  }

  /** Boots a guest; resolves when it takes commands. */
  static async boot(lab: Lab, options: GuestOptions): Promise<Guest> {
    const control = lab.path(`${options.name}.control`);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(control, resolve));
    lab.giveAway(control, 0o600);
    const console = lab.path(`${options.name}.console`);
    lab.watchLog(console);
    const { nic, network, memoryMiB = 384 } = options;
    const files = { kernel: lab.copy(kernel), initramfs: lab.copy(initramfs), control, console };
    const argv = [...(options.wrapper ?? []), ...qemuCommand({ ...files, nic, network, memoryMiB })];
    const process = lab.spawn(options.name, argv);
    try {
      const port = await within(BOOT_MS, `${options.name}: control port`, firstConnection(server, process));
      const guest = new Guest(options.name, process, port);
      await within(BOOT_MS, `${options.name}: boot`, guest.whileUp(guest.agent.ready()));
      return guest;
    } finally {
      server.close();
    }
  }

  /** Runs a shell script in the guest. Several may run at once. */
  sh(script: string, ms = COMMAND_MS): Promise<Outcome> {
    return within(ms, `${this.name}: ${script}`, this.whileUp(this.agent.sh(script)));
  }

  /** As `sh`, but a status other than 0 rejects. Returns the output without white space around it. */
  async run(script: string, ms = COMMAND_MS): Promise<string> {
    const { status, output } = await this.sh(script, ms);
    if (status !== 0) throw new Error(`${this.name}: ${script}\nstatus ${status}\n${output}`);
    return output.trim();
  }

  /** DHCP. Returns what the server said by udhcpc's names: ip, mask, router, dns, lease, serverid, ... */
  async lease(options = ''): Promise<Record<string, string>> {
    const lines = (await this.run(`lease ${options}`)).split('\n');
    return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
  }

  /** An echo server on port 7; it listens when this resolves. */
  async startEcho(): Promise<void> {
    await this.run(`
      socat TCP4-LISTEN:7,fork,reuseaddr EXEC:cat >/dev/null 2>&1 &
      until netstat -ltn | grep -q ':7 '; do usleep 20000; done`);
  }

  /** The guest's end as a crash would be. */
  async kill(): Promise<void> {
    await this.process.stop('SIGKILL', 5000);
    this.agent.destroy();
  }

  /** The guest switches itself off. */
  async powerOff(): Promise<void> {
    this.agent.send('off', 'poweroff -f');
    await within(10_000, `${this.name}: power off`, this.process.exited);
  }

  /** `answer`, or the end of the guest. */
  private whileUp(answer: Promise<Outcome>): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      answer.then(resolve);
      this.process.exited.then(() => reject(new Error(`${this.name}: ended\n${this.process.log()}`)));
    });
  }
}

function firstConnection(server: Server, process: Process): Promise<Socket> {
  return new Promise((resolve, reject) => {
    server.once('connection', resolve);
    process.exited.then(() => reject(new Error(`QEMU ended\n${process.log()}`)));
  });
}
