// Linux's TCP as a target of the scripts in test/scripts: a network namespace with one TAP in it and nothing else. The
// test is the whole network behind the TAP. Every script is a remote host of its own, so all of them play at once, each
// with its own route, where its MTU and congestion control stand; the application is a socket made in the namespace.

import { constants, setPriority } from 'node:os';
import { parseIpv4Word } from '../../../src/base/addr.ts';
import { Arena } from '../../../src/base/arena.ts';
import { Drop } from '../../../src/base/drop.ts';
import { createMemory } from '../../../src/base/memory.ts';
import { Timers } from '../../../src/base/timers.ts';
import { Turn } from '../../../src/base/turn.ts';
import type { LinkHost, LinkSink } from '../../../src/link/link.ts';
import { NodeClock } from '../../../src/node/clock.ts';
import { pseudoSumIpv4 } from '../../../src/wire/checksum.ts';
import type { ForEndpoint, Sent, Target } from '../../scripts/player.ts';
import type { AppStep, Script, Settings } from '../../scripts/script.ts';
import { arp, ipv4 } from '../../support/raw-frames.ts';
import { pattern, patternByte, readSegment, writeSegment } from '../../support/segment-bytes.ts';
import { inNamespace, Option, Socket } from './kernel-socket.ts';
import { pause, poll } from './processes.ts';
import { TapGuest } from './tap-guest.ts';

/** Routes say less. */
const DEVICE_MTU = 9000;
const ARENA_LEN = 8 << 20;
const LINUX_MAC = '02:00:00:00:00:01';
const REMOTE_MAC = '02:00:00:00:00:02';
const LINUX = '10.9.0.1';
const GATEWAY = '10.9.255.254';
const REMOTE_PORT = 40000;
const HEARTBEAT_MS = 4;
const ETHERNET_LEN = 14;

/** What a script can count on, whatever the machine's own settings are. */
const SYSCTLS = {
  // No connection learns from the one before.
  'net.ipv4.tcp_no_metrics_save': '1',
};

const memory = createMemory(1 << 18, (buffer) => new Uint8Array(buffer));

/** The namespace, its TAP, and all that is behind it. */
export class LinuxLab {
  private readonly guest: TapGuest;
  private readonly host: LinkHost;
  private readonly targets = new Map<string, LinuxTarget>();
  private readonly heartbeat: NodeJS.Timeout;

  private constructor(guest: TapGuest, host: LinkHost) {
    this.guest = guest;
    this.host = host;
    this.heartbeat = this.watchDelays();
  }

  /** Each script may be played `attempts` times. */
  static async open(scripts: readonly Script[], attempts: number): Promise<LinuxLab> {
    const clock = new NodeClock();
    const turn = new Turn(clock);
    const arena = new Arena(createMemory(ARENA_LEN, (buffer) => new Uint8Array(buffer)));
    const host = { arena, turn, clock, timers: new Timers(clock, turn) };
    // Frames come when there is a lab for them, and there are none before the device is configured.
    let lab: LinuxLab | null = null;
    const sink: LinkSink = {
      onFrame: (off, len) => {
        lab?.onFrame(off, len);
        return Drop.None;
      },
      onLinkWritable: () => {},
      onLinkDown: () => {},
    };
    const guest = await TapGuest.open({
      attach: (link) => link.attach(sink, host),
      mtu: DEVICE_MTU,
      address: `${LINUX}/16`,
      gateway: GATEWAY,
      sysctls: SYSCTLS,
    });
    const routes = scripts.flatMap(({ settings }, i) =>
      Array.from({ length: attempts }, (_, attempt) => route(remoteOf(i, attempt), guest.device, settings)),
    );
    guest.ip('link', 'set', guest.device, 'address', LINUX_MAC);
    await guest.run(`ip -batch - <<END\n${routes.join('\n')}\nEND`);
    lab = new LinuxLab(guest, host);
    // What is measured is Linux's time, not how long this process waits for a processor.
    setPriority(constants.priority.PRIORITY_HIGHEST);
    return lab;
  }

