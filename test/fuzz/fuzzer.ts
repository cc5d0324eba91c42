// Decides what happens to a world next: which guest says what, how it is spoilt, when time passes, what the host does.
// All of it follows from one seed and from what the world has answered. What it does is handed to a log, if there is
// one, and to the world.

import type { Dice } from './dice.ts';
import { Draft, type Ends } from './draft.ts';
import { Dhcp, datagram, dhcpMessage, dnsQuery, fragments } from './messages.ts';
import { mutate, mutateDhcp } from './mutate.ts';
import type { HostAct, LinkAct, OpLog } from './ops.ts';
import { Talk } from './talk.ts';
import type { World } from './world.ts';

const MOST_TALKS = 14;
/** By port modulo 8 the host behaves, see fuzz-host.ts: those that say something more often than not. */
const PORTS = [
  80, 8080, 443, 443, 443, 11, 2, 2050, 12, 12, 20, 2052, 5, 6, 1, 7, 15, 23, 31, 39, 47, 53, 8, 16,
];
const UDP_PORTS = [8, 16, 1, 2, 3, 1002, 4, 5, 6, 7, 15, 23, 39, 53, 123, 2000, 2001, 2002, 2003];
const HOST_ACTS: readonly HostAct[] = [
  'give',
  'give',
  'end',
  'fail',
  'hold',
  'let-go',
  'datagram',
  'socket-fails',
];
/** Microseconds that pass at a time. */
const WAITS = [1, 100, 1000, 1000, 5000, 20_000, 50_000, 200_000, 1_000_000, 3_000_000] as const;
const LONG_WAITS = [10_000_000, 31_000_000, 76_000_000, 250_000_000, 7_300_000_000] as const;

export class Fuzzer {
  private readonly world: World;
  private readonly dice: Dice;
  private readonly seeds: readonly Uint8Array[];
  private readonly log: OpLog | null;
  private readonly draft = new Draft();
  private talks: Talk[] = [];
  /** What the engine has begun: connections to guests, questions who has an address. */
  private readonly asked: { guest: number; ownPort: number; remotePort: number; remote: number }[] = [];
  private readonly gateway: number;
  /** The address that a DHCP client was told of last. */
  private offered = 0;

  constructor(world: World, dice: Dice, seeds: readonly Uint8Array[], log: OpLog | null) {
    this.world = world;
    this.dice = dice;
    this.seeds = seeds;
    this.log = log;
    this.gateway = world.network.settings.gateway;
    world.onOut = (guest, off, len) => this.heard(guest, off, len);
  }

  /** One thing, or a few that belong together: at least one frame, time or act. */
  step(): void {
    const { dice } = this;
    const what = dice.below(1000);
    if (what < 410) this.talkOn();
    else if (what < 510) this.evilTalk();
    else if (what < 550) this.datagrams();
    else if (what < 600) this.dhcp();
    else if (what < 620) this.names();
    else if (what < 640) this.arp();
    else if (what < 760) this.seed();
    else if (what < 780) this.inFragments();
    else if (what < 800) this.noise();
    else if (what < 812) this.download();
    else if (what < 815) this.flood();
    else if (what < 828) this.train();
    else if (what < 905) this.wait();
    else if (what < 983) this.host();
    else if (what < 985) this.starve();
    else this.link();
    while (this.asked.length > 0) this.answer();
  }

  // What the engine asks for.

  private heard(guest: number, off: number, len: number): void {
    const v = this.world.network.arena.memory.view;
    if (
      len > 300 &&
      v.getUint8(off + 23) === 17 &&
      v.getUint16(off + 36) === 68 &&
      v.getInt32(off + 58) !== 0
    )
      this.offered = v.getInt32(off + 58);
    if (len < 54 || v.getUint8(off + 23) !== 6 || v.getUint8(off + 47) !== 2 || this.asked.length > 8) return;
    const [remote, remotePort] = [v.getInt32(off + 26), v.getUint16(off + 34)];
    this.asked.push({ guest, ownPort: v.getUint16(off + 36), remotePort, remote });
  }

  private answer(): void {
    const { guest, ownPort, remotePort, remote } = this.asked.shift()!;
    if (this.dice.chance(10) || this.talks.some((talk) => talk.isPassive && talk.remotePort === remotePort))
      return;
    const talk = new Talk(this.dice, guest, ownPort, remotePort, this.ends(guest, remote), true);
    this.join(talk);
    if (this.dice.chance(15)) talk.evil(this.draft, this.dice, this.world.seen);
    else talk.opening(this.draft, this.dice, this.world.seen);
    this.emit(talk.guest, 5);
  }

