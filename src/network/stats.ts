import type { FaultStats } from '../link/fault-stats.ts';
import type { LinkLosses } from '../link/link.ts';

export type { FlowStats, TcpFlowStats, UdpFlowStats } from '../nat/flow-stats.ts';

/** What Network.stats() returns: plain data, as JSON could hold it. Counters count from the network's start. */
export interface NetworkStats {
  /** Milliseconds since the network was made. */
  readonly uptime: number;
  readonly flows: {
    /** Open now. */
    readonly tcp: number;
    readonly udp: number;
    /** Opened since the start, ended ones included. */
    readonly tcpOpened: number;
    readonly udpOpened: number;
  };
  readonly links: readonly LinkStats[];
  readonly leases: readonly LeaseStats[];
  readonly tcp: TcpStats;
  /** Frames from guests that stopped, by the name of a Drop; zero ones are left out. */
  readonly drops: Readonly<Record<string, number>>;
  /** Frames from guests that reached what they were for. With all drops they add up to the links' framesIn. */
  readonly accepted: number;
  /** What was lost or refused later, by the name of a Loss; zero ones are left out. */
  readonly losses: Readonly<Record<string, number>>;
  readonly arena: { readonly size: number; readonly used: number };
  /** Timers that are armed. */
  readonly timers: number;
}

/** One link, and what went over it. */
export interface LinkStats {
  readonly name: string;
  readonly up: boolean;
  /** From the guest. Bytes are Ethernet frames without FCS. */
  readonly framesIn: number;
  readonly bytesIn: number;
  /** To the guest. */
  readonly framesOut: number;
  readonly bytesOut: number;
  /** Of a link that is bad on purpose. */
  readonly faults?: FaultStats;
  /** Of a link that loses frames for the guest itself; they are among framesOut. */
  readonly losses?: LinkLosses;
}

/** An address that DHCP has given out. */
export interface LeaseStats {
  readonly mac: string;
  readonly address: string;
  readonly secondsLeft: number;
}

/** Of all TCP connections with guests, from the start. */
export interface TcpStats {
  readonly segmentsIn: number;
  readonly segmentsOut: number;
  /** Data bytes that went out a second time or more. */
  readonly retransmittedBytes: number;
  readonly retransmits: number;
  readonly fastRetransmits: number;
  readonly undone: number;
  readonly tailLossProbes: number;
  readonly timeouts: number;
  readonly resetsOut: number;
  readonly challengeAcks: number;
  readonly outOfOrder: number;
  readonly windowProbes: number;
}