  /** A remote host for the script at `index` of the list that the lab was made for; another one for each attempt. */
  target(script: Script, index: number, attempt: number): LinuxTarget {
    const remote = remoteOf(index, attempt);
    const port = 1000 + index;
    const socket = inNamespace(this.guest.ns, () => Socket.create());
    const send = (frame: Uint8Array) => this.host.turn.run(() => this.put(frame));
    const target = new LinuxTarget(script.settings, remote, port, socket, send);
    this.targets.set(remote, target);
    return target;
  }

  async close(): Promise<void> {
    clearInterval(this.heartbeat);
    setPriority(constants.priority.PRIORITY_NORMAL);
    await this.guest.close();
  }

  /** Tells every target how late this process runs. */
  private watchDelays(): NodeJS.Timeout {
    let last = performance.now();
    return setInterval(() => {
      const now = performance.now();
      for (const target of this.targets.values()) target.noteDelay(now - last - HEARTBEAT_MS);
      last = now;
    }, HEARTBEAT_MS);
  }

  private put(frame: Uint8Array): void {
    const { link } = this.guest;
    const at = link.reserve(frame.length);
    if (at < 0) throw new Error('the TAP has no room');
    this.host.arena.memory.bytes.set(frame, at);
    link.commit(frame.length);
  }

  private onFrame(off: number, len: number): void {
    const frame = Buffer.from(this.host.arena.memory.bytes.subarray(off, off + len));
    const type = frame.readUInt16BE(12);
    if (type === 0x0806) this.answerArp(frame);
    if (type !== 0x0800 || frame[ETHERNET_LEN + 9] !== 6) return;
    this.targets.get(dotted(frame, ETHERNET_LEN + 16))?.onPacket(frame.subarray(ETHERNET_LEN));
  }

  /** Every address but Linux's own is behind the TAP. */
  private answerArp(frame: Buffer): void {
    const asked = dotted(frame, ETHERNET_LEN + 24);
    if (frame.readUInt16BE(ETHERNET_LEN + 6) !== 1 || asked === LINUX) return;
    this.put(arp(2, asked, LINUX, { from: REMOTE_MAC, to: LINUX_MAC }));
  }
}

function remoteOf(index: number, attempt: number): string {
  return `10.9.${1 + attempt}.${1 + index}`;
}

function route(remote: string, device: string, { mtu, quickack, congestion }: Settings): string {
  const metrics = `mtu lock ${mtu} quickack ${quickack ? 1 : 0} congctl ${congestion}`;
  return `route add ${remote}/32 dev ${device} ${metrics}`;
}

function dotted(bytes: Buffer, at: number): string {
  return [...bytes.subarray(at, at + 4)].join('.');
}

/** Numbers of the states in Linux's tcp_states.h. */
const STATES = [
  '',
  'ESTABLISHED',
  'SYN-SENT',
  'SYN-RECEIVED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'TIME-WAIT',
  'CLOSED',
  'CLOSE-WAIT',
  'LAST-ACK',
  'LISTEN',
  'CLOSING',
];
/** An application sees at once what there is to see. */
const APP_MS = 300;

export class LinuxTarget implements Target {
  readonly name = 'linux';
  // Linux's timer wheel rounds up by an eighth, and both ends of the TAP wait for a processor.
  readonly early = 12;
  readonly late = 30;
  readonly lateShare = 0.125;
  readonly quiet = 30;
  /** How late this process was at worst, ms: a script that was not played in time shows nothing. */
  worstDelay = 0;
  private readonly pseudo: number;
  private readonly remote: string;
  private port: number;
  private readonly send: (frame: Uint8Array) => void;
  private readonly first: Socket;
  private connection: Socket | null = null;
  private readonly queue: Sent[] = [];
  private wake: (() => void) | null = null;
  private written = 0;
  private readBytes = 0;

