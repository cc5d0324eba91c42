// All flows of a network: the two tables, and for each guest what it has open, with the limits that hold for it.

import { type Endpoint, ipv4Addr } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import { Loss } from '../base/drop.ts';
import type { GuestPort } from '../base/guest-port.ts';
import { randomBelow } from '../base/random.ts';
import { Work } from '../base/turn.ts';
import type { TcpRoute } from '../ip/output.ts';
import type { Packet } from '../ip/packet.ts';
import { seqMax } from '../tcp/seq.ts';
import { Guest, type NatContext } from './context.ts';
import type { Flow, FlowEnd } from './flow.ts';
import { FlowTable, KEY_WORDS } from './flow-table.ts';
import { TcpFlow } from './tcp-flow.ts';
import { UdpFlow } from './udp-flow.ts';

/** A guest holds at most this many times the sockets that are left for all others. */
const OF_THE_SPARE = 7;
const ENDED_PER_TURN = 32;
/** Resets that wait for room on a guest's link, which may never have any. */
const MAX_OWED = 1024;
/** A reopened connection leaves a window's worth unused: nothing of the old one can be taken for one of its segments. */
const BEYOND_USED = 65536;

export class Flows {
  readonly tcp: FlowTable<TcpFlow>;
  readonly udp: FlowTable<UdpFlow>;
  tcpOpened = 0;
  udpOpened = 0;
  private readonly context: NatContext;
  private readonly guests = new Map<number, Guest>();
  /** Of a flow that leaves its table. */
  private readonly key = new Int32Array(KEY_WORDS);
  private nextId = 1;

  constructor(context: NatContext) {
    this.context = context;
    this.tcp = new FlowTable(context.random);
    this.udp = new FlowTable(context.random);
  }

  /** Open now, those included that only drain to the host. */
  count(kind: Flow['kind']): number {
    let n = 0;
    for (const guest of this.guests.values()) n += guest[kind].size;
    return n;
  }

  /** The `most` flows that moved the most bytes, these first; of equals the older one. */
  busiest(most: number): Flow[] {
    const bytes = (flow: Flow): number => flow.bytesToHost + flow.bytesToGuest;
    const all = this.all().sort((a, b) => bytes(b) - bytes(a) || a.id - b.id);
    all.splice(most);
    return all;
  }

  /** The open flow of that number; undefined when there is none. */
  byId(id: number): Flow | undefined {
    return this.all().find((flow) => flow.id === id);
  }

  /** The guest behind a port, made when it is first asked for; undefined when the port has gone. */
  guest(ingress: number): Guest | undefined {
    const known = this.guests.get(ingress);
    if (known !== undefined) return known;
    const port = this.context.ports.port(ingress);
    if (port === undefined) return undefined;
    const guest = new Guest(port, this.context.arena);
    this.guests.set(ingress, guest);
    return guest;
  }

  /** Has the guest room for one more connect to the host? Counted where it has not. */
  mayConnect(guest: Guest): boolean {
    const { settings, drops } = this.context;
    if (guest.pendingConnects >= settings.limits.pendingConnects) drops.lose(Loss.PendingConnectsFull);
    else if (!this.mayHaveSocket(guest)) drops.lose(Loss.HostSocketsExhausted);
    else return true;
    return false;
  }

  /** The host's sockets are shared by all guests, of other networks too: some are left for whoever comes. */
  private mayHaveSocket(guest: Guest): boolean {
    const spare = this.context.host.spareSockets?.() ?? Number.POSITIVE_INFINITY;
    return guest.sockets < OF_THE_SPARE * spare;
  }

  /** Has the guest room for one more TCP flow? One in TIME-WAIT goes where that helps. */
  mayOpenTcp(guest: Guest): boolean {
    const { limits } = this.context.settings;
    if (guest.tcp.size < limits.tcpFlows) return true;
    for (const oldest of guest.timeWait) {
      oldest.abort('evicted');
      return true;
    }
    return false;
  }

  /**
   * A new flow under `key`, which is copied. The caller has asked mayOpenTcp(), and calls announce(). `used`: where the
   * connection that had the same key a moment ago has ended.
   */
  openTcp(
    ingress: number,
    key: Int32Array,
    ends: { guest: Endpoint; remote: Endpoint; route: TcpRoute },
    now: Ms,
    used: number | null = null,
  ): TcpFlow {
    const { context } = this;
    const guest = this.guest(ingress)!;
    // The reset of a connect that failed would be taken for the answer to this one. RFC 9293 3.10.7.3.
    for (const owed of guest.owed) if (owed.isBetween(ends)) guest.owed.delete(owed);
    const isn = context.isn.next(key, now);
    // RFC 9293 3.6.1 (MAY-2): a connection reopened from TIME-WAIT begins beyond all that was used. Whoever sends more than
    // 250 kB/s is ahead of the clock of RFC 6528.
    const iss = used === null ? isn : seqMax(isn, (used + BEYOND_USED) | 0);
    const init = { iss, tsOffset: context.random.word() };
    const flow = new TcpFlow(context, this, guest, this.nextId++, ends, init);
    this.tcp.set(key, flow);
    guest.tcp.add(flow);
    this.tcpOpened++;
    guest.noteFlows();
    return flow;
  }

