// A network with two guests in one process, in passes of an event loop: in each pass a fixed time goes by, alarms that are due
// ring, and whoever has asked for `soon` has one call. The guest that floods has frames waiting at any time. So what the
// other one has in so many passes depends on nothing but the engine's fairness: on what it does for each of them in a
// turn, and on what it keeps for each.

import type { Endpoint } from '../../src/base/addr.ts';
import type { Clock, Micros, Ms } from '../../src/base/clock.ts';
import { NEVER } from '../../src/base/clock.ts';
import { Drop } from '../../src/base/drop.ts';
import { EmbeddedGuest } from '../../src/guest/guest.ts';
import { createGuestHost } from '../../src/guest/guest-host.ts';
import type { GuestSocket, GuestSocketEvents } from '../../src/guest/tcp-socket.ts';
import type { GuestUdpSocket } from '../../src/guest/udp-socket.ts';
import { captureLink } from '../../src/link/capture.ts';
import type { Link, LinkSink } from '../../src/link/link.ts';
import { createPair } from '../../src/link/pair.ts';
import type { NetworkConfig } from '../../src/network/config.ts';
import { createNetwork, type Network } from '../../src/network/network.ts';
import { SplitClock, to } from '../support/guest-bench.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { CrowdHost, PAD_LEN, PORTS, RESOLVER } from './crowd-host.ts';
import { FrameWriter } from './frames.ts';
import type { FloodFrames, Targets } from './kinds.ts';

/** Time of a pass while bytes are counted. */
export const PASS: Micros = 100;
const MAX_PASSES = 20_000;
const FLOODER = { mac: { hi: 0x5254, lo: 0x00666666 }, address: 0x0a0002c8 };

/** An event loop's clock: pass() is one go of it. */
class StepClock implements Clock {
  private time: Micros = 0;
  private alarmAt: Ms = NEVER;
  private wake: () => void = () => {};
  private queue: { wake: () => void; notBefore: Micros }[] = [];

  now(): Ms {
    return Math.floor(this.time / 1000);
  }

  micros(): Micros {
    return this.time;
  }

  wallNow(): number {
    return 1_600_000_000_000 + this.time / 1000;
  }

  setAlarm(at: Ms, wake: () => void): void {
    this.alarmAt = at;
    this.wake = wake;
  }

  soon(wake: () => void, notBefore: Micros = 0): void {
    this.queue.push({ wake, notBefore });
  }

  pass(micros: Micros): void {
    this.time += micros;
    if (this.now() >= this.alarmAt) {
      this.alarmAt = NEVER;
      this.wake();
    }
    const calls = this.queue;
    this.queue = [];
    for (const call of calls) {
      if (call.notBefore <= this.time) call.wake();
      else this.queue.push(call);
    }
  }
}

/** Frames that wait in the cable of the guest that floods. */
const WAITING = 256;

/** The end of the cable of the guest that floods: there is always something in it. */
class Flooder implements LinkSink {
  flood: FloodFrames | null = null;
  sent = 0;
  /** Frames that the network has taken. */
  taken = 0;
  private readonly link: Link;
  private readonly network: Network;
  private readonly writer = new FrameWriter(new SeededRandom(3), FLOODER.mac, FLOODER.address);

  constructor(link: Link, network: Network) {
    this.link = link;
    this.network = network;
    link.attach(this, network);
  }

  /** Sends until the cable takes no more. */
  pour(targets: Targets): void {
    const { flood, network, link, writer } = this;
    if (flood === null) return;
    network.turn.run(() => {
      while (this.sent - this.taken < WAITING) {
        const at = link.reserve(1514);
        if (at < 0) return;
        const frame = flood(writer, this.sent, targets);
        network.arena.memory.bytes.set(frame, at);
        link.commit(frame.length);
        this.sent++;
      }
    });
  }

  onFrame(): Drop {
    return Drop.None;
  }

  onLinkWritable(): void {}

  onLinkDown(): void {}
}

/** What the well-behaved guest sends. */
class Upload implements GuestSocketEvents {
  left = 0;
  socket: GuestSocket | null = null;

  onOpen(socket: GuestSocket): void {
    this.socket = socket;
    this.onWritable();
  }

  onWritable(): void {
    if (this.socket !== null) this.left -= this.socket.fill(this.left, (_off, len) => len);
  }
}

export class FloodBench {
  readonly clock = new StepClock();
  private readonly clocks = new SplitClock(this.clock);
  readonly host = new CrowdHost();
  readonly network: Network;
  readonly guest: EmbeddedGuest;
  readonly flooder: Flooder;
  private readonly upload = new Upload();
  private downloaded = 0;
  private udp: GuestUdpSocket | null = null;
  private answers = 0;
  private ports: number[] = [];

