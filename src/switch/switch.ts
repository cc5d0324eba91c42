// Learning switch. Each guest's link is plugged into a port; the gateway sits at a port of its own, which sees every
// frame that is for one of its MACs or for a group. A MAC is learned from the source of every frame. A frame to a known
// MAC goes to its port, one to an unknown or group address to every other port (flood). Nothing waits for anybody: a
// port whose link is full loses the frame, and only it does, so a stuck guest blocks no other. What is flooded costs every
// other guest time, so a guest may have that done some thousand times a second, and no more.
//
// The gateway does not send by the MAC table but to a port: a flow remembers which port its guest is behind, so another
// guest that claims the same MAC gets none of its bytes.
//
// Every frame gets one verdict, a Drop; what is flooded to somebody counts as delivered.

import { Account, type Arena } from '../base/arena.ts';
import type { Clock, Ms } from '../base/clock.ts';
import { Drop, type DropCounters, Loss } from '../base/drop.ts';
import type { FrameRun } from '../base/frame-run.ts';
import type { GuestPort, GuestPorts } from '../base/guest-port.ts';
import type { Timers } from '../base/timers.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { type Turn, Work } from '../base/turn.ts';
import { PREFIX_LEN } from '../link/framing.ts';
import type { Link, LinkSink } from '../link/link.ts';
import * as ethernet from '../wire/ethernet.ts';
import { MacTable } from './mac-table.ts';

/** Who answers at the gateway's MACs. */
export interface GatewayInput {
  /** Is this one of the gateway's MACs? */
  owns(hi: number, lo: number): boolean;
  /** A frame comes, whoever it is for: the run of the one before is over. */
  endRun(): void;
  /** Takes what is another of the same as the frame before, and the gateway's too; how many frames. See LinkSink.onFrames. */
  onFrames(frames: FrameRun, ingress: number): number;
  /** A frame for the gateway or for a group, from port `ingress`; at least an Ethernet header. Lent for the call. */
  onFrame(off: number, len: number, ingress: number, now: Ms): Drop;
}

/** What whoever builds the switch hears of its ports. */
export interface SwitchEvents {
  /** No frame comes from or goes to this port any more. */
  onPortDown(port: Port, reason: string): void;
  /** A port that had no room has some again. */
  onPortWritable(port: Port): void;
}

/** Frames of one guest that are flooded, in a second and at once. */
const FLOODS_PER_SECOND = 5000;
const FLOOD_BURST = 1000;

/** One link's place in the switch. */
export class Port implements LinkSink, GuestPort {
  /** Never used twice in one network. */
  readonly id: number;
  readonly link: Link;
  /** What this guest's flows hold of the arena. */
  readonly account = new Account();
  up = true;
  framesIn = 0;
  bytesIn = 0;
  framesOut = 0;
  bytesOut = 0;
  /** What may be flooded for it. */
  readonly floods: TokenBucket;
  private readonly hub: Switch;
  /** Where the frame being built begins. */
  private reserved = -1;

  constructor(id: number, link: Link, hub: Switch, now: Ms) {
    this.floods = new TokenBucket(FLOODS_PER_SECOND, FLOOD_BURST, now);
    this.id = id;
    this.link = link;
    this.hub = hub;
  }

  onFrame(off: number, len: number): Drop {
    this.framesIn++;
    this.bytesIn += len;
    return this.hub.onFrame(this, off, len);
  }

  onFrames(frames: FrameRun): void {
    const { at } = frames;
    const count = this.hub.onFrames(this, frames);
    this.framesIn += count;
    this.bytesIn += frames.at - at - count * PREFIX_LEN;
  }

  onLinkWritable(): void {
    this.hub.onWritable(this);
  }

  onLinkDown(reason: string): void {
    this.hub.unplug(this, reason);
  }

  /** Room for a frame of up to `maxLen` bytes: its offset, or -1 when the link is full or down. */
  reserve(maxLen: number): number {
    if (!this.up || maxLen > this.link.maxFrame) return -1;
    this.reserved = this.link.reserve(Math.max(maxLen, ethernet.MIN_FRAME_LEN));
    return this.reserved;
  }

  /** Sends the reserved frame, padded to Ethernet's minimum with zeros (IEEE 802.3 4A.2.3.2.4). */
  commit(len: number): void {
    let total = len;
    if (len < ethernet.MIN_FRAME_LEN) {
      total = ethernet.MIN_FRAME_LEN;
      const { bytes } = this.hub.arena.memory;
      // So few that a call of fill() costs more.
      for (let at = this.reserved + len; at < this.reserved + total; at++) bytes[at] = 0;
    }
    this.framesOut++;
    this.bytesOut += total;
    this.link.commit(total);
  }

  /** See Link.extend. */
  extend(len: number, count: number): number {
    const fit = this.up ? (this.link.extend?.(len, count) ?? 0) : 0;
    this.framesOut += fit;
    this.bytesOut += fit * len;
    return fit;
  }