  /** A new flow for the datagram in `p`; null where there is none to be had. The caller calls announce(). */
  openUdp(p: Packet, key: Int32Array, from: number, to: number): UdpFlow | null {
    const { context } = this;
    const guest = this.guest(p.ingress);
    if (guest === undefined) return null;
    const full = guest.udp.size >= context.settings.limits.udpFlows;
    if (full || !this.mayHaveSocket(guest)) this.evictIdlest(guest);
    context.turn.spend(Work.HostSocket);
    const flow = new UdpFlow(context, this, guest, this.nextId++, {
      guest: { addr: ipv4Addr(p.src), port: from },
      remote: { addr: ipv4Addr(p.dst), port: to },
      mac: { hi: p.macHi, lo: p.macLo },
    });
    this.udp.set(key, flow);
    guest.udp.add(flow);
    this.udpOpened++;
    guest.noteFlows();
    return flow;
  }

  /** Tells of a new flow, once it has its socket: whoever hears of it may end it at once. */
  announce(flow: Flow): void {
    this.context.events.onOpen(flow);
  }

  /** A port for a forward towards a guest, when the client's own is in use: 49152..65535, RFC 6335 6. */
  ephemeralPort(isFree: (port: number) => boolean): number {
    for (let i = 0; i < 64; i++) {
      const port = 49152 + randomBelow(this.context.random, 16384);
      if (isFree(port)) return port;
    }
    return 0;
  }

  portWritable(ingress: number): void {
    const guest = this.guests.get(ingress);
    if (guest === undefined) return;
    for (const flow of guest.owed) {
      if (!flow.payReset()) return;
      guest.owed.delete(flow);
    }
    for (const flow of guest.blocked) this.context.turn.wantEgress(flow);
    guest.blocked.clear();
  }

  portDown(port: GuestPort): void {
    const guest = this.guests.get(port.id);
    if (guest === undefined) return;
    guest.gone = true;
    guest.owed.clear();
    this.endSome(guest, [...guest.tcp, ...guest.udp]);
  }

  /** A guest may have left thousands of flows: some of them a turn, so that no other guest waits for it. */
  private endSome(guest: Guest, flows: (TcpFlow | UdpFlow)[]): void {
    const { turn, timers } = this.context;
    for (const flow of flows.splice(-ENDED_PER_TURN)) {
      if (flow instanceof TcpFlow) flow.guestGone();
      else flow.abort('guest-gone');
    }
    if (flows.length === 0) this.forgetIfDone(guest);
    else timers.clock.soon(() => turn.run(() => this.endSome(guest, flows)));
  }

  close(): void {
    for (const flow of this.all()) flow.abort('shutdown');
  }

  // TcpFlowOwner, UdpFlowOwner

  unlist(flow: TcpFlow): void {
    flow.writeKey(this.key);
    this.tcp.delete(this.key, flow);
    this.guestOf(flow)?.timeWait.delete(flow);
  }

  oweReset(flow: TcpFlow, guest: Guest): void {
    if (guest.gone) return;
    if (guest.owed.size < MAX_OWED) guest.owed.add(flow);
    else this.context.drops.lose(Loss.LinkQueueFull);
  }

  ended(flow: Flow, reason: FlowEnd): void {
    const guest = this.guestOf(flow);
    if (flow instanceof TcpFlow) {
      guest?.tcp.delete(flow);
      guest?.blocked.delete(flow);
    } else if (flow instanceof UdpFlow) {
      flow.writeKey(this.key);
      this.udp.delete(this.key, flow);
      guest?.udp.delete(flow);
    }
    if (guest !== undefined) {
      guest.noteFlows();
      this.forgetIfDone(guest);
    }
    this.context.events.onEnd(flow, reason);
  }

  /** The guest makes room for itself: its next datagram finds a socket. */
  exhausted(guest: Guest): void {
    this.evictIdlest(guest);
  }

  /** A guest that is gone stays until its last flow has drained to the host. */
  private forgetIfDone(guest: Guest): void {
    if (guest.gone && guest.tcp.size + guest.udp.size === 0) this.guests.delete(guest.port.id);
  }

  /** Those included that are not in the table any more but still deliver to the host or hold a socket. */
  private all(): Flow[] {
    return [...this.guests.values()].flatMap((guest): Flow[] => [...guest.tcp, ...guest.udp]);
  }

  private guestOf(flow: Flow): Guest | undefined {
    return this.guests.get(flow.ingress);
  }

  private evictIdlest(guest: Guest): void {
    for (const idlest of guest.udp) {
      this.context.drops.lose(Loss.UdpFlowEvicted);
      idlest.abort('evicted');
      return;
    }
  }
}
