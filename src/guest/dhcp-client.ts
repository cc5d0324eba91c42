// The client's side of DHCP, RFC 2131 4.4 and figure 5. Without an address it sends DISCOVER until an OFFER comes,
// REQUESTs the first one, and probes an acknowledged address before use. With one it renews at T1 with its server,
// rebinds at T2 with anybody, and starts again when the lease has ended. One timer: what it does depends on the state.
//
// INIT-REBOOT is left out: the machine remembers nothing. So is the random wait before the first DISCOVER (4.4.1): no
// second machine boots at the same moment.

import type { Mac } from '../base/addr.ts';
import { type Ms, NEVER } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { randomBelow } from '../base/random.ts';
import { Timer, type Timers } from '../base/timers.ts';
import { type DhcpMessage, MessageType, Op } from '../wire/dhcp.ts';
import {
  buildDecline,
  buildDiscover,
  buildRelease,
  buildRequest,
  type DhcpClient,
  type DhcpParameters,
  readParameters,
} from '../wire/dhcp-client.ts';
import { Option } from '../wire/dhcp-options.ts';

/** RFC 2131 4.1: 4 s, 8 s, ... up to 64 s, each by up to a second more or less. */
const FIRST_RETRY: Ms = 4000;
const MAX_RETRY: Ms = 64_000;
/** DISCOVERs without an OFFER before whoever waits is told. */
const MAX_DISCOVERS = 4;
const MAX_REQUESTS = 4;
/** RFC 2131 3.1 step 5: at least ten seconds after a DECLINE. */
const DECLINE_WAIT: Ms = 10_000;
/** RFC 2131 4.4.5: half of what is left, but no less. */
const MIN_RENEW_WAIT: Ms = 60_000;
const INFINITE = 0xffffffff;
const BROADCAST = -1;

const WANTED: readonly number[] = [
  ...[Option.SubnetMask, Option.Router, Option.Dns, Option.HostName, Option.DomainName, Option.Mtu],
  ...[Option.DomainSearch, Option.TftpServerName, Option.Bootfile, Option.RenewalTime, Option.RebindingTime],
];

/** What the client needs of its machine. */
export interface DhcpClientHost {
  /** From port 68 of `from` to port 67 of `to`; words, 0 for no address and -1 for everybody. */
  sendDhcp(payload: Uint8Array, from: number, to: number): void;
  /** Has somebody this address? RFC 2131 4.4.1. */
  probe(address: number, now: Ms, done: (taken: boolean, at: Ms) => void): void;
  /** Told again after each renewal. */
  onBound(parameters: DhcpParameters, now: Ms): void;
  /** The lease has ended, or the server took it back. A new one is being asked for. */
  onLost(): void;
  /** Nobody has answered. Nothing more is sent until start(). */
  onNoServer(): void;
}

type State =
  | 'off'
  | 'selecting'
  | 'requesting'
  | 'checking'
  | 'declined'
  | 'bound'
  | 'renewing'
  | 'rebinding';

export class DhcpClientMachine {
  private readonly host: DhcpClientHost;
  private readonly timers: Timers;
  private readonly random: Random;
  private readonly mac: Mac;
  private readonly hostname: string | null;
  private state: State = 'off';
  private xid = 0;
  private startedAt: Ms = 0;
  private tries = 0;
  /** The offer that was chosen, then what was acknowledged. */
  private chosen: DhcpParameters | null = null;
  private requestedAt: Ms = 0;
  private renewAt: Ms = NEVER;
  private rebindAt: Ms = NEVER;
  private expiresAt: Ms = NEVER;
  private readonly timer = new Timer((now) => this.onTimer(now));

  constructor(host: DhcpClientHost, timers: Timers, random: Random, mac: Mac, hostname: string | null) {
    this.host = host;
    this.timers = timers;
    this.random = random;
    this.mac = mac;
    this.hostname = hostname;
  }

  /** Asks for a lease from the beginning. */
  start(now: Ms): void {
    this.state = 'selecting';
    this.xid = this.random.word();
    this.startedAt = now;
    this.tries = 0;
    this.chosen = null;
    this.discover(now);
  }

  /** Gives the lease back. RFC 2131 4.4.6. */
  release(now: Ms): void {
    if (this.chosen !== null && this.isBound) {
      const { address, serverId } = this.chosen;
      if (serverId !== null)
        this.host.sendDhcp(buildRelease(this.client(now), address, serverId), address, serverId);
    }
    this.stop();
  }

  stop(): void {
    this.state = 'off';
    this.timers.disarm(this.timer);
  }

  onMessage(message: DhcpMessage, now: Ms): void {
    const { hi, lo } = message.chaddr;
    if (message.op !== Op.Reply || message.xid !== this.xid || hi !== this.mac.hi || lo !== this.mac.lo)
      return;
    if (message.type === MessageType.Offer && this.state === 'selecting') this.choose(message, now);
    else if (message.type === MessageType.Ack) this.acknowledged(message, now);
    else if (message.type === MessageType.Nak) this.refused(now);
  }