  // TCP.

  private talkOn(): void {
    const talk = this.talk();
    for (let n = this.dice.chance(30) ? this.dice.between(2, 6) : 1; n > 0; n--) {
      talk.next(this.draft, this.dice, this.world.seen);
      this.emit(talk.guest, 12, n > 1);
    }
  }

  private evilTalk(): void {
    const talk = this.talk();
    for (let n = this.dice.chance(30) ? this.dice.between(2, 12) : 1; n > 0; n--) {
      talk.evil(this.draft, this.dice, this.world.seen);
      this.emit(talk.guest, 8, n > 1 && this.dice.chance(70));
    }
  }

  private talk(): Talk {
    const { dice, world } = this;
    if (this.talks.length < 4 || dice.chance(5)) {
      const guest = this.guest();
      const remote = this.remote();
      const port = remote === this.nameServer && dice.chance(90) ? 53 : dice.pick(PORTS);
      const own = dice.chance(70) ? dice.between(30_000, 30_040) : dice.between(1, 65535);
      const talk = new Talk(dice, guest, own, port, this.ends(guest, remote), false);
      this.join(talk);
      return talk;
    }
    const at = dice.below(this.talks.length);
    const talk = this.talks[at]!;
    if (!talk.isOver(world.seen) || dice.chance(15)) return talk;
    this.talks.splice(at, 1);
    return this.talk();
  }

  /** One that stands, if one is found. */
  private liveTalk(): Talk {
    let talk = this.talk();
    for (let i = 0; i < 8; i++) {
      const seen = talk.seen(this.world.seen);
      if (seen?.syn && !seen.rst) break;
      talk = this.talk();
    }
    return talk;
  }

  private join(talk: Talk): void {
    if (this.talks.length >= MOST_TALKS) this.talks.splice(this.dice.below(this.talks.length), 1);
    this.talks.push(talk);
  }

  /** A guest that takes what comes, round trip for round trip: some of it lost, late, twice, or too much for it. */
  private download(): void {
    const { dice, world } = this;
    const talk = this.liveTalk();
    const rounds = dice.pick([3, 10, 10, 40]);
    const trip = dice.pick([500, 3000, 10_000, 40_000]);
    let step = dice.chance(30) ? dice.pick([200, 1000]) : 0;
    const losses = dice.pick([0, 0, 5, 20]);
    this.hostDoes('give', dice.below(100), 400_000);
    const pieces = dice.pick([1, 1, 2, 12]);
    for (let i = 0; i < rounds; i++) {
      if (dice.chance(losses)) talk.lose(dice, world.seen);
      if (dice.chance(3)) talk.find();
      if (dice.chance(2)) talk.setWindow(dice.pick([0, 1, 500, 65535, 65535]));
      for (let n = pieces; n > 0; n--) {
        if (dice.chance(96)) talk.acknowledge(this.draft, dice, world.seen, 1 / n);
        else talk.next(this.draft, dice, world.seen);
        this.emit(talk.guest, 1);
      }
      this.time(trip + step * i);
      if (dice.chance(2)) step = 0;
    }
    if (dice.chance(80)) talk.setWindow(65535);
  }

  // What is not TCP.

  private datagrams(): void {
    const { dice } = this;
    const guest = this.guest();
    const [remote, port] = [this.remote(), dice.pick(UDP_PORTS)];
    datagram(this.draft, dice, this.ends(guest, remote), port, dice.pick([0, 1, 10, 100, 1400]));
    if (dice.chance(10)) this.draft.bytes.writeUInt16BE(dice.pick([53, 69, 443]), 34);
    this.emit(guest, 25);
  }

  private dhcp(): void {
    const { dice } = this;
    const guest = this.guest();
    const usual = this.ends(guest, this.gateway);
    const known = dice.below(400);
    for (let n = dice.between(1, 3); n > 0; n--) {
      const ends = dice.chance(70) ? { ...usual, toHi: 0xffff, toLo: -1, src: 0, dst: -1 } : usual;
      const any = (this.gateway + dice.between(-2, 40)) | 0;
      dhcpMessage(
        this.draft,
        dice,
        ends,
        this.gateway,
        dice.chance(60) && this.offered !== 0 ? this.offered : any,
      );
      for (let k = dice.chance(40) ? dice.between(1, 4) : 0; k > 0; k--)
        mutateDhcp(this.draft.bytes, dice, 42, this.draft.len);
      // One of many clients behind this guest.
      if (dice.chance(50)) this.draft.bytes.writeUInt32BE(0x00120000 + known, 72);
      this.emit(guest, 30);
    }
  }

