import type { Clock } from '../base/clock.ts';
import type { ViewMaker } from '../base/memory.ts';
import type { Random } from '../base/random.ts';
import type { HostNetwork } from '../host/host-network.ts';
import type { EventHandlers } from './events.ts';

/** What a network needs from outside. */
export interface NetworkParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly host: HostNetwork;
  /** Node: `(buffer) => Buffer.from(buffer)`, so that sockets take views of the arena as they are. */
  readonly makeView: ViewMaker;
  /** 'js' keeps to JavaScript where WebAssembly is there. */
  readonly kernel?: 'wasm' | 'js' | undefined;
  /** Handlers that hear of everything from the start. More: Network.on(). */
  readonly on?: EventHandlers | undefined;
}

/** What is said instead of the defaults of an entry: a clock, randomness, and the world outside. */
export type NetworkOptions = Partial<Pick<NetworkParts, 'clock' | 'random' | 'host' | 'kernel' | 'on'>>;

/** A guest whose emulator is in this process. */
export interface PortOptions {
  /**
   * One Ethernet frame for the guest, without FCS, 60 bytes at least. Lent for the call: copy what is kept, and what is
   * posted elsewhere, for its buffer is the network's whole arena. Called at the end of a turn; it may call fromGuest().
   * Returns false when it does not take the frame: then that one and all behind it wait for the port's ready().
   */
  readonly toGuest: (frame: Uint8Array) => unknown;
  /** For logs and statistics, unique in one network. Default "port0", "port1", ... */
  readonly name?: string | undefined;
  /** Bytes of the longest frame, Ethernet header included. Default: what the network's mtu needs, mtu + 14. */
  readonly maxFrame?: number | undefined;
  /** For tests: frames lent to toGuest are spoiled after the call, so that whoever keeps one finds out. Default false. */
  readonly poison?: boolean | undefined;
}
