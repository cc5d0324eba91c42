// What an open flow is doing, as plain data. Made when somebody asks; nothing here is kept.

import { formatEndpoint } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import { seqDiff } from '../tcp/seq.ts';
import type { State } from '../tcp/state.ts';
import type { Tcb } from '../tcp/tcb.ts';
import { rcvWindow } from '../tcp/window.ts';
import type { Flow } from './flow.ts';

/** One open conversation between a guest and the outside. */
export type FlowStats = TcpFlowStats | UdpFlowStats;

/** A port of a guest, and the port of the host that stands for it. */
export interface UdpFlowStats {
  readonly id: number;
  readonly kind: 'udp';
  /** `10.0.2.15:40000`. */
  readonly guest: string;
  /** The address the guest uses for the other side; of UDP the one it sent to first. */
  readonly remote: string;
  /** Bytes that the host has taken, and bytes read from the host, whether the guest has them yet or not. */
  readonly bytesToHost: number;
  readonly bytesToGuest: number;
  /** Milliseconds since it was opened, and since something came or went. */
  readonly age: Ms;
  readonly idle: Ms;
  /** Whom the guest has sent to from this port, as far as that is remembered. */
  readonly remotes: number;
}

/** A TCP connection: where it is, what waits in it, and how the guest is reached. */
export interface TcpFlowStats extends Omit<UdpFlowStats, 'kind' | 'remotes'> {
  readonly kind: 'tcp';
  /**
   * The state of the guest's connection (RFC 9293 3.3.2). Before it, `connecting`: the host has not answered. After it,
   * `draining`: the host has not taken all that the guest had sent.
   */
  readonly state: 'connecting' | 'draining' | Exclude<State, 'CLOSED' | 'LISTEN'>;
  /** Bytes that wait. */
  readonly queues: {
    /** From the guest, acknowledged: for the host to take them. */
    readonly toHost: number;
    /** To the guest: sent and not acknowledged, not sent, and read from the host but beyond the send buffer. */
    readonly unacked: number;
    readonly unsent: number;
    readonly spilled: number;
  };
  /** Smoothed round trip to the guest in ms; null before there is a measurement. */
  readonly rtt: number | null;
  /** Congestion window and slow start threshold, bytes. */
  readonly cwnd: number;
  readonly ssthresh: number;
  /** What the guest has said that it takes, and what we have told it to send, bytes. */
  readonly sndWnd: number;
  readonly rcvWnd: number;
  /** Segments to the guest that went out a second time or more. */
  readonly retransmits: number;
  /** The guest does not take more: bytes wait, and its window is closed. */
  readonly guestWindowClosed: boolean;
  /** So the host's socket is not read: as much waits for the guest as is allowed. */
  readonly hostPaused: boolean;
  /** The host does not take more, so the window that we tell the guest is closed, or nearly. */
  readonly ownWindowClosed: boolean;
}

/** What a TCP flow knows that its Tcb does not. */
export interface TcpFlowFacts {
  /** The host has not answered. */
  readonly connecting: boolean;
  readonly openedAt: Ms;
  readonly spilled: number;
  readonly hostPaused: boolean;
}

export function tcpFlowStats(flow: Flow, tcb: Tcb, facts: TcpFlowFacts, now: Ms): TcpFlowStats {
  const queued = tcb.sendRing.length;
  // Our SYN and FIN take a number each, and are no bytes.
  const unacked = tcb.synAcked ? Math.min(queued, seqDiff(tcb.sndMax, tcb.sndUna)) : 0;
  const waiting = tcb.recvRing.length;
  const rcvWnd = rcvWindow(tcb);
  return {
    ...common(flow),
    kind: 'tcp',
    age: now - facts.openedAt,
    idle: now - Math.max(facts.openedAt, tcb.lastHeardAt, tcb.lastSentAt),
    state: facts.connecting ? 'connecting' : openState(tcb.state),
    queues: { toHost: waiting, unacked, unsent: queued - unacked, spilled: facts.spilled },
    rtt: tcb.rtt.srtt === 0 ? null : tcb.rtt.srtt,
    cwnd: tcb.congestion.cwnd,
    ssthresh: tcb.congestion.ssthresh,
    sndWnd: tcb.sndWnd,
    rcvWnd,
    retransmits: tcb.retransmits,
    guestWindowClosed: queued > 0 && tcb.sndWnd === 0,
    hostPaused: facts.hostPaused,
    ownWindowClosed: waiting > 0 && rcvWnd < Math.min(tcb.sendMss, tcb.rcvLimit >> 1),
  };
}

function openState(state: State): TcpFlowStats['state'] {
  return state === 'CLOSED' || state === 'LISTEN' ? 'draining' : state;
}

export function udpFlowStats(
  flow: Flow,
  facts: { openedAt: Ms; lastActiveAt: Ms; remotes: number },
  now: Ms,
): UdpFlowStats {
  const { openedAt, lastActiveAt, remotes } = facts;
  return { ...common(flow), kind: 'udp', age: now - openedAt, idle: now - lastActiveAt, remotes };
}

function common(flow: Flow): Pick<UdpFlowStats, 'id' | 'guest' | 'remote' | 'bytesToHost' | 'bytesToGuest'> {
  const { id, bytesToHost, bytesToGuest } = flow;
  const guest = formatEndpoint(flow.guest);
  return { id, guest, remote: formatEndpoint(flow.remote), bytesToHost, bytesToGuest };
}