  private names(): void {
    const guest = this.guest();
    const isFlood = this.dice.chance(1);
    for (let n = isFlood ? 140 : 1; n > 0; n--) {
      dnsQuery(this.draft, this.dice, this.ends(guest, this.nameServer));
      this.emit(guest, isFlood ? 0 : 50, n > 1);
    }
  }

  private arp(): void {
    const { dice } = this;
    const guest = this.guest();
    const about = dice.chance(70) ? this.gateway : (this.gateway + dice.between(-2, 30)) | 0;
    const ends = { ...this.ends(guest, about), toHi: 0xffff, toLo: -1 };
    if (dice.chance(30)) ends.src = (this.gateway + dice.between(-2, 60)) | 0;
    this.draft.arp(ends, dice.between(1, 2));
    if (dice.chance(10)) this.draft.bytes[11] = dice.word();
    this.emit(guest, 30);
  }

  private seed(): void {
    const { dice, draft } = this;
    const guest = this.guest();
    if (this.seeds.length === 0) {
      this.noise();
      return;
    }
    draft.copy(dice.pick(this.seeds));
    if (dice.chance(80)) this.address(this.ends(guest, this.gateway));
    this.emit(guest, 85);
  }

  /** The frame of somebody else's network becomes one of this guest. */
  private address(ends: Ends): void {
    const { bytes, len } = this.draft;
    if (len < 34) return;
    const isGroup = (bytes[0]! & 1) !== 0;
    if (!isGroup) {
      bytes.writeUInt16BE(ends.toHi, 0);
      bytes.writeInt32BE(ends.toLo, 2);
    }
    bytes.writeUInt16BE(ends.fromHi, 6);
    bytes.writeInt32BE(ends.fromLo, 8);
    if (bytes.readUInt16BE(12) !== 0x0800) return;
    if (bytes.readInt32BE(26) !== 0) bytes.writeInt32BE(ends.src, 26);
    if (!isGroup && this.dice.chance(50)) bytes.writeInt32BE(ends.dst, 30);
    this.draft.seal();
  }

  private inFragments(): void {
    const { dice, draft } = this;
    const guest = this.guest();
    const size = dice.pick([8, 16, 256, 1480, 1480, 1480]);
    const most = size < 256 ? 300 : dice.chance(10) ? 65_507 : 6000;
    datagram(draft, dice, this.ends(guest, this.remote()), dice.pick(UDP_PORTS), dice.between(9, most));
    draft.seal();
    if (size < 256 && dice.chance(30)) {
      const talk = this.talk();
      talk.next(draft, dice, this.world.seen);
      draft.seal();
    }
    fragments(draft, dice, size, () => this.emit(guest, 6, dice.chance(50)));
  }

  /** Many of one kind, so that what is limited reaches its limit. */
  private flood(): void {
    const guest = this.guest();
    const what = this.dice.below(8);
    if (what === 0) this.comb();
    else if (what > 5) this.upload();
    else if (what === 1) this.firstFragments();
    else if (what === 2) this.clients(guest);
    else this.manyDatagrams(guest, what);
  }

  /** More than the host takes: until the window is closed, and beyond. */
  private upload(): void {
    const { dice, draft, world } = this;
    const talk = this.liveTalk();
    for (let i = dice.between(20, 120); i > 0; i--) {
      talk.push(draft, dice, world.seen);
      this.emit(talk.guest, 0, i % 8 !== 0 && dice.chance(90));
      if (dice.chance(3)) this.time(1000);
    }
    for (let i = dice.below(6); i > 0; i--) {
      talk.evil(draft, dice, world.seen);
      this.emit(talk.guest, 0);
    }
  }

