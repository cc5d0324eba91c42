// What the fuzzer looks at that no user sees: tables against their limits, and what is counted in two ways against each
// other.

import { NEVER } from '../../src/base/clock.ts';
import type { Timer } from '../../src/base/timers.ts';
import type { Network } from '../../src/network/network.ts';
import type { NetworkStats } from '../../src/network/stats.ts';
import { checkTcb, type Tcb } from '../../src/tcp/tcb.ts';

interface Sized {
  readonly size: number;
}

/** Private parts of Network, by their names: one that is renamed shows as `undefined`, and something throws. */
interface Parts {
  readonly hub: { readonly macs: Sized };
  readonly reassembly: Sized & { readonly account: { readonly used: number } };
  readonly neighbours: { readonly known: Sized; readonly asked: Sized };
  readonly nat: { readonly flows: { readonly guests: ReadonlyMap<number, GuestPart> } };
  readonly dhcp: { readonly table: Sized } | null;
  readonly services: readonly { readonly name: string }[];
}

interface GuestPart {
  readonly tcp: ReadonlySet<TcpPart>;
  readonly udp: Sized;
  readonly pendingConnects: number;
  readonly account: { readonly used: number; readonly flows: number };
}

interface TcpPart {
  readonly tcb: Tcb;
  readonly phase: string;
  readonly timer: Timer | null;
  readonly download: { readonly retry: Timer | null };
}

interface DnsPart {
  readonly underWay: Sized;
  readonly streams: Sized;
  readonly queries: { readonly total: number };
}

/** As the sources have them. */
const MOST_ASKED = 64;
const MOST_SETS = 64;
const MOST_FRAGMENT_BYTES = 4 << 20;
const MOST_RANGES = 256;
/** Of the reassembly, of the forwards, and whatever else there is one of. */
const SINGLE_TIMERS = 4;

export interface Inside {
  /** Addresses that the DHCP server remembers, whatever for. */
  leases(): number;
  /** Throws where something is more than it may be, or not as much as it should. */
  check(stats: NetworkStats): void;
}

export function insideOf(network: Network): Inside {
  const parts = network as unknown as Parts;
  const { limits } = network.settings;
  const { guests } = parts.nat.flows;
  const dns = parts.services.find((service) => service.name === 'dns') as DnsPart | undefined;
  return {
    leases: () => parts.dhcp?.table.size ?? 0,
    check: (stats) => {
      let active = 0;
      let timersOfTcp = 0;
      for (const guest of guests.values()) {
        atMost(guest.tcp.size, limits.tcpFlows, 'TCP flows of a guest');
        atMost(guest.udp.size, limits.udpFlows, 'UDP flows of a guest');
        atMost(guest.pendingConnects, limits.pendingConnects, 'connects of a guest');
        checkFlows(guest);
        for (const flow of guest.tcp) timersOfTcp += timersOf(flow);
        if (guest.tcp.size + guest.udp.size > 0) active++;
      }
      equal(network.arena.activeAccounts, active, 'guests with flows');
      atMost(parts.hub.macs.size, limits.macs, 'MACs');
      atMost(parts.neighbours.known.size, limits.macs, 'neighbours');
      atMost(parts.neighbours.asked.size, MOST_ASKED, 'neighbours asked for');
      atMost(parts.reassembly.size, MOST_SETS, 'fragment sets');
      atMost(parts.reassembly.account.used, MOST_FRAGMENT_BYTES, 'bytes of fragments');
      atMost(parts.dhcp?.table.size ?? 0, limits.leases, 'addresses remembered');
      if (dns !== undefined) equal(dns.queries.total, dns.underWay.size, 'name queries');
      const waiting = (dns?.underWay.size ?? 0) + (dns?.streams.size ?? 0) + parts.neighbours.asked.size;
      const timers = timersOfTcp + stats.flows.udp + waiting + SINGLE_TIMERS;
      atMost(stats.timers, timers, 'timers');
    },
  };
}

/** Its Tcb's, the flow's own, that of a retry, and one to the microsecond, as far as they are armed. */
function timersOf({ tcb, timer, download }: TcpPart): number {
  const fine = tcb.pacer?.timer as unknown as { readonly timer: Timer } | undefined;
  const all = [tcb.timer, timer, download.retry, fine?.timer];
  return all.filter((one) => one !== null && one !== undefined && one.at !== NEVER).length;
}

function checkFlows(guest: GuestPart): void {
  let connecting = 0;
  let bytes = 0;
  for (const { tcb, phase } of guest.tcp) {
    if (phase === 'connecting') connecting++;
    bytes += tcb.sendRing.storage + tcb.recvRing.storage;
    atMost(tcb.gaps.count, MOST_RANGES, 'ranges beyond rcvNxt');
    checkTcb(tcb);
  }
  equal(guest.pendingConnects, connecting, 'connects of a guest');
  equal(guest.account.flows, guest.tcp.size + guest.udp.size, 'flows of a guest');
  // Flows that have ended keep their rings until the host has let go of them.
  if (guest.account.used < bytes)
    throw new Error(`a guest holds ${guest.account.used} bytes, its flows ${bytes}`);
}

function atMost(is: number, most: number, what: string): void {
  if (!(is <= most)) throw new Error(`${what}: ${is}, at most ${most}`);
}

function equal(is: number, mustBe: number, what: string): void {
  if (is !== mustBe) throw new Error(`${what}: ${is}, must be ${mustBe}`);
}
