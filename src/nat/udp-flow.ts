// One UDP flow: one guest address and port, one host socket, any number of remotes (endpoint-independent mapping, RFC
// 4787 4.1). What comes back is let in from remotes that the guest has sent to (address and port dependent filtering),
// or from anybody by configuration, and leaves with the address that the guest used for that remote. Ends after
// `udpIdle` without a packet, 10 s where all it did was to ask a name server that has answered.

import { type Endpoint, sameEndpoint } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import { Drop, Loss } from '../base/drop.ts';
import { Timer } from '../base/timers.ts';
import { Work } from '../base/turn.ts';
import type { HostDatagramEvents, HostDatagrams, HostError } from '../host/host-network.ts';
import { Route } from '../ip/output.ts';
import { sendUdp } from '../ip/udp-ports.ts';
import { Code } from '../wire/icmpv4.ts';
import { Protocol } from '../wire/ipv4.ts';
import { HEADER_LEN } from '../wire/udp.ts';
import type { Guest, NatContext } from './context.ts';
import type { Flow, FlowEnd } from './flow.ts';
import { type UdpFlowStats, udpFlowStats } from './flow-stats.ts';
import { setKey } from './flow-table.ts';
import { icmpCodeFor } from './refusals.ts';

const ANSWERED_QUERY_IDLE: Ms = 10_000;
const DNS_PORT = 53;
/** Remotes of one flow; the one that was first goes first. */
const MAX_REMOTES = 1024;

/** Somebody the guest has sent to. */
interface Remote {
  /** What the guest calls it, an IPv4 word, and its port. */
  readonly address: number;
  readonly port: number;
  readonly host: Endpoint;
  /** The way back to the guest, from that address. */
  readonly route: Route;
}

export interface UdpFlowOwner {
  ended(flow: UdpFlow, reason: FlowEnd): void;
  /** There was no host socket for one more flow of `guest`: after ended(). */
  exhausted(guest: Guest): void;
}

export class UdpFlow implements Flow, HostDatagramEvents {
  readonly kind = 'udp';
  readonly id: number;
  readonly guest: Endpoint;
  readonly remote: Endpoint;
  readonly ingress: number;
  bytesToHost = 0;
  bytesToGuest = 0;
  lastActiveAt: Ms;
  private readonly openedAt: Ms;
  /** When it was last put at the end of peer.udp. */
  private orderedAt: Ms;
  private readonly context: NatContext;
  private readonly owner: UdpFlowOwner;
  private readonly peer: Guest;
  private readonly mac: { readonly hi: number; readonly lo: number };
  private readonly socket: HostDatagrams;
  /** By what the guest calls them. */
  private readonly remotes = new Map<number, Remote>();
  private last: Remote | null = null;
  private ended = false;
  private answeredQuery = false;
  /** Errors of the host for what was sent: the next datagram pays for them. */
  private refusals = 0;
  private readonly timer = new Timer((now) => this.onTimer(now));

  constructor(
    context: NatContext,
    owner: UdpFlowOwner,
    peer: Guest,
    id: number,
    ends: { guest: Endpoint; remote: Endpoint; mac: { hi: number; lo: number } },
  ) {
    this.context = context;
    this.owner = owner;
    this.peer = peer;
    this.id = id;
    this.guest = ends.guest;
    this.remote = ends.remote;
    this.mac = ends.mac;
    this.ingress = peer.port.id;
    this.lastActiveAt = context.turn.now;
    this.openedAt = this.lastActiveAt;
    this.orderedAt = this.lastActiveAt;
    this.socket = context.host.openUdp(this);
    context.timers.arm(this.timer, this.lastActiveAt + context.settings.timeouts.udpIdle);
  }

  /** Fills `key` with the flow's in the table. */
  writeKey(key: Int32Array): void {
    setKey(key, this.guest.addr.w3, this.guest.port, 0, 0, Protocol.Udp, this.ingress);
  }

  stats(now: Ms): UdpFlowStats {
    const { openedAt, lastActiveAt, remotes } = this;
    return udpFlowStats(this, { openedAt, lastActiveAt, remotes: remotes.size }, now);
  }

  /** It has left the table, and nothing is sent by it any more. */
  get isEnded(): boolean {
    return this.ended;
  }

  /** Does the flow know `address` and `port` already? Else policy has to be asked. */
  knows(address: number, port: number): boolean {
    return this.last?.port === port && this.last.address === address
      ? true
      : this.remotes.has(keyOf(address, port));
  }