  /** Text in its place, a chunk at a time, some of it spoilt: what may be taken without a look at each. */
  private train(): void {
    const { dice, draft, world } = this;
    const open = this.talks.filter((one) => one.isOpen(world.seen) && world.links[one.guest]!.isUp);
    if (open.length === 0) {
      this.talkOn();
      return;
    }
    const talk = dice.pick(open);
    const spoilt = dice.pick([0, 0, 2, 10]);
    // As long as something of the engine's is out, text goes the long way.
    talk.find();
    for (let rounds = dice.pick([0, 4, 12]); rounds > 0; rounds--) {
      talk.acknowledge(draft, dice, world.seen);
      this.emit(talk.guest, 0);
      this.time(500);
    }
    for (let chunks = dice.between(1, 6); chunks > 0; chunks--) {
      talk.goBack(world.seen);
      talk.acknowledge(draft, dice, world.seen);
      this.emit(talk.guest, 0, dice.chance(50));
      const most = dice.chance(20) ? 40 : Math.min(40, talk.room(world.seen) / 1400);
      for (let n = dice.below(most) + 1; n > 0; n--) {
        if (dice.chance(spoilt)) talk.evil(draft, dice, world.seen);
        else talk.push(draft, dice, world.seen);
        this.emit(talk.guest, spoilt, n > 1);
      }
      if (dice.chance(50)) this.time(1000);
    }
  }

  /** Bytes of which none joins the one before. */
  private comb(): void {
    const { dice, draft } = this;
    const talk = this.liveTalk();
    const count = dice.pick([20, 80, 300]);
    for (let i = 1; i <= count; i++) {
      talk.ahead(draft, dice, this.world.seen, 2 * i);
      this.emit(talk.guest, 0, i < count && dice.chance(90));
    }
  }

  /** First fragments, or last ones, of as many datagrams; or one datagram of as many pieces. */
  private firstFragments(): void {
    const { dice, draft } = this;
    const isOne = dice.chance(30);
    const isLast = dice.chance(50);
    const one = this.guest();
    const isLate = dice.chance(30);
    for (let i = 0; i < 150; i++) {
      // One guest comes last, when the others have taken all there is.
      const any = this.guest();
      const guest =
        isOne || i > 140 ? one : isLate && any === one ? (one + 1) % this.world.links.length : any;
      datagram(draft, dice, this.ends(guest, this.gateway), 9, 16);
      draft.bytes.writeUInt16BE(isOne ? 7 : i, 18);
      draft.bytes.writeUInt16BE(isOne ? 0x2000 | (4 * i) : isLast ? 8000 : 0x2000, 20);
      draft.seal();
      this.emit(guest, 0, i % 30 !== 0);
      if (dice.chance(2)) this.time(dice.pick(WAITS));
    }
    if (dice.chance(20)) this.time(dice.between(1, 31) * 1_000_000);
  }

  /** So many DHCP or BOOTP clients behind one link, which may go. */
  private clients(guest: number): void {
    const { dice, draft } = this;
    const what = dice.pick([Dhcp.Discover, Dhcp.Bootp, Dhcp.Bootp]);
    const first = dice.below(100_000);
    for (let i = 0; i < 170; i++) {
      const ends = { ...this.ends(guest, -1), toHi: 0xffff, toLo: -1, src: 0 };
      dhcpMessage(draft, dice, ends, this.gateway, this.gateway, what);
      draft.bytes.writeUInt32BE(0x00200000 + first + i, 72);
      this.emit(guest, 0, i % 30 !== 0);
    }
    if (dice.chance(50)) return;
    this.linkDoes(guest, 'down');
    this.linkDoes(guest, 'up');
    for (let n = 5; n > 0; n--) this.dhcp();
  }

  /** To anybody, to a port that is closed, or ARP from everybody. */
  private manyDatagrams(guest: number, what: number): void {
    const { dice, draft } = this;
    for (let i = 0; i < 130; i++) {
      if (what === 3) datagram(draft, dice, this.ends(guest, this.remote()), 1 + dice.below(2000), 4);
      else if (what === 4) datagram(draft, dice, this.ends(guest, this.nameServer), 9, 4);
      else draft.arp({ ...this.ends(guest, this.gateway), src: (this.gateway + i) | 0, fromLo: i & 63 }, 1);
      if (what === 3) draft.bytes.writeUInt16BE(1 + dice.below(65535), 34);
      this.emit(guest, 0, i % 20 !== 0);
    }
  }

