// The gateway's own addresses and what else of the address space is known: which are ours, which are the guests', which
// never leave. IPv4 words.

import type { Mac } from '../base/addr.ts';
import type { Settings } from '../base/settings.ts';

/** MACs of the gateway's addresses are these two bytes and the address, as in slirp. */
const MAC_HI = 0x5255;

export class Addresses {
  readonly gateway: number;
  /** The name service's; without one the gateway's again. */
  private readonly dns: number;
  private readonly subnet: number;
  private readonly mask: number;
  private readonly broadcast: number;

  constructor(settings: Settings) {
    this.gateway = settings.gateway;
    this.subnet = settings.subnet;
    this.mask = settings.mask;
    this.broadcast = settings.broadcast;
    this.dns = settings.dns?.address ?? settings.gateway;
  }

  /** Is it one of the gateway's addresses? */
  isOwn(address: number): boolean {
    return address === this.gateway || address === this.dns;
  }

  ownsMac(hi: number, lo: number): boolean {
    return hi === MAC_HI && this.isOwn(lo);
  }

  /** The MAC of one of the gateway's addresses; of the gateway's own for any other, since it answers for the world. */
  macOf(address: number): Mac {
    return { hi: MAC_HI, lo: this.isOwn(address) ? address : this.gateway };
  }

  isInside(address: number): boolean {
    return (address & this.mask) === this.subnet;
  }

  /** An address that a guest may have. */
  isGuest(address: number): boolean {
    return (
      this.isInside(address) && address !== this.subnet && address !== this.broadcast && !this.isOwn(address)
    );
  }

  isBroadcast(address: number): boolean {
    return address === -1 || address === this.broadcast;
  }

  isMulticast(address: number): boolean {
    return address >>> 28 === 14;
  }

  /**
   * Addresses that never leave for the host: this network's (whoever owns them is reached through the switch), "this
   * host" 0/8, loopback 127/8, and 240/4. RFC 6890.
   */
  neverLeaves(address: number): boolean {
    const first = address >>> 24;
    return this.isInside(address) || first === 0 || first === 127 || first >= 240;
  }
}
