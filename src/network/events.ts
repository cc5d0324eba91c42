import type { FlowEnd } from '../nat/flow.ts';

/** Control-plane events. None of them happens per packet. Called inside a turn; a throw becomes `onError`. */
export interface NetworkEvents {
  onGuestUp?(link: string): void;
  onGuestDown?(link: string, reason: string): void;
  onLease?(mac: string, address: string): void;
  onFlowOpen?(flow: FlowOpened): void;
  onFlowEnd?(flow: FlowEnded): void;
  /** A forward whose socket ended by itself, an event handler that threw, and the like. One line. */
  onError?(message: string): void;
}

export interface FlowOpened {
  readonly id: number;
  readonly kind: 'tcp' | 'udp';
  /** `10.0.2.15:40000`. */
  readonly guest: string;
  /** The address the guest uses for the other side. */
  readonly remote: string;
}

export interface FlowEnded {
  readonly id: number;
  readonly kind: 'tcp' | 'udp';
  readonly reason: FlowEnd;
  readonly bytesToHost: number;
  readonly bytesToGuest: number;
}