  private get isBound(): boolean {
    return this.state === 'bound' || this.state === 'renewing' || this.state === 'rebinding';
  }

  private choose(offer: DhcpMessage, now: Ms): void {
    const parameters = readParameters(offer);
    // RFC 2131 table 3: an OFFER names its server.
    if (parameters.serverId === null || parameters.address === 0) return;
    this.chosen = parameters;
    this.state = 'requesting';
    this.tries = 0;
    this.request(now);
  }

  private acknowledged(message: DhcpMessage, now: Ms): void {
    const parameters = readParameters(message);
    if (this.state === 'requesting') {
      this.state = 'checking';
      this.timers.disarm(this.timer);
      this.chosen = parameters;
      this.host.probe(parameters.address, now, (taken, at) => this.checked(taken, parameters, at));
    } else if (this.state === 'renewing' || this.state === 'rebinding') this.bind(parameters, now);
  }

  private checked(taken: boolean, parameters: DhcpParameters, now: Ms): void {
    if (this.state !== 'checking') return;
    if (!taken) {
      this.bind(parameters, now);
      return;
    }
    this.state = 'declined';
    const { address, serverId } = parameters;
    if (serverId !== null)
      this.host.sendDhcp(buildDecline(this.client(now), address, serverId), 0, BROADCAST);
    this.timers.arm(this.timer, now + DECLINE_WAIT);
  }

  private refused(now: Ms): void {
    if (this.state !== 'requesting' && !this.isBound) return;
    if (this.isBound) this.host.onLost();
    this.start(now);
  }

  private bind(parameters: DhcpParameters, now: Ms): void {
    this.state = 'bound';
    this.chosen = parameters;
    const seconds = parameters.leaseSeconds ?? INFINITE;
    const after = (said: number | null, share: number): Ms =>
      seconds === INFINITE ? NEVER : this.requestedAt + 1000 * (said ?? Math.floor(seconds * share));
    // RFC 2131 4.4.5: T1 and T2 where the server says none.
    this.renewAt = after(parameters.renewalSeconds, 0.5);
    this.rebindAt = after(parameters.rebindingSeconds, 0.875);
    this.expiresAt = after(seconds, 1);
    this.timers.arm(this.timer, this.renewAt);
    this.host.onBound(parameters, now);
  }

  private onTimer(now: Ms): void {
    switch (this.state) {
      case 'selecting':
        if (this.tries < MAX_DISCOVERS) this.discover(now);
        else {
          this.stop();
          this.host.onNoServer();
        }
        break;
      case 'requesting':
        if (this.tries < MAX_REQUESTS) this.request(now);
        else this.start(now);
        break;
      case 'declined':
        this.start(now);
        break;
      default:
        this.renew(now);
    }
  }

  /** RFC 2131 4.4.5. */
  private renew(now: Ms): void {
    if (!this.isBound || this.chosen === null) return;
    if (now >= this.expiresAt) {
      this.host.onLost();
      this.start(now);
      return;
    }
    const { address, serverId } = this.chosen;
    this.state = now >= this.rebindAt ? 'rebinding' : 'renewing';
    this.xid = this.random.word();
    this.startedAt = now;
    this.requestedAt = now;
    const to = this.state === 'rebinding' || serverId === null ? BROADCAST : serverId;
    this.host.sendDhcp(buildRequest(this.client(now), { ciaddr: address }), address, to);
    const deadline = this.state === 'rebinding' ? this.expiresAt : this.rebindAt;
    const wait = Math.max(MIN_RENEW_WAIT, Math.floor((deadline - now) / 2));
    this.timers.arm(this.timer, Math.min(deadline, now + wait));
  }

  private discover(now: Ms): void {
    this.tries++;
    this.host.sendDhcp(buildDiscover(this.client(now), null), 0, BROADCAST);
    this.timers.arm(this.timer, now + this.retryWait());
  }

  private request(now: Ms): void {
    const { chosen } = this;
    if (chosen === null || chosen.serverId === null) return;
    this.tries++;
    this.requestedAt = now;
    const wish = { requested: chosen.address, serverId: chosen.serverId };
    this.host.sendDhcp(buildRequest(this.client(now), wish), 0, BROADCAST);
    this.timers.arm(this.timer, now + this.retryWait());
  }

  private retryWait(): Ms {
    const wait = Math.min(FIRST_RETRY * 2 ** (this.tries - 1), MAX_RETRY);
    return wait - 1000 + randomBelow(this.random, 2001);
  }

  private client(now: Ms): DhcpClient {
    return {
      xid: this.xid,
      mac: this.mac,
      secs: Math.min(65535, Math.floor((now - this.startedAt) / 1000)),
      broadcast: false,
      clientId: null,
      hostname: this.hostname,
      parameters: WANTED,
    };
  }
}