  /** The guest's payload at [off, off+len), to a remote that policy allows. */
  send(address: number, port: number, off: number, len: number, now: Ms): Drop {
    let remote = this.last;
    if (remote === null || remote.port !== port || remote.address !== address) {
      remote = this.remotes.get(keyOf(address, port)) ?? this.addRemote(address, port);
      this.last = remote;
    }
    this.touch(now);
    this.answeredQuery = false;
    this.context.turn.spend(this.refusals * Work.HostError);
    this.refusals = 0;
    if (!this.socket.send(off, len, remote.host)) return Drop.UdpHostQueueFull;
    this.bytesToHost += len;
    return Drop.None;
  }

  abort(reason: FlowEnd): void {
    if (this.ended) return;
    this.ended = true;
    this.context.timers.disarm(this.timer);
    this.socket.close();
    this.owner.ended(this, reason);
  }

  onDatagram(data: Uint8Array, from: Endpoint): void {
    if (this.ended) return;
    const { context } = this;
    const address = context.policy.toGuest(from.addr);
    let remote = this.remotes.get(keyOf(address, from.port));
    // All of 127.0.0.0/8 has the gateway's name in the guest, but only one of it was sent to.
    if (remote === undefined || !sameEndpoint(remote.host, from)) {
      // Full cone or not: nobody becomes a remote whom the guest could not have sent to.
      if (
        remote !== undefined ||
        !context.settings.udpFullCone ||
        context.policy.judge(address) !== 'allow'
      ) {
        context.drops.lose(Loss.UdpFiltered);
        return;
      }
      remote = this.addRemote(address, from.port);
    }
    this.touch(context.turn.now);
    if (remote.port === DNS_PORT && this.remotes.size === 1) this.noteAnswer(context.turn.now);
    this.bytesToGuest += data.length;
    sendUdp(context.arena, context.output, context.drops, remote.route, from.port, this.guest.port, data);
  }

  onError(error: HostError): void {
    if (this.ended) return;
    if (error === 'refused') {
      this.refusals++;
      this.tell(Code.Port);
      return;
    }
    const code = icmpCodeFor(error);
    this.tell(code < 0 ? Code.Host : code);
    this.abort('unreachable');
    if (error !== 'exhausted') return;
    this.context.drops.lose(Loss.HostSocketsExhausted);
    this.owner.exhausted(this.peer);
  }

  /** ICMP about what was sent last: known for sure only while there is one remote. RFC 1122 4.1.3.3. */
  private tell(code: number): void {
    const remote = this.last;
    if (remote === null || this.remotes.size !== 1) return;
    const ports = (this.guest.port << 16) | remote.port;
    const { icmp, turn } = this.context;
    icmp.unreachableLater(remote.route, code, this.ingress, Protocol.Udp, ports, HEADER_LEN << 16, turn.now);
  }

  private addRemote(address: number, port: number): Remote {
    if (this.remotes.size >= MAX_REMOTES) {
      for (const oldest of this.remotes.keys()) {
        this.remotes.delete(oldest);
        this.context.drops.lose(Loss.UdpRemoteEvicted);
        break;
      }
    }
    const { policy, addresses } = this.context;
    const route = new Route(this.peer.port, addresses.macOf(address), address, this.mac, this.guest.addr.w3);
    const remote = { address, port, host: policy.toHost(address, port), route };
    this.remotes.set(keyOf(address, port), remote);
    return remote;
  }

  private touch(now: Ms): void {
    // The order of last use, to the second: what goes first when the guest's limit is reached.
    if (now - this.orderedAt >= 1000) {
      this.orderedAt = now;
      this.peer.udp.delete(this);
      this.peer.udp.add(this);
    }
    this.lastActiveAt = now;
  }

  /** The query was answered: this flow is done, unless the guest goes on using it. */
  private noteAnswer(now: Ms): void {
    this.answeredQuery = true;
    this.context.timers.arm(this.timer, now + ANSWERED_QUERY_IDLE);
  }

  private onTimer(now: Ms): void {
    const idle = this.answeredQuery ? ANSWERED_QUERY_IDLE : this.context.settings.timeouts.udpIdle;
    const due = this.lastActiveAt + idle;
    if (due <= now) this.abort('idle');
    else this.context.timers.arm(this.timer, due);
  }
}

function keyOf(address: number, port: number): number {
  return (address >>> 0) * 65536 + port;
}
