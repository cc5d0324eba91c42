// Which addresses a guest may reach, and what they are on the host's side.

import { type Endpoint, type IpAddr, ipv4Addr, isIpv4 } from '../base/addr.ts';
import { HostJudge } from '../base/ranges.ts';
import type { Settings } from '../base/settings.ts';

/** 'refused': nobody is there. 'prohibited': the rules say no. */
export type Judgement = 'allow' | 'refused' | 'prohibited';

const LOOPBACK = ipv4Addr(0x7f000001);

export class Policy {
  private readonly settings: Settings;
  private readonly host: HostJudge;

  constructor(settings: Settings) {
    this.settings = settings;
    this.host = new HostJudge(settings);
  }

  /** May a guest begin a conversation with `remote`, an IPv4 word? The gateway's own services are not asked about. */
  judge(remote: number): Judgement {
    const { settings, host } = this;
    if (settings.restrict) return 'prohibited';
    if (remote === settings.gateway) return host.allows(LOOPBACK) ? 'allow' : 'refused';
    if (remote === settings.dns?.address) return 'refused';
    return host.allows(ipv4Addr(remote)) ? 'allow' : 'prohibited';
  }

  /** Where `remote` is on the host's side: the gateway is the host's loopback. */
  toHost(remote: number, port: number): Endpoint {
    return { addr: remote === this.settings.gateway ? LOOPBACK : ipv4Addr(remote), port };
  }

  /** What a guest knows `host` as: the gateway stands for loopback, and for what cannot be said in IPv4. */
  toGuest(host: IpAddr): number {
    if (!isIpv4(host) || host.w3 >>> 24 === 127) return this.settings.gateway;
    // A client whose address is one of this network's could never be answered.
    if ((host.w3 & this.settings.mask) === this.settings.subnet) return this.settings.gateway;
    return host.w3;
  }
}
