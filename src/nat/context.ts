// What every flow of one network shares, and what is counted for each guest.

import type { Account, Arena } from '../base/arena.ts';
import type { DropCounters } from '../base/drop.ts';
import type { GuestPort, GuestPorts } from '../base/guest-port.ts';
import type { Random } from '../base/random.ts';
import type { Settings } from '../base/settings.ts';
import type { Timers } from '../base/timers.ts';
import type { Turn } from '../base/turn.ts';
import type { HostNetwork } from '../host/host-network.ts';
import type { Addresses } from '../ip/addresses.ts';
import type { IcmpErrors } from '../ip/icmp.ts';
import type { Neighbours } from '../ip/neighbours.ts';
import type { Ipv4Output } from '../ip/output.ts';
import type { Isn } from '../tcp/isn.ts';
import type { TcpEnv } from '../tcp/tcb.ts';
import type { FlowEvents } from './flow.ts';
import type { Policy } from './policy.ts';
import type { TcpFlow } from './tcp-flow.ts';
import type { UdpFlow } from './udp-flow.ts';

export interface NatContext {
  readonly settings: Settings;
  readonly arena: Arena;
  readonly turn: Turn;
  readonly timers: Timers;
  readonly random: Random;
  readonly drops: DropCounters;
  readonly ports: GuestPorts;
  readonly addresses: Addresses;
  readonly neighbours: Neighbours;
  readonly output: Ipv4Output;
  readonly icmp: IcmpErrors;
  readonly host: HostNetwork;
  readonly policy: Policy;
  readonly tcp: TcpEnv;
  readonly isn: Isn;
  readonly events: FlowEvents;
}

/** What one guest has open: limits are per guest, so that one cannot take another's share. */
export class Guest {
  readonly port: GuestPort;
  readonly tcp = new Set<TcpFlow>();
  /** In the order of last use, to the second. */
  readonly udp = new Set<UdpFlow>();
  /** Flows in TIME-WAIT whose host has all that it is due, oldest first: the first to go when the limit is reached. */
  readonly timeWait = new Set<TcpFlow>();
  /** SYNs whose host has not answered. */
  pendingConnects = 0;
  /** Its link is down. */
  gone = false;
  /** Flows that wait for room on the guest's link. */
  readonly blocked = new Set<TcpFlow>();
  /** Flows that have ended, and whose reset waits for room on it. */
  readonly owed = new Set<TcpFlow>();
  private readonly arena: Arena;

  constructor(port: GuestPort, arena: Arena) {
    this.port = port;
    this.arena = arena;
  }

  /** Sockets of the host that its flows have. */
  get sockets(): number {
    return this.tcp.size - this.timeWait.size + this.udp.size;
  }

  get account(): Account {
    return this.port.account;
  }

  /** Call after flows were added or removed: guests with flows share the arena. */
  noteFlows(): void {
    const { account } = this;
    const had = account.flows > 0;
    account.flows = this.tcp.size + this.udp.size;
    const has = account.flows > 0;
    if (had !== has) this.arena.activeAccounts += has ? 1 : -1;
  }
}