  private noise(): void {
    const { dice, draft } = this;
    draft.len = dice.pick([0, 1, 13, 14, 15, 20, 60, 60, 100, 1514]);
    draft.isRebased = false;
    for (let i = 0; i < draft.len; i++) draft.bytes[i] = dice.word();
    if (dice.chance(60)) {
      const ends = this.ends(0, this.gateway);
      draft.bytes.writeUInt16BE(ends.toHi, 0);
      draft.bytes.writeInt32BE(ends.toLo, 2);
      draft.bytes[6] = 0x52;
      draft.bytes.writeUInt16BE(dice.pick([0x0800, 0x0806]), 12);
    }
    this.emit(this.guest(), 0);
  }

  private wait(): void {
    const { dice } = this;
    this.time(dice.chance(99) ? dice.pick(WAITS) : dice.pick(LONG_WAITS));
  }

  private host(): void {
    const { dice } = this;
    if (dice.chance(12)) this.hostDoes('connect', dice.below(8), dice.below(4096));
    else {
      const act = dice.pick(HOST_ACTS);
      const stranger = dice.chance(20) ? 0x10000 : 0;
      const amount =
        act === 'give' ? dice.pick([1, 100, 5000, 70_000]) : dice.pick([0, 1, 500, 3000, 65_507]) + stranger;
      this.hostDoes(act, dice.below(64), amount);
    }
  }

  /** For a while there is next to no arena left. */
  private starve(): void {
    const { dice } = this;
    this.hostDoes('hoard', 0, dice.pick([0, 0, 4096, 65_536, 1 << 20]));
    for (let n = dice.between(3, 30); n > 0; n--) {
      const what = dice.below(3);
      if (what === 0) this.talkOn();
      else if (what === 1) this.inFragments();
      else this.datagrams();
    }
    if (dice.chance(50)) this.download();
    this.hostDoes('release', 0, 0);
  }

  private link(): void {
    const { dice, world } = this;
    const guest = this.guest();
    const link = world.links[guest]!;
    const act: LinkAct = !link.isUp ? 'up' : link.isFull ? 'room' : dice.chance(70) ? 'full' : 'down';
    this.linkDoes(guest, act);
    if (act === 'down' && dice.chance(93)) this.linkDoes(guest, 'up');
    if (act === 'full' && dice.chance(50)) this.time(dice.pick(WAITS));
    if (act === 'full' && dice.chance(70)) this.linkDoes(guest, 'room');
  }

  // The ways out: every one is logged.

  /** The draft, mutated `percent` times of a hundred, its checksums put right in most cases. */
  private emit(guest: number, percent: number, joined = false): void {
    const { dice, draft, world, log } = this;
    const spoilt = dice.chance(percent);
    if (spoilt) mutate(draft, dice, this.seeds);
    if (!spoilt || dice.chance(85)) draft.seal();
    else draft.isRebased = false;
    log?.frame(guest, draft.isRebased, joined, draft.bytes, draft.len);
    world.frame(guest, draft.isRebased, joined, draft.bytes, draft.len);
  }

  private time(micros: number): void {
    this.log?.other({ kind: 'time', micros });
    this.world.time(micros);
  }

  private hostDoes(act: HostAct, which: number, amount: number): void {
    this.log?.other({ kind: 'host', act, which, amount });
    this.world.hostDoes(act, which, amount);
  }

  private linkDoes(guest: number, act: LinkAct): void {
    this.log?.other({ kind: 'link', guest, act });
    this.world.linkDoes(guest, act);
  }

  // Who and where.

  private guest(): number {
    return this.dice.below(this.world.links.length);
  }

  private get nameServer(): number {
    return this.world.network.settings.dns?.address ?? (this.gateway + 1) | 0;
  }

  private remote(): number {
    const { dice } = this;
    const what = dice.below(20);
    if (what < 8) return this.gateway;
    if (what < 10) return this.nameServer;
    if (what < 16) return (0xc6336400 + dice.below(16)) | 0;
    if (dice.chance(70)) return this.gateway;
    const odd = [
      0xa9fea9fe, 0x7f000001, 0xe0000001, 0xffffffff, 0x0a0002ff, 0x0a000210, 0xa9fe0101, 0, 0xf0000001,
    ];
    return dice.pick(odd) | 0;
  }

  private ends(guest: number, dst: number): Ends {
    const src = (this.world.spec.firstGuest + guest) | 0;
    const own = dst === this.nameServer ? dst : this.gateway;
    return { fromHi: 0x5254, fromLo: 1 + guest, toHi: 0x5255, toLo: own, src, dst };
  }
}