  /** Sends a copy of the frame at [off, off+len): the one copy between two guests. */
  send(off: number, len: number): Drop {
    if (len > this.link.maxFrame) return Drop.LinkFrameTooLong;
    const at = this.reserve(len);
    if (at < 0) return Drop.LinkQueueFull;
    this.hub.arena.memory.copy(at, off, len);
    this.commit(len);
    return Drop.None;
  }
}

/** What the switch is built from. */
export interface SwitchParts {
  readonly arena: Arena;
  readonly turn: Turn;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly drops: DropCounters;
  readonly macLimit: number;
}

export class Switch implements GuestPorts {
  readonly arena: Arena;
  private readonly parts: SwitchParts;
  private readonly gateway: GatewayInput;
  private readonly events: SwitchEvents;
  private readonly macs: MacTable;
  private readonly ports = new Map<number, Port>();
  private nextId = 1;

  constructor(parts: SwitchParts, gateway: GatewayInput, events: SwitchEvents) {
    this.parts = parts;
    this.arena = parts.arena;
    this.gateway = gateway;
    this.events = events;
    this.macs = new MacTable(parts.macLimit, parts.drops);
  }

  /** Plugs `link` in. Throws when the arena has no room for it. */
  plug(link: Link): Port {
    const { arena, turn, clock, timers } = this.parts;
    const port = new Port(this.nextId++, link, this, clock.now());
    link.attach(port, { arena, turn, clock, timers });
    this.ports.set(port.id, port);
    return port;
  }

  /** The port is gone: from here on nothing comes from it or goes to it. */
  unplug(port: Port, reason: string): void {
    if (!port.up) return;
    port.up = false;
    this.ports.delete(port.id);
    this.macs.forgetPort(port.id);
    this.events.onPortDown(port, reason);
  }

  port(id: number): Port | undefined {
    return this.ports.get(id);
  }

  allPorts(): IterableIterator<Port> {
    return this.ports.values();
  }

  onWritable(port: Port): void {
    this.events.onPortWritable(port);
  }

  onFrame(from: Port, off: number, len: number): Drop {
    this.gateway.endRun();
    const verdict = from.up ? this.judge(from, off, len) : Drop.NetworkClosed;
    if (verdict !== Drop.None) this.parts.turn.spend(Work.Step);
    this.parts.drops.verdict(verdict);
    return verdict;
  }

  /** As many verdicts of Drop.None as frames are taken: the number. */
  onFrames(from: Port, frames: FrameRun): number {
    if (!from.up) return 0;
    const count = this.gateway.onFrames(frames, from.id);
    if (count > 0) {
      this.parts.turn.spend(count * Work.Frame);
      this.parts.drops.accept(count);
    }
    return count;
  }

  private judge(from: Port, off: number, len: number): Drop {
    const bad = ethernet.check(len);
    if (bad !== Drop.None) return bad;
    const v = this.arena.memory.view;
    const { now } = this.parts.turn;
    const srcHi = ethernet.srcHi(v, off);
    const srcLo = ethernet.srcLo(v, off);
    if (ethernet.isGroup(srcHi) || this.gateway.owns(srcHi, srcLo)) return Drop.EthernetBadSource;
    if (this.macs.learn(srcHi, srcLo, from.id, now)) this.parts.turn.spend(Work.Step);
    const dstHi = ethernet.dstHi(v, off);
    const dstLo = ethernet.dstLo(v, off);
    if (this.gateway.owns(dstHi, dstLo)) return this.gateway.onFrame(off, len, from.id, now);
    if (ethernet.isGroup(dstHi)) {
      const flooded = this.flood(from, off, len, now);
      const verdict = this.gateway.onFrame(off, len, from.id, now);
      return verdict === Drop.None || flooded === Drop.EthernetNotForUs ? verdict : flooded;
    }
    const known = this.macs.find(dstHi, dstLo, now);
    if (known < 0) return this.flood(from, off, len, now);
    // To itself: a wire does not echo.
    if (known === from.id) return Drop.EthernetNotForUs;
    const to = this.ports.get(known);
    return to === undefined ? Drop.EthernetNotForUs : this.copyTo(to, off, len);
  }

  private copyTo(port: Port, off: number, len: number): Drop {
    this.parts.turn.spend(Work.Step);
    return port.send(off, len);
  }

  /** To every other guest. Drop.None when at least one took it. */
  private flood(from: Port, off: number, len: number, now: Ms): Drop {
    if (this.ports.size < 2) return Drop.EthernetNotForUs;
    if (!from.floods.take(now)) {
      this.parts.drops.lose(Loss.FloodLimited);
      return Drop.EthernetFloodLimited;
    }
    let taken = false;
    for (const port of this.ports.values()) {
      if (port === from) continue;
      const sent = this.copyTo(port, off, len);
      if (sent === Drop.None) taken = true;
      else this.parts.drops.lose(sent === Drop.LinkQueueFull ? Loss.LinkQueueFull : Loss.LinkFrameTooLong);
    }
    return taken ? Drop.None : Drop.EthernetNotForUs;
  }
}
