// Who has which address: ARP towards the guests, RFC 826. Learned from ARP that guests send (also announcements) and
// from whoever opens a flow, which takes no address from another guest. Needed only for what the gateway begins itself, a
// forward: answers go the way the question came. An address that is not known is asked for, three times in a second, on
// every port. Where there are too many, the guest with the most loses its oldest.

import type { Mac } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import { type Ms, NEVER } from '../base/clock.ts';
import { type DropCounters, Loss } from '../base/drop.ts';
import type { GuestPort, GuestPorts } from '../base/guest-port.ts';
import { PortTable } from '../base/port-table.ts';
import { Timer, type Timers } from '../base/timers.ts';
import { Work } from '../base/turn.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import type { Addresses } from './addresses.ts';

/** Where a guest address was last seen. */
export interface Neighbour {
  readonly mac: Mac;
  readonly ingress: number;
}

/** Told once: where the address is, or null when nobody answered. Inside a turn's ingress. */
export type NeighbourFound = (neighbour: Neighbour | null) => void;

interface Asked {
  readonly waiting: NeighbourFound[];
  readonly timer: Timer;
  tries: number;
}

const ASK_EVERY: Ms = 333;
const MAX_TRIES = 3;
/** Addresses being asked for, and callers waiting for one of them. */
const MAX_ASKED = 64;
const MAX_WAITING = 256;

export class Neighbours {
  private readonly arena: Arena;
  private readonly timers: Timers;
  private readonly drops: DropCounters;
  private readonly addresses: Addresses;
  private readonly ports: GuestPorts;
  private readonly known: PortTable<Neighbour>;
  private readonly asked = new Map<number, Asked>();

  constructor(
    arena: Arena,
    timers: Timers,
    drops: DropCounters,
    addresses: Addresses,
    ports: GuestPorts,
    limit: number,
  ) {
    this.arena = arena;
    this.timers = timers;
    this.drops = drops;
    this.addresses = addresses;
    this.ports = ports;
    this.known = new PortTable(limit);
  }

  /** `address` was seen behind `ingress`, as the source of a packet: who has said so by ARP is believed more. */
  notice(address: number, hi: number, lo: number, ingress: number): void {
    const known = this.known.get(address);
    if (known === undefined || known.ingress === ingress) this.learn(address, hi, lo, ingress);
  }

  /** `address` is behind `ingress`. Ends the wait for it. */
  learn(address: number, hi: number, lo: number, ingress: number): void {
    if (!this.addresses.isGuest(address)) return;
    const before = this.known.get(address);
    if (before === undefined || before.ingress !== ingress || before.mac.hi !== hi || before.mac.lo !== lo) {
      this.timers.turn.spend(Work.Step);
      if (this.known.set(address, ingress, { mac: { hi, lo }, ingress }))
        this.drops.lose(Loss.NeighbourEvicted);
    }
    const asked = this.asked.get(address);
    if (asked !== undefined) this.answer(address, asked, this.known.get(address) ?? null);
  }

  /** Calls `found` at once where the address is known, else when somebody answers or nobody has for a second. */
  find(address: number, now: Ms, found: NeighbourFound): void {
    const known = this.known.get(address);
    if (known !== undefined) {
      found(known);
      return;
    }
    let asked = this.asked.get(address);
    if (asked === undefined && this.asked.size < MAX_ASKED) {
      asked = { waiting: [], timer: new Timer((at) => this.again(address, at)), tries: 0 };
      this.asked.set(address, asked);
      this.again(address, now);
    }
    if (asked === undefined || asked.waiting.length >= MAX_WAITING) found(null);
    else asked.waiting.push(found);
  }

  forgetPort(ingress: number): void {
    this.known.forgetPort(ingress);
  }

  clear(): void {
    for (const asked of this.asked.values()) this.timers.disarm(asked.timer);
    this.asked.clear();
    this.known.clear();
  }

  private again(address: number, now: Ms): void {
    const asked = this.asked.get(address);
    if (asked === undefined) return;
    if (asked.tries >= MAX_TRIES) {
      this.drops.lose(Loss.NeighbourUnknown);
      this.answer(address, asked, null);
      return;
    }
    asked.tries++;
    this.timers.arm(asked.timer, now + ASK_EVERY);
    for (const port of this.ports.allPorts()) this.ask(port, address);
  }

  private ask(port: GuestPort, address: number): void {
    const at = port.reserve(ethernet.HEADER_LEN + arp.LEN);
    if (at < 0) {
      this.drops.lose(Loss.LinkQueueFull);
      return;
    }
    const v = this.arena.memory.view;
    const { gateway } = this.addresses;
    const own = this.addresses.macOf(gateway);
    ethernet.write(v, at, 0xffff, -1, own.hi, own.lo, ethernet.EtherType.Arp);
    arp.write(v, at + ethernet.HEADER_LEN, arp.Op.Request, own.hi, own.lo, gateway, 0, 0, address);
    port.commit(ethernet.HEADER_LEN + arp.LEN);
  }

  private answer(address: number, asked: Asked, neighbour: Neighbour | null): void {
    this.asked.delete(address);
    this.timers.arm(asked.timer, NEVER);
    for (const found of asked.waiting) found(neighbour);
  }
}
