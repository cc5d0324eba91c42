// One network under fuzz: an engine, guests whose every byte somebody else says, a host in memory, a clock that is moved
// by hand. Whatever happens to it goes through apply() and its parts, so that a list of ops is a whole run.
//
// What must hold, whatever the guests send:
//   - nothing throws, and no promise is rejected unheard;
//   - frames to guests have right checksums, no byte of free arena and no more bytes than the MTU allows;
//   - each frame that was handed in has one verdict, counted where it belongs;
//   - the arena holds what somebody has taken, and what nobody holds nobody writes to;
//   - tables are within their limits, TCP's invariants hold between segments;
//   - afterwards a DHCP exchange works at once, and with the network closed nothing is left.

import { NEVER } from '../../src/base/clock.ts';
import { Drop, dropNames } from '../../src/base/drop.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { createNetwork, type Network } from '../../src/network/network.ts';
import { isValid, pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { starve } from '../support/starve.ts';
import type { ArenaWatch } from './arena-watch.ts';
import { expectExchange } from './exchange.ts';
import { clientAddr, FuzzHost } from './fuzz-host.ts';
import { FuzzLink, type TrainCounts } from './fuzz-link.ts';
import { type Inside, insideOf } from './inside.ts';
import type { HostAct, LinkAct, Op } from './ops.ts';
import { rebase } from './rebase.ts';
import { SeenTable } from './seen.ts';
import type { WorldSpec } from './worlds.ts';

export type Kernel = 'wasm' | 'js';

const GATEWAY_MAC_HI = 0x5255;

export class World {
  readonly spec: WorldSpec;
  readonly clock = new ManualClock();
  readonly host: FuzzHost;
  readonly network: Network;
  readonly links: FuzzLink[] = [];
  readonly seen = new SeenTable();
  /** Of everything that left: bytes to the host, and frames to each guest. See `digest`. */
  private readonly digests: number[] = [];
  /** Frames handed in, and sent to guests. */
  framesIn = 0;
  framesOut = 0;
  /** Of them the ones that were taken and made in trains. */
  readonly trains: TrainCounts = { taken: 0, made: 0 };
  /** Called for each frame to a guest, at [off, off+len) of the arena, lent. */
  onOut: (guest: number, off: number, len: number) => void = () => {};
  readonly inside: Inside;
  /** What onFrame() has said of the frames, by Drop. */
  private readonly verdicts = new Float64Array(dropNames.length);
  private readonly scratch = Buffer.alloc(65536);
  private readonly seed: number;
  private plugged = 0;
  private release: (() => void) | null = null;

  /** `salt`: of the pattern in free arena, 0..255. */
  static async create(spec: WorldSpec, seed: number, salt = 0, kernel: Kernel = 'wasm'): Promise<World> {
    const world = new World(spec, seed, salt, kernel);
    await world.network.start();
    return world;
  }

  private constructor(spec: WorldSpec, seed: number, salt: number, kernel: Kernel) {
    this.spec = spec;
    this.seed = seed;
    this.host = new FuzzHost(seed ^ 0x5eed, salt);
    this.host.onBytes = (off, len) => this.mix(0, off, len);
    this.network = createNetwork(spec.config, {
      clock: this.clock,
      random: new SeededRandom(seed),
      host: this.host,
      makeView: (buffer) => Buffer.from(buffer),
      kernel,
    });
    this.inside = insideOf(this.network);
    for (const guest of spec.maxFrames.keys()) this.plug(guest);
  }

  /** The same for two runs of one script, whatever the salts, and whether frames go in trains or one by one. */
  get digest(): number {
    return this.digests.reduce((all, one) => (Math.imul(all, 31) + (one ?? 0)) | 0, 0);
  }

  get watch(): ArenaWatch {
    return this.host.watch;
  }

  apply(op: Op): void {
    if (op.kind === 'frame') this.frame(op.guest, op.rebased, op.joined, op.bytes, op.bytes.length);
    else if (op.kind === 'time') this.time(op.micros);
    else if (op.kind === 'host') this.hostDoes(op.act, op.which, op.amount);
    else this.linkDoes(op.guest, op.act);
  }

  /** The first `len` bytes of `bytes`, a copy. `joined`: in the same turn as the frame that follows. See ops.ts. */
  frame(guest: number, rebased: boolean, joined: boolean, bytes: Uint8Array, len: number): void {
    const link = this.links[guest % this.links.length]!;
    if (!link.hasRoomFor(len)) this.deliver();
    if (rebased) {
      this.scratch.set(len === bytes.length ? bytes : bytes.subarray(0, len));
      rebase(this.scratch, len, guest % this.links.length, this.seen);
      link.add(this.scratch, len);
    } else link.add(bytes, len);
    this.framesIn++;
    if (!joined) this.deliver();
  }

  time(micros: number): void {
    this.deliver();
    this.clock.advanceMicros(micros);
    this.clock.runSoon();
  }

  hostDoes(act: HostAct, which: number, amount: number): void {
    this.deliver();
    const { streams, sockets } = this.host;
    const stream = streams[which % Math.max(1, streams.length)];
    const socket = sockets[which % Math.max(1, sockets.length)];
    if (act === 'connect')
      this.host.connects(which, { addr: clientAddr(amount), port: 1024 + (amount & 0x3ff) });
    else if (act === 'give') stream?.gives(amount);
    else if (act === 'end') stream?.ends();
    else if (act === 'fail') stream?.fail('reset');
    else if (act === 'hold') stream?.hold();
    else if (act === 'let-go') stream?.letGo();
    else if (act === 'datagram') {
      const stranger = amount & 0x10000 ? { addr: clientAddr(amount), port: 1024 + (amount & 0x3ff) } : null;
      socket?.givesBytes(amount & 0xffff, stranger);
    } else if (act === 'hoard') this.release ??= starve(this.network.arena, amount);
    else if (act === 'release') this.giveBack();
    else socket?.fails(amount & 1 ? 'refused' : 'exhausted');
    this.clock.runSoon();
  }

  linkDoes(guest: number, act: LinkAct): void {
    this.deliver();
    const which = guest % this.links.length;
    const link = this.links[which]!;
    const { turn } = this.network;
    if (act === 'full') link.isFull = true;
    else if (act === 'room') turn.run(() => link.hasRoom());
    else if (act === 'down' && link.isUp) turn.run(() => link.goDown());
    else if (act === 'up' && !link.isUp) {
      link.giveBack();
      this.plug(which);
    }
    this.clock.runSoon();
  }

  /** Runs the turn in which what was joined arrives, and what follows from it. */
  deliver(): void {
    this.network.turn.run(this.handIn);
    for (const link of this.links) link.takeBack();
    this.clock.runSoon();
  }

  /** Throws where something does not hold. */
  check(): void {
    this.deliver();
    const stats = this.network.stats();
    let verdicts = 0;
    for (const [drop, name] of dropNames.entries()) {
      const said = this.verdicts[drop]!;
      verdicts += said;
      equal(drop === Drop.None ? stats.accepted : (stats.drops[name] ?? 0), said, name);
    }
    equal(verdicts, this.framesIn, 'verdicts and frames');
    for (const link of this.links) {
      const row = stats.links.find((one) => one.name === link.name);
      if (!link.isUp) continue;
      equal(row?.framesIn, link.framesIn, `framesIn of ${link.name}`);
      equal(row?.bytesIn, link.bytesIn, `bytesIn of ${link.name}`);
    }
    equal(stats.arena.used, this.watch.held, 'arena.used');
    this.watch.check();
    this.inside.check(stats);
  }

  /** Ends it: a DHCP exchange works, and with the network closed nothing is left. */
  async finish(): Promise<void> {
    this.giveBack();
    for (const guest of this.links.keys()) {
      this.linkDoes(guest, 'up');
      this.linkDoes(guest, 'room');
    }
    this.check();
    if (this.network.settings.dhcp !== null) expectExchange(this);
    const closed = this.network.close();
    this.clock.runSoon();
    await closed;
    // A call that was asked for to the microsecond cannot be taken back: it comes, and nothing follows.
    this.clock.advance(2);
    const { flows, timers, arena } = this.network.stats();
    equal(flows.tcp + flows.udp, 0, 'flows after the end');
    equal(timers, 0, 'timers after the end');
    equal(arena.used, 0, 'arena after the end');
    equal(this.host.streams.length + this.host.sockets.length, 0, 'sockets after the end');
    equal(this.clock.nextAlarm, NEVER, 'the alarm after the end');
    equal(this.clock.soonCount, 0, 'calls after the end');
    this.watch.check();
    this.watch.checkFree();
  }

  /** What was hoarded. */
  private giveBack(): void {
    this.release?.();
    this.release = null;
  }

  private plug(guest: number): void {
    const name = `g${guest}.${this.plugged++}`;
    const onOut = (off: number, len: number): void => this.out(guest, off, len);
    const random = new SeededRandom(this.seed + this.plugged);
    const roomRandom = new SeededRandom(this.seed - this.plugged);
    const parts = { watch: () => this.watch, onOut, random, roomRandom, trains: this.trains };
    const link = new FuzzLink(name, this.spec.maxFrames[guest]!, parts);
    this.network.attach(link);
    this.links[guest] = link;
  }

  private readonly handIn = (): void => {
    for (const link of this.links) link.handIn(this.verdicts);
  };

  private out(guest: number, off: number, len: number): void {
    this.framesOut++;
    if (len < 60 || len > this.spec.maxFrames[guest]!) throw new Error(`a frame of ${len} bytes to a guest`);
    this.watch.search(off, len, 'to a guest');
    this.mix(1 + guest, off, len);
    const v = this.network.arena.memory.view;
    // Of a frame that the switch passes from one guest to another nothing is known.
    if (this.isOurs(v, off) && v.getUint16(off + 12) === 0x0800) {
      this.expectGood(off, len);
      this.seen.note(v, off, len, guest);
    }
    this.onOut(guest, off, len);
  }

  private isOurs(v: DataView, off: number): boolean {
    const { gateway, dns } = this.network.settings;
    const lo = v.getInt32(off + 8);
    return v.getUint16(off + 6) === GATEWAY_MAC_HI && (lo === gateway || lo === dns?.address);
  }

  /** A frame of the gateway: IPv4 in it is as it has to be. */
  private expectGood(off: number, len: number): void {
    const { memory } = this.network.arena;
    const v = memory.view;
    const ip = off + 14;
    const total = v.getUint16(ip + 2);
    if (v.getUint8(ip) !== 0x45 || total > len - 14 || total > this.network.settings.mtu)
      throw new Error(`a bad IPv4 header was sent: ${total} of ${len - 14}`);
    if (!isValid(memory.sum(ip, 20))) throw new Error('a bad IPv4 checksum was sent');
    if ((v.getUint16(ip + 6) & 0x3fff) !== 0) return;
    const proto = v.getUint8(ip + 9);
    const pseudo = pseudoSumIpv4(v.getInt32(ip + 12), v.getInt32(ip + 16), proto) + total - 20;
    const sum = memory.sum(ip + 20, total - 20);
    const isGood = proto === 1 ? isValid(sum) : isValid(pseudo + sum);
    if (!isGood) throw new Error(`a bad checksum was sent, protocol ${proto}`);
  }

  private mix(to: number, off: number, len: number): void {
    const sum = this.network.arena.memory.sum(off, len);
    this.digests[to] = (Math.imul((this.digests[to] ?? 0) ^ sum, 0x01000193) + len) | 0;
  }
}

function equal(is: unknown, mustBe: unknown, what: string): void {
  if (is !== mustBe) throw new Error(`${what}: ${String(is)}, must be ${String(mustBe)}`);
}
