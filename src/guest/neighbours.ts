// ARP as a host does it: RFC 826, and RFC 5227 for an address that is to be used. Asks for the machines it wants to
// reach, three times in a second, answers for its own address, and learns from what is said to it. What nobody asked
// for changes only what is known already.

import type { Mac } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import { type Ms, NEVER } from '../base/clock.ts';
import { Drop } from '../base/drop.ts';
import type { FrameOut } from '../base/guest-port.ts';
import { Timer, type Timers } from '../base/timers.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';

/** Told once: the MAC, or null when nobody answered. Inside a turn's ingress, or at once. */
export type MacFound = (mac: Mac | null) => void;

interface Asked {
  readonly waiting: MacFound[];
  readonly timer: Timer;
  tries: number;
}

interface Probe {
  readonly address: number;
  readonly done: (taken: boolean, now: Ms) => void;
  readonly timer: Timer;
  sent: number;
}

const ASK_EVERY: Ms = 333;
const MAX_TRIES = 3;
/** Callers that wait for one address. */
const MAX_WAITING = 1024;
/** Deviates from RFC 5227 2.1.1, which takes up to nine seconds: the cable is in memory, an answer comes at once. */
const PROBES = 3;
const PROBE_EVERY: Ms = 20;

export class GuestNeighbours {
  /** The address we answer for; 0: none yet. */
  address = 0;
  private readonly arena: Arena;
  private readonly timers: Timers;
  private readonly out: FrameOut;
  private readonly mac: Mac;
  private readonly known = new Map<number, Mac>();
  private readonly asked = new Map<number, Asked>();
  private probing: Probe | null = null;

  constructor(arena: Arena, timers: Timers, out: FrameOut, mac: Mac) {
    this.arena = arena;
    this.timers = timers;
    this.out = out;
    this.mac = mac;
  }

  /** The MAC of `address`, or null while it is not known. Asks nobody. */
  get(address: number): Mac | null {
    return this.known.get(address) ?? null;
  }

  /** Calls `found` at once where the address is known, else when somebody answers or nobody has for a second. */
  find(address: number, now: Ms, found: MacFound): void {
    const known = this.known.get(address);
    if (known !== undefined) {
      found(known);
      return;
    }
    let asked = this.asked.get(address);
    if (asked === undefined) {
      asked = { waiting: [], timer: new Timer((at) => this.again(address, at)), tries: 0 };
      this.asked.set(address, asked);
      this.again(address, now);
    }
    if (asked.waiting.length >= MAX_WAITING) found(null);
    else asked.waiting.push(found);
  }

  /** Asks whether somebody has `address` already, and tells `done`. RFC 5227 2.1. One at a time. */
  probe(address: number, now: Ms, done: (taken: boolean, now: Ms) => void): void {
    this.probing = { address, done, timer: new Timer((at) => this.probeAgain(at)), sent: 0 };
    this.probeAgain(now);
  }

  /** Says that the address is ours. RFC 5227 2.3. */
  announce(): void {
    this.send(arp.Op.Request, this.address, BROADCAST, NOBODY, this.address);
  }

  /** ARP at [off, end) of the arena. */
  input(off: number, end: number, now: Ms): Drop {
    const v = this.arena.memory.view;
    const bad = arp.check(v, off, end - off);
    if (bad !== Drop.None) return bad;
    const from = arp.senderIp(v, off);
    const to = arp.targetIp(v, off);
    const mac = { hi: arp.senderHi(v, off), lo: arp.senderLo(v, off) };
    this.noteConflict(from, to, mac, now);
    const forUs = this.address !== 0 && to === this.address;
    if (from !== 0 && (forUs || this.known.has(from) || this.asked.has(from))) this.learn(from, mac);
    if (arp.op(v, off) === arp.Op.Request && forUs) this.send(arp.Op.Reply, to, mac, mac, from);
    return Drop.None;
  }

  /** Forgets everything, the waiting ones are told nothing. */
  close(): void {
    for (const asked of this.asked.values()) this.timers.disarm(asked.timer);
    this.asked.clear();
    this.known.clear();
    if (this.probing !== null) this.timers.disarm(this.probing.timer);
    this.probing = null;
  }

  private learn(address: number, mac: Mac): void {
    this.known.set(address, mac);
    const asked = this.asked.get(address);
    if (asked !== undefined) this.answer(address, asked, mac);
  }

  private again(address: number, now: Ms): void {
    const asked = this.asked.get(address);
    if (asked === undefined) return;
    if (asked.tries >= MAX_TRIES) {
      this.answer(address, asked, null);
      return;
    }
    asked.tries++;
    this.timers.arm(asked.timer, now + ASK_EVERY);
    this.send(arp.Op.Request, this.address, BROADCAST, NOBODY, address);
  }

  private answer(address: number, asked: Asked, mac: Mac | null): void {
    this.asked.delete(address);
    this.timers.arm(asked.timer, NEVER);
    for (const found of asked.waiting) found(mac);
  }

  private probeAgain(now: Ms): void {
    const { probing } = this;
    if (probing === null) return;
    if (probing.sent === PROBES) {
      this.endProbe(false, now);
      return;
    }
    probing.sent++;
    this.timers.arm(probing.timer, now + PROBE_EVERY);
    // RFC 5227 2.1.1: no address of the sender, so that nobody learns one that is not ours yet.
    this.send(arp.Op.Request, 0, BROADCAST, NOBODY, probing.address);
  }

  /** RFC 5227 2.1.1: somebody uses the address, or probes for it as well. */
  private noteConflict(from: number, to: number, mac: Mac, now: Ms): void {
    const { probing } = this;
    if (probing === null || (mac.hi === this.mac.hi && mac.lo === this.mac.lo)) return;
    if (from === probing.address || (from === 0 && to === probing.address)) this.endProbe(true, now);
  }

  private endProbe(taken: boolean, now: Ms): void {
    const { probing } = this;
    if (probing === null) return;
    this.probing = null;
    this.timers.disarm(probing.timer);
    probing.done(taken, now);
  }

  /** `from`: our address in it; `toMac`: where the frame goes; `target`, `to`: the target fields. */
  private send(op: number, from: number, toMac: Mac, target: Mac, to: number): void {
    const at = this.out.reserve(ethernet.HEADER_LEN + arp.LEN);
    if (at < 0) return;
    const v = this.arena.memory.view;
    const { hi, lo } = this.mac;
    ethernet.write(v, at, toMac.hi, toMac.lo, hi, lo, ethernet.EtherType.Arp);
    arp.write(v, at + ethernet.HEADER_LEN, op, hi, lo, from, target.hi, target.lo, to);
    this.out.commit(ethernet.HEADER_LEN + arp.LEN);
  }
}

const BROADCAST: Mac = { hi: 0xffff, lo: -1 };
const NOBODY: Mac = { hi: 0, lo: 0 };
