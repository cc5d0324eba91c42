import type { Endpoint } from '../base/addr.ts';
import type { Ms } from '../base/clock.ts';
import type { FlowStats } from './flow-stats.ts';

/** Why a flow is over. */
export type FlowEnd =
  | 'closed'
  | 'guest-reset'
  | 'host-reset'
  | 'refused'
  | 'unreachable'
  | 'timed-out'
  | 'idle'
  | 'evicted'
  | 'guest-gone'
  /** The embedder has asked for it. */
  | 'killed'
  | 'shutdown';

/**
 * One conversation between a guest and something outside it. `guest` is the side behind a link, `remote` the address
 * the guest uses for the other side, which NAT may map to a different host address.
 */
export interface Flow {
  readonly id: number;
  readonly kind: 'tcp' | 'udp';
  readonly guest: Endpoint;
  readonly remote: Endpoint;
  /** The guest's switch port. */
  readonly ingress: number;
  readonly bytesToHost: number;
  readonly bytesToGuest: number;
  /** Ends it now: a reset both ways for TCP, nothing on the wire for UDP. Idempotent. */
  abort(reason: FlowEnd): void;
  /** What it is doing. */
  stats(now: Ms): FlowStats;
}

/** What whoever builds the NAT hears of flows. */
export interface FlowEvents {
  onOpen(flow: Flow): void;
  onEnd(flow: Flow, reason: FlowEnd): void;
}
