// The world outside, as the engine needs it. node/ implements it with sockets; an embedder may with whatever it has.
// Every event arrives in a callback of its own, inside a turn's ingress, never from inside one of these calls.

import type { Endpoint } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import type { Clock } from '../base/clock.ts';
import { Region } from '../base/region.ts';
import type { Turn } from '../base/turn.ts';

export { Region };

/** Why the host could not do what the guest asked. Mapped to RST or ICMP in nat/refusals.ts. */
export type HostError =
  | 'refused'
  | 'host-unreachable'
  | 'net-unreachable'
  | 'timed-out'
  | 'reset'
  | 'not-permitted'
  /** No descriptor, no port, no memory: our host's trouble, not the remote's. */
  | 'exhausted'
  | 'failed';

/** What a network lends to its host. */
export interface HostContext {
  readonly arena: Arena;
  readonly turn: Turn;
  readonly clock: Clock;
}

/** The outside, as the NAT needs it: Node's sockets, a relay, or a world in memory. */
export interface HostNetwork {
  /** Called once, before anything else. */
  start(context: HostContext): void;

  /** Starts connecting and returns at once; onOpen or onClose follows. `to` is an address of the host's world. */
  connectTcp(to: Endpoint, events: HostStreamEvents): HostStream;

  /**
   * Resolves once bound; rejects with a HostBindError. `onAccept` gets each connection, open, not yet reading, and
   * returns who listens to it, or null to have it reset.
   */
  listenTcp(
    at: Endpoint,
    onAccept: (stream: HostStream, from: Endpoint) => HostStreamEvents | null,
  ): Promise<HostListener>;

  /** A socket of its own on a port that the host chooses. Opens on the first send. */
  openUdp(events: HostDatagramEvents): HostDatagrams;

  /** A socket bound to `at`. Resolves once bound; rejects with a HostBindError. */
  bindUdp(at: Endpoint, events: HostDatagramEvents): Promise<HostDatagrams>;

  /** How many more sockets it could open now; absent: as many as anybody likes. */
  spareSockets?(): number;

  /** The host's name servers now, best first, without ones that are this network's own. Read again when they change. */
  resolvers(): readonly Endpoint[];

  /** Closes listeners and whatever is left. Resolves when all of it is gone. */
  close(): Promise<void>;
}

/** A port that could not be bound. `message` is one line that names the address. */
export class HostBindError extends Error {
  override readonly name = 'HostBindError';
}

/** One TCP connection of the host. */
export interface HostStream {
  /**
   * Sends [off, off+len) of the arena. One write at a time. True: the bytes were taken before this returned and the
   * region is free. False: the region is in use until onWritten (or onClose), and nothing else may be written.
   */
  write(off: number, len: number): boolean;
  /** FIN after what is being written. Reading goes on: half-close is normal. */
  end(): void;
  /**
   * RST now, whatever is pending. After end() the host still delivers what it has taken, where it can and the remote says
   * nothing more; what that says is answered by RST. Of the events only onClose follows, once: until then the region of a
   * write that was under way and the one reserved for reading are still in use.
   */
  reset(): void;
  /** Starts reading, and reads on after onRead returned false. */
  resume(): void;
  /** Stops after the read that is under way. */
  pause(): void;
}

/** Who listens to a HostStream. All calls come inside a turn's ingress, except reserveRead. */
export interface HostStreamEvents {
  /** Connected (never for accepted streams, which are). */
  onOpen(): void;
  /**
   * Where the next read should land: sets `region`, or leaves its `len` 0 to have it land on the host's own pad. The
   * region stays reserved until the next onRead or onClose, even across pause(). Called outside of turns, also after
   * reset(): touch nothing but the region.
   */
  reserveRead(region: Region): void;
  /** `len` bytes at `off`: in the reserved region, or lent for the call on the pad. False: no more until resume(). */
  onRead(off: number, len: number): boolean;
  /** The write that was under way is done. */
  onWritten(): void;
  /** FIN from the host, after its last byte. */
  onEnd(): void;
  /** The last call, always and once, also after reset(). null when both sides ended in order or we reset it. */
  onClose(error: HostError | null): void;
}

/** A port of the host that is listened on. */
export interface HostListener {
  /** Where it is bound; the port is the real one when 0 was asked for. */
  readonly at: Endpoint;
  /** Accepts no more. Connections that it has accepted stay. */
  close(): void;
}

/** One UDP socket of the host. */
export interface HostDatagrams {
  /** Of one that was bound where bindUdp() was asked to: where, with the real port when 0 was asked for. */
  readonly at?: Endpoint | null | undefined;
  /** Sends a copy of [off, off+len) of the arena. False when the socket's queue is full. */
  send(off: number, len: number, to: Endpoint): boolean;
  /** No event after this. */
  close(): void;
}

/** What a host socket for datagrams tells. */
export interface HostDatagramEvents {
  /** `data` is given, not lent; it lies outside the arena. */
  onDatagram(data: Uint8Array, from: Endpoint): void;
  /** 'refused': the one remote this socket has talked to has no such port (ICMP 3/3). Anything else ends the socket. */
  onError(error: HostError): void;
}