  constructor(
    settings: Settings,
    remote: string,
    port: number,
    socket: Socket,
    send: (frame: Uint8Array) => void,
  ) {
    this.remote = remote;
    this.port = port;
    this.first = socket;
    this.send = send;
    this.pseudo = pseudoSumIpv4(parseIpv4Word(remote)!, parseIpv4Word(LINUX)!, 6);
    socket.set(Option.reuseAddress, 1);
    socket.set(Option.noDelay, 1);
    if (settings.rcvbuf > 0) socket.set(Option.receiveBuffer, settings.rcvbuf);
    // Urgent data in line, as RFC 6093 5 has it.
    socket.set(Option.oobInline, 1);
    if (settings.passive) socket.listen(LINUX, port);
  }

  now(): number {
    return performance.now();
  }

  async waitUntil(at: number): Promise<void> {
    if (this.now() < at) {
      while (this.now() < at) await pause(at - this.now());
      this.noteDelay(this.now() - at);
    }
  }

  noteDelay(ms: number): void {
    this.worstDelay = Math.max(this.worstDelay, ms);
  }

  inject(segment: ForEndpoint): void {
    const fields = { from: REMOTE_PORT, to: this.port, ...segment };
    const len = writeSegment(memory, 0, this.pseudo, fields);
    const packet = Buffer.from(memory.bytes.subarray(0, len));
    const between = { src: this.remote, dst: LINUX, proto: 6, from: REMOTE_MAC, to: LINUX_MAC };
    this.send(ipv4(packet, between));
  }

  onPacket(packet: Buffer): void {
    const at = this.now();
    const header = (packet[0]! & 15) * 4;
    const len = packet.readUInt16BE(2) - header;
    memory.bytes.set(packet.subarray(header, header + len), 0);
    const sent = readSegment(memory, 0, len, this.pseudo);
    this.port = sent.from;
    this.queue.push({ ...sent, at });
    this.wake?.();
  }

  async take(until: number): Promise<Sent | null> {
    while (this.queue.length === 0 && this.now() < until) {
      const arrived = new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      await Promise.race([arrived, this.waitUntil(until)]);
    }
    return this.queue.shift() ?? null;
  }

  async app(step: AppStep): Promise<void> {
    if (step.op === 'connect') {
      this.first.connect(this.remote, REMOTE_PORT);
      this.connection = this.first;
    } else if (step.op === 'accept') {
      this.connection ??= await poll(APP_MS, 'accept', () => this.first.accept() ?? undefined);
    } else await this.onConnection(step, this.connection ?? this.first);
  }

  private async onConnection(step: AppStep, socket: Socket): Promise<void> {
    if (step.op === 'shutdown') socket.shutdown();
    else if (step.op === 'abort') socket.abort();
    else if (step.op === 'write') {
      const took = socket.write(pattern(step.bytes, this.written));
      if (took !== step.bytes) throw new Error(`the kernel took ${took} bytes`);
      this.written += took;
    } else if (step.op === 'read') await this.read(socket, step.bytes);
    else if (step.op === 'eof') {
      const bytes = await poll(APP_MS, 'end of file', () => socket.read(1) ?? undefined);
      if (bytes.length > 0) throw new Error('there are bytes before the end of file');
    } else if (step.op === 'state') {
      const is = () => (STATES[socket.state()] === step.name ? true : undefined);
      await poll(APP_MS, `state ${step.name} (${STATES[socket.state()]})`, is);
    } else if (step.op === 'error') {
      const seen = step.name === 'none' ? socket.error() : await this.failed(socket);
      if ((seen || 'none') !== step.name) throw new Error(`the error is ${seen || 'none'}`);
    }
  }

  private async read(socket: Socket, bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const got = await poll(APP_MS, `${left} more bytes`, () => socket.read(left) ?? undefined);
      if (got.length === 0) throw new Error(`end of file, ${left} bytes before`);
      const wrong = got.findIndex((byte, i) => byte !== patternByte(this.readBytes + i));
      if (wrong >= 0) throw new Error(`byte ${this.readBytes + wrong} is not what was sent`);
      this.readBytes += got.length;
      left -= got.length;
    }
  }

  private async failed(socket: Socket): Promise<string> {
    return poll(APP_MS, 'an error', () => socket.error() || undefined);
  }

  close(): void {
    this.connection?.close();
    this.first.close();
  }
}
