// Who has which address. One table of leases by address, at most as many as `limits.leases` and the pool allow:
//
//   offered   held for a client that was sent an OFFER, 30 s long
//   bound     acknowledged, until it expires
//   resting   declined by a client that found somebody else using it (RFC 2131 4.3.3), 10 min long
//   free      expired or released: nobody's, but remembered, so that its client gets it again
//
// Nothing here has a timer: a lease whose time has come is seen as `free` by whoever looks, and an offer that nobody
// took up is forgotten when the next is made. A client is known by its client id and by its MAC. A new client gets the
// address it asks for, else the lowest that is in no lease, else the one that has been free for longest, else the one
// whose offer is the oldest. A bound or resting address is never taken away. One switch port may have 64 offers open;
// its next withdraws its oldest. And it may hold three quarters of all addresses, offered, bound and resting ones: so a
// guest that sends messages from invented MACs leaves some to the others. Up to 64 are any port's: a small pool is for
// whoever comes first.
//
// What a client behind one port holds, nobody behind another can take, renew or give back in its name while that port is
// there: there the same MAC is another client.

import { formatIpv4Word, formatMac, type Mac } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import type { DhcpSettings, Settings } from '../base/settings.ts';

/** How long an OFFER holds its address. */
export const OFFER_MS = 30_000;
/** How long a declined address is not given out. */
export const REST_MS = 600_000;
/** Offers that one switch port may have open. */
export const OFFERS_PER_PORT = 64;
/** Addresses that one switch port may hold, however few there are. */
const HELD_PER_PORT = 64;
/** Behind no port: the link of the client is gone. Port ids begin at 1. */
const NO_PORT = 0;

/** Whom a message is from. */
export interface Client {
  readonly mac: Mac;
  /** Option 61 as text, '' when it sent none. */
  readonly id: string;
  /** The switch port it is behind. */
  readonly ingress: number;
}

/** One row of statistics. */
export interface LeaseRow {
  readonly mac: string;
  readonly address: string;
  readonly secondsLeft: number;
}

type LeaseState = 'offered' | 'bound' | 'resting' | 'free';

interface Lease {
  readonly address: number;
  client: Client;
  /** Has `client` ever been bound to it? Then it is worth remembering. */
  readonly wasBound: boolean;
  state: LeaseState;
  /** When `state` ends; of a free one, when it became that. */
  endsAt: Ms;
}

export class DhcpLeases {
  private readonly settings: Settings;
  private readonly dhcp: DhcpSettings;
  /** By address. The order is that of their creation. */
  private readonly leases = new Map<number, Lease>();
  private readonly staticAddresses: ReadonlySet<number>;
  private readonly portLimit: number;

  constructor(settings: Settings, dhcp: DhcpSettings) {
    this.settings = settings;
    this.dhcp = dhcp;
    this.staticAddresses = new Set(dhcp.staticLeases.map((lease) => lease.address));
    const addresses = Math.min((dhcp.last >>> 0) - (dhcp.first >>> 0) + 1, settings.limits.leases);
    this.portLimit = Math.max(HELD_PER_PORT, Math.floor((addresses * 3) / 4));
  }

  /** Addresses that are remembered, whatever their state. */
  get size(): number {
    return this.leases.size;
  }

  /** Holds an address for `client` and returns it; null when there is none. `wanted` 0: no wish. */
  offer(client: Client, wanted: number, now: Ms): number | null {
    this.forgetOldOffers(now);
    const address = this.choose(client, wanted, now);
    if (address === null) return null;
    const lease = this.leases.get(address);
    // A client that has the address and asks anew keeps it, whether or not it takes up the offer.
    if (lease !== undefined && stateAt(lease, now) === 'bound') return address;
    if (!this.portMayHold(client.ingress, address, now)) return null;
    this.put(address, client, 'offered', now + OFFER_MS);
    return address;
  }

  /**
   * Binds `address` to `client`: 'new' when it was not bound to it before, 'renewed' when it was, null when the client
   * cannot have it: it is not of the pool, somebody else's, not the one the client has, or its port has too many.
   */
  bind(client: Client, address: number, now: Ms): 'new' | 'renewed' | null {
    const own = this.addressOf(client, now);
    if (own === null ? !this.isFree(address, now) : own !== address) return null;
    const before = this.leases.get(address);
    if (!this.portMayHold(client.ingress, address, now)) return null;
    if (before === undefined && !this.makeRoom(now)) return null;
    const renewed = before !== undefined && stateAt(before, now) === 'bound';
    this.put(address, client, 'bound', now + this.dhcp.leaseSeconds * 1000);
    return renewed ? 'renewed' : 'new';
  }

