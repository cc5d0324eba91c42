// What happens in a network, for whoever embeds it. None of it happens for each packet.

import { type Abortable, abortable } from '../base/abort.ts';
import { onRejection } from '../base/rejection.ts';
import type { FlowEnd } from '../nat/flow.ts';

/** Name of an event to what its handlers get. Given, not lent: each may keep it. */
export interface NetworkEvents {
  'guest-up': { readonly link: string };
  /** `reason` is for a human. */
  'guest-down': { readonly link: string; readonly reason: string };
  lease: { readonly mac: string; readonly address: string };
  'flow-open': FlowOpened;
  'flow-end': FlowEnded;
  /** A callback that threw, a forward whose socket ended by itself, a frame that is too long for its link, and the like. */
  error: NetworkError;
}

/** A guest has begun a conversation with the outside, or the outside one with it. */
export interface FlowOpened {
  readonly id: number;
  readonly kind: 'tcp' | 'udp';
  /** `10.0.2.15:40000`. */
  readonly guest: string;
  /** The address the guest uses for the other side. */
  readonly remote: string;
}

/** A conversation of a guest with the outside is over. */
export interface FlowEnded {
  readonly id: number;
  readonly kind: 'tcp' | 'udp';
  readonly reason: FlowEnd;
  readonly bytesToHost: number;
  readonly bytesToGuest: number;
}

/** Something went wrong that no call can be told of. The network goes on. */
export interface NetworkError {
  /** One line. */
  readonly message: string;
  /** What was thrown, where something was. */
  readonly cause?: unknown;
}

/** An event of a network. */
export type EventName = keyof NetworkEvents;
/** What is called with an event of that name. */
export type EventHandler<Name extends EventName> = (event: NetworkEvents[Name]) => void;
/** A handler for each of some events. */
export type EventHandlers = { readonly [Name in EventName]?: EventHandler<Name> | undefined };

/** When a handler is not to be called any more. */
export interface ListenOptions {
  /** Aborted: the handler hears nothing more. */
  readonly signal?: Abortable | undefined;
}

type AnyHandler = (event: never) => void;

/**
 * Who listens. Handlers are called where it happens, inside of a turn or not, in the order in which they were added; one
 * that is added or removed by another is heeded from the next event on. What a handler throws becomes an `error` event,
 * and what a handler of that throws is nobody's.
 */
export class EventListeners {
  private readonly handlers = new Map<EventName, readonly AnyHandler[]>();
  /** What ends each. */
  private readonly offs = new Set<() => void>();

  /** Returns what ends it. */
  on<Name extends EventName>(
    name: Name,
    handler: EventHandler<Name>,
    options: ListenOptions = {},
  ): () => void {
    const { signal } = options;
    if (signal?.aborted === true) return () => {};
    // A function of its own: the same handler may be added twice.
    const mine: EventHandler<Name> = (event) => handler(event);
    const off = (): void => {
      signal?.removeEventListener('abort', off);
      this.offs.delete(off);
      const left = this.of(name).filter((one) => one !== mine);
      if (left.length > 0) this.handlers.set(name, left);
      else this.handlers.delete(name);
    };
    this.handlers.set(name, [...this.of(name), mine as AnyHandler]);
    signal?.addEventListener('abort', off);
    this.offs.add(off);
    return off;
  }

  /** The next event of that name. Rejects with the signal's reason. */
  once<Name extends EventName>(name: Name, options: ListenOptions = {}): Promise<NetworkEvents[Name]> {
    return abortable(options.signal, (resolve) => {
      const off = this.on(name, (event) => {
        off();
        resolve(event);
      });
      return off;
    });
  }

  /** Nobody listens any more. */
  clear(): void {
    for (const off of this.offs) off();
  }

  /** Does anybody listen? Ask where an event costs something to make. */
  has(name: EventName): boolean {
    return this.handlers.has(name);
  }

  emit<Name extends EventName>(name: Name, event: NetworkEvents[Name]): void {
    for (const handler of this.of(name) as readonly EventHandler<Name>[]) {
      const onThrow = (error: unknown): void => {
        if (name !== 'error') this.emit('error', thrownBy(`the handler of ${name}`, error));
      };
      try {
        onRejection(handler(event), onThrow);
      } catch (error) {
        onThrow(error);
      }
    }
  }

  private of(name: EventName): readonly AnyHandler[] {
    return this.handlers.get(name) ?? [];
  }
}

/** An embedder's code has thrown: what is told of that. */
export function thrownBy(whose: string, cause: unknown): NetworkError {
  return { message: `${whose} threw: ${cause instanceof Error ? cause.message : String(cause)}`, cause };
}