  constructor(config: NetworkConfig = {}) {
    const { clocks } = this;
    const random = new SeededRandom(1);
    const makeView = (buffer: ArrayBuffer): Buffer => Buffer.from(buffer);
    this.network = createNetwork(config, { clock: clocks.part(), random, host: this.host, makeView });
    const bad = createPair('bad', 1514);
    this.network.attach(
      captureLink(bad.link, {
        record: (direction) => {
          if (direction === 'from-guest') this.flooder.taken++;
        },
      }),
    );
    this.flooder = new Flooder(bad.peer, this.network);
    const good = createPair('good', 1514);
    this.network.attach(good.link);
    this.guest = new EmbeddedGuest({ host: this.guestHost(), random, link: good.peer });
  }

  /** The guest has a lease, two connections, and has asked once. */
  async start(): Promise<this> {
    const lease = this.guest.boot();
    this.passes(2000);
    await lease;
    const up = this.guest.connectTcp(to('10.0.2.2', PORTS.sink), this.upload);
    const down = this.guest.connectTcp(to('10.0.2.2', PORTS.source), {
      onReadable: (socket) => {
        this.downloaded += socket.consume((_off, len) => len);
      },
    });
    const onDatagram = (_: Uint8Array, from: Endpoint): void => {
      if (from.port === PORTS.echo || from.port === RESOLVER.port) this.answers++;
    };
    this.udp = this.guest.openUdp({ onDatagram }, 4000);
    this.ports = [up.own.port, down.own.port];
    this.passes(100);
    this.asks('echo');
    // What a warm connection knows of the way.
    this.moves('up', 1 << 20);
    this.moves('down', 1 << 20);
    return this;
  }

  get targets(): Targets {
    const { mac, config } = this.guest;
    return { victim: { mac, address: config?.address ?? 0, ports: this.ports }, ...PORTS };
  }

  pass(micros: Micros = PASS): void {
    this.flooder.pour(this.targets);
    this.clock.pass(micros);
  }

  passes(n: number, micros: Micros = PASS): void {
    for (let i = 0; i < n; i++) this.pass(micros);
  }

  /** Passes until `done`. */
  until(what: string, done: () => boolean): number {
    for (let n = 0; n < MAX_PASSES; n++) {
      if (done()) return n;
      this.pass();
    }
    throw new Error(`${what}: not in ${MAX_PASSES} passes`);
  }

  /** Passes for so many bytes from the guest to the host, or back. */
  moves(direction: 'up' | 'down', bytes: number): number {
    const { sink, source } = this.host;
    if (direction === 'down') {
      const due = this.downloaded + bytes;
      source!.gives(bytes);
      return this.until('download', () => this.downloaded >= due);
    }
    const due = sink!.taken + bytes;
    this.upload.left += bytes;
    this.upload.onWritable();
    return this.until('upload', () => sink!.taken >= due);
  }

  /** Passes for one question over UDP, to a server of the host or to the name service. */
  asks(what: 'echo' | 'name'): number {
    const due = this.answers + 1;
    const query = Buffer.from('123401000001000000000000076578616d706c6503636f6d0000010001', 'hex');
    this.udp!.send(what === 'echo' ? to('10.0.2.2', PORTS.echo) : to('10.0.2.3', 53), query);
    return this.until(what, () => this.answers >= due);
  }

  /** A guest that comes now, on a link of its own: passes until it has a lease. */
  comes(): number {
    const pair = createPair('late', 1514);
    this.network.attach(pair.link);
    const late = new EmbeddedGuest({ host: this.guestHost(), random: new SeededRandom(9), link: pair.peer });
    late.boot().catch(() => {});
    return this.until('lease', () => late.lease !== null);
  }

  /** The flood is over, to the last frame that waits. */
  calms(): void {
    this.flooder.flood = null;
    this.until('calm', () => this.flooder.taken === this.flooder.sent);
  }

  /** Everything is closed: what is left in the arena beside the host's pad. */
  async close(): Promise<{ flows: number; timers: number; arena: number }> {
    const closed = this.network.close();
    this.passes(100);
    await closed;
    const { flows, timers, arena } = this.network.stats();
    return { flows: flows.tcp + flows.udp, timers, arena: arena.used - PAD_LEN };
  }

  private guestHost() {
    return createGuestHost(this.clocks.part(), 8 << 20, (buffer) => Buffer.from(buffer));
  }

  /** Seconds that the guest's lease lasts still; 0 without one. */
  get leaseSeconds(): number {
    const address = this.guest.lease?.text;
    return this.network.stats().leases.find((lease) => lease.address === address)?.secondsLeft ?? 0;
  }

  /** Does the switch know where the guest is, and the gateway? */
  get isKnown(): boolean {
    const { mac, config } = this.guest;
    const inner = this.network as unknown as {
      hub: { macs: { find(hi: number, lo: number, now: Ms): number } };
      neighbours: { known: { get(address: number): { ingress: number } | undefined } };
    };
    const GOOD_PORT = 2;
    return (
      inner.hub.macs.find(mac.hi, mac.lo, this.clock.now()) === GOOD_PORT &&
      inner.neighbours.known.get(config?.address ?? 0)?.ingress === GOOD_PORT
    );
  }
}