  /** The port is gone. Its clients find their leases again, unless others need the addresses. */
  forgetPort(ingress: number): void {
    for (const lease of this.leases.values()) {
      if (lease.client.ingress === ingress) lease.client = { ...lease.client, ingress: NO_PORT };
    }
  }

  /** The client gives its bound address back. False when it is not its own. */
  release(client: Client, address: number, now: Ms): boolean {
    const lease = this.leases.get(address);
    if (lease === undefined || stateAt(lease, now) !== 'bound' || !isOwn(lease, client, now)) return false;
    this.setFree(lease, now);
    return true;
  }

  /** The client found somebody else using the address that it was given. False when it was not given it. */
  decline(client: Client, address: number, now: Ms): boolean {
    const lease = this.leases.get(address);
    if (lease === undefined || !isHeld(lease, now) || !isOwn(lease, client, now)) return false;
    this.put(address, client, 'resting', now + REST_MS);
    return true;
  }

  /** The client has taken another server's offer. RFC 2131 3.1, step 4. */
  withdrawOffers(client: Client, now: Ms): void {
    for (const lease of this.leases.values()) {
      if (stateAt(lease, now) === 'offered' && isOwn(lease, client, now)) this.withdraw(lease, now);
    }
  }

  rows(now: Ms): LeaseRow[] {
    const bound = [...this.leases.values()].filter((lease) => stateAt(lease, now) === 'bound');
    return bound.map(({ client, address, endsAt }) => ({
      mac: formatMac(client.mac.hi, client.mac.lo),
      address: formatIpv4Word(address),
      secondsLeft: Math.ceil((endsAt - now) / 1000),
    }));
  }

  /** The address that is this client's own: by configuration, or because it has it or had it last. */
  private addressOf(client: Client, now: Ms): number | null {
    const fixed = this.dhcp.staticLeases.find(({ mac }) => isSameMac(mac, client.mac));
    const held = fixed === undefined ? undefined : this.leases.get(fixed.address);
    const isTaken = held !== undefined && (stateAt(held, now) === 'resting' || !isWithin(held, client, now));
    if (fixed !== undefined && !isTaken) return fixed.address;
    return this.leaseOf(client, now)?.address ?? null;
  }

  /**
   * By client id first, as RFC 2131 4.2 has it. Deviates from it twice, for guests as there are: a MAC alone is enough,
   * because a boot loader and the system it loads send different client ids; and neither is while it is in use behind
   * another switch port, because copies of one disk image send the same.
   */
  private leaseOf(client: Client, now: Ms): Lease | null {
    let byMac: Lease | null = null;
    for (const lease of this.leases.values()) {
      if (this.staticAddresses.has(lease.address) || stateAt(lease, now) === 'resting') continue;
      if (!isWithin(lease, client, now)) continue;
      if (client.id !== '' && lease.client.id === client.id) return lease;
      if (isSameMac(lease.client.mac, client.mac)) byMac = preferred(byMac, lease, now);
    }
    return byMac;
  }

  private choose(client: Client, wanted: number, now: Ms): number | null {
    const own = this.addressOf(client, now);
    if (own !== null) return this.leases.has(own) || this.makeRoom(now) ? own : null;
    const lease = this.leases.get(wanted);
    if (this.isFree(wanted, now) && (lease !== undefined || this.makeRoom(now))) return wanted;
    for (;;) {
      const address = this.unused();
      if (address !== null) return address;
      if (!this.evict(now)) return null;
    }
  }

  /** The lowest address of the pool that is in no lease, unless the table is full. */
  private unused(): number | null {
    if (this.leases.size >= this.settings.limits.leases) return null;
    // Each step but the last passes an address that is taken or set aside, so there are few.
    for (let address = this.dhcp.first >>> 0; address <= this.dhcp.last >>> 0; address++) {
      if (!this.leases.has(address | 0) && this.isDynamic(address | 0)) return address | 0;
    }
    return null;
  }

  /** Room for one more lease: by forgetting one that may go, when there is none. */
  private makeRoom(now: Ms): boolean {
    return this.leases.size < this.settings.limits.leases || this.evict(now);
  }

