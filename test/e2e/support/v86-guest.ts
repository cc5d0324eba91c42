// Debian in v86, in this process, from the state in which its agent takes commands; driven as a guest in QEMU is:
// `guest.run('ip addr')`. See tools/v86/.

import type { Socket } from 'node:net';
import { resolve } from 'node:path';
import type { V86 } from 'v86';
import { V86Card, type V86Emulator } from '../../../src/link/v86-card.ts';
import {
  agentPort,
  type MachineOptions,
  newMachine,
  restoredState,
  whenReady,
} from '../../../tools/v86/machine.ts';
import { type Card, FOLDER } from '../../../tools/v86/settings.ts';
import { GuestAgent } from './guest-agent.ts';
import { within } from './processes.ts';

const folder = resolve(import.meta.dirname, '../../..', FOLDER);
const COMMAND_MS = 60_000;
const FRAME_LEN = 1514;
/** IEEE 802's for experiments: the guest's kernel drops such a frame as soon as it has counted it. */
const EXPERIMENTAL = [0x88, 0xb5];

/** What a test looks at and v86 does not promise. */
interface Inside {
  readonly v86: { do_tick(): void };
  readonly bus: { send(event: string, frame: Uint8Array): void };
}

export class V86Guest {
  readonly machine: V86;
  /** Milliseconds in which v86 had the thread: the guest's instructions, and its card. */
  busyMs = 0;
  private readonly agent: GuestAgent;

  private constructor(machine: V86) {
    this.machine = machine;
    this.agent = new GuestAgent(agentPort(machine) as Socket);
  }

  /** The machine is stopped: start it when it has its cable. With a `relayUrl` it has v86's own. */
  static async restore(card: Card, options: Pick<MachineOptions, 'relayUrl'> = {}): Promise<V86Guest> {
    const machine = newMachine(folder, card, { ...options, state: restoredState(folder, card) });
    const guest = new V86Guest(machine);
    await within(COMMAND_MS, 'v86', whenReady(machine));
    const inside = machine as unknown as Inside;
    guest.meter(inside.v86, 'do_tick');
    guest.meter(inside.bus, 'send');
    return guest;
  }

  /** Runs a shell script in the guest. A status other than 0 rejects. Returns the output without white space around it. */
  async run(script: string, ms = COMMAND_MS): Promise<string> {
    const { status, output } = await within(ms, script, this.agent.sh(script));
    if (status !== 0) throw new Error(`${script}\nstatus ${status}\n${output}`);
    return output.trim();
  }

  /** DHCP. What the server said by udhcpc's names. */
  async lease(): Promise<Record<string, string>> {
    const lines = (await this.run('lease')).split('\n');
    return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
  }

  /** Bytes a second that the card takes of frames which nobody wants, for `ms` as fast as it takes them. By the guest's count. */
  async bareRate(ms: number): Promise<number> {
    const statistics = 'cat /sys/class/net/eth0/address /sys/class/net/eth0/statistics/rx_packets';
    const [mac, before] = (await this.run(statistics)).split('\n') as [string, string];
    const frame = new Uint8Array(FRAME_LEN);
    frame.set([
      ...mac.split(':').map((byte) => Number.parseInt(byte, 16)),
      2,
      0,
      0,
      0,
      0,
      1,
      ...EXPERIMENTAL,
    ]);
    const card = new V86Card(this.machine as V86Emulator);
    const { bus } = this.machine as unknown as Inside;
    const start = performance.now();
    while (performance.now() - start < ms) {
      while (card.room(FRAME_LEN) === 'room') bus.send('net0-receive', frame);
      await new Promise((goOn) => setImmediate(goOn));
    }
    const seconds = (performance.now() - start) / 1000;
    const [, after] = (await this.run(statistics)).split('\n') as [string, string];
    return ((Number(after) - Number(before)) * FRAME_LEN) / seconds;
  }

  async close(): Promise<void> {
    await this.machine.destroy();
  }

  private meter<Name extends string>(of: { [name in Name]: (...args: never[]) => void }, name: Name): void {
    const call = of[name] as (...args: unknown[]) => void;
    of[name] = ((...args: unknown[]) => {
      const start = performance.now();
      call.apply(of, args);
      this.busyMs += performance.now() - start;
    }) as (typeof of)[Name];
  }
}