  /**
   * Forgets the lease that has been free for longest, else the oldest offer, else the bound one that ends first of those
   * whose client's link is gone. False when there is none.
   */
  private evict(now: Ms): boolean {
    let oldest: Lease | null = null;
    let abandoned: Lease | null = null;
    for (const lease of this.leases.values()) {
      const state = stateAt(lease, now);
      if (state === 'bound' && lease.client.ingress === NO_PORT) {
        if (abandoned === null || lease.endsAt < abandoned.endsAt) abandoned = lease;
      }
      if (state === 'bound' || state === 'resting') continue;
      if (oldest === null || goesBefore(lease, oldest, now)) oldest = lease;
    }
    oldest ??= abandoned;
    return oldest !== null && this.leases.delete(oldest.address);
  }

  /** May a client that has no address of its own take this one? */
  private isFree(address: number, now: Ms): boolean {
    if (!this.isDynamic(address)) return false;
    const lease = this.leases.get(address);
    return lease === undefined || stateAt(lease, now) === 'free';
  }

  /** An address of the pool that is nobody's by configuration. */
  private isDynamic(address: number): boolean {
    const { subnet, broadcast, gateway, dns } = this.settings;
    if (address >>> 0 < this.dhcp.first >>> 0 || address >>> 0 > this.dhcp.last >>> 0) return false;
    if (address === subnet || address === broadcast || address === gateway) return false;
    return address !== dns?.address && !this.staticAddresses.has(address);
  }

  /** May the port hold `address` beside the others it has? Its oldest offer goes where that helps. */
  private portMayHold(ingress: number, address: number, now: Ms): boolean {
    if (this.staticAddresses.has(address)) return true;
    let held = 0;
    let open = 0;
    let oldest: Lease | null = null;
    for (const lease of this.leases.values()) {
      if (lease.client.ingress !== ingress || lease.address === address) continue;
      const state = stateAt(lease, now);
      if (state === 'free') continue;
      held++;
      if (state !== 'offered') continue;
      open++;
      if (oldest === null || lease.endsAt < oldest.endsAt) oldest = lease;
    }
    if (held < this.portLimit && open < OFFERS_PER_PORT) return true;
    if (oldest !== null) this.withdraw(oldest, now);
    return oldest !== null;
  }

  private forgetOldOffers(now: Ms): void {
    for (const lease of this.leases.values()) {
      if (lease.state === 'offered' && lease.endsAt <= now) this.withdraw(lease, lease.endsAt);
    }
  }

  private withdraw(lease: Lease, now: Ms): void {
    if (lease.wasBound) this.setFree(lease, now);
    else this.leases.delete(lease.address);
  }

  private put(address: number, client: Client, state: LeaseState, endsAt: Ms): void {
    const before = this.leases.get(address);
    const wasBound = state === 'bound' || (before?.wasBound === true && isSame(before.client, client));
    this.leases.set(address, { address, client, wasBound, state, endsAt });
  }

  private setFree(lease: Lease, now: Ms): void {
    lease.state = 'free';
    lease.endsAt = now;
  }
}

/** The state that a lease has now that its time may have come. */
function stateAt(lease: Lease, now: Ms): LeaseState {
  return lease.endsAt <= now ? 'free' : lease.state;
}

/** Offered to somebody or bound. */
function isHeld(lease: Lease, now: Ms): boolean {
  const state = stateAt(lease, now);
  return state === 'offered' || state === 'bound';
}

/** Could it be the client's own, by the port? Not while another port holds it. */
function isWithin(lease: Lease, client: Client, now: Ms): boolean {
  const { ingress } = lease.client;
  return ingress === client.ingress || ingress === NO_PORT || !isHeld(lease, now);
}

function isOwn(lease: Lease, client: Client, now: Ms): boolean {
  return isSame(lease.client, client) && isWithin(lease, client, now);
}

/** A free one goes before an offer, an older one before a younger. */
function goesBefore(a: Lease, b: Lease, now: Ms): boolean {
  const aIsFree = stateAt(a, now) === 'free';
  const bIsFree = stateAt(b, now) === 'free';
  return aIsFree === bIsFree ? a.endsAt < b.endsAt : aIsFree;
}

/** Of two leases of one MAC, the one in use, else the later. */
function preferred(a: Lease | null, b: Lease, now: Ms): Lease {
  if (a === null) return b;
  return goesBefore(a, b, now) ? b : a;
}

function isSame(a: Client, b: Client): boolean {
  return isSameMac(a.mac, b.mac) || (a.id !== '' && a.id === b.id);
}

function isSameMac(a: Mac, b: Mac): boolean {
  return a.hi === b.hi && a.lo === b.lo;
}
