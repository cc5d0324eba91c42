// What the guests of `usernet run` are attached to: one network with a switch for all, or a network for each link that
// comes up, which ends with it.

import type { Link } from '../link/link.ts';
import type { NetworkConfig } from '../network/config.ts';
import type { EventHandler } from '../network/events.ts';
import { messageOf } from './errors.ts';
import { say } from './output.ts';
import { Session, type SessionOptions } from './session.ts';

export interface Serving {
  /** Rejects when a forward cannot be bound. */
  start(): Promise<void>;
  /** Resolves to false when the link was closed instead. */
  accept(link: Link): Promise<boolean>;
  /** Prints the statistics of every network there is. */
  print(): void;
  close(): Promise<void>;
}

export class Shared implements Serving {
  private readonly session: Session;

  constructor(config: NetworkConfig, options: SessionOptions) {
    this.session = new Session('network', config, options);
  }

  start(): Promise<void> {
    return this.session.start();
  }

  accept(link: Link): Promise<boolean> {
    return Promise.resolve(this.session.attach(link));
  }

  print(): void {
    this.session.print();
  }

  close(): Promise<void> {
    return this.session.close();
  }
}

/** A network for each link. The first one that is there holds the forwards. */
export class Isolated implements Serving {
  private readonly config: NetworkConfig;
  private readonly options: SessionOptions;
  private readonly sessions = new Set<Session>();
  private forwarding: Session | null = null;
  private closed = false;

  constructor(config: NetworkConfig, options: SessionOptions) {
    this.config = config;
    this.options = options;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async accept(link: Link): Promise<boolean> {
    const session = this.open(link);
    try {
      await session.start();
    } catch (error) {
      say(`${link.name}: no forwards: ${messageOf(error)}`);
    }
    if (!this.closed && session.attach(link)) return true;
    void link.close();
    await this.end(session);
    return false;
  }

  print(): void {
    for (const session of this.sessions) session.print();
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.sessions].map((session) => session.close()));
  }

  private open(link: Link): Session {
    const { events } = this.options;
    const wanted = (this.config.forwards ?? []).length > 0;
    const holds = wanted && this.forwarding === null;
    if (wanted && !holds) say(`${link.name}: has no forwards, they lead to ${this.forwarding?.title}`);
    const onDown: EventHandler<'guest-down'> = (event) => {
      events['guest-down']?.(event);
      void this.end(session);
    };
    const config = holds ? this.config : { ...this.config, forwards: [] };
    const session = new Session(link.name, config, {
      ...this.options,
      events: { ...events, 'guest-down': onDown },
    });
    this.sessions.add(session);
    if (holds) this.forwarding = session;
    return session;
  }

  /** The guest is gone: the last word of its network. After close() that is print()'s. */
  private async end(session: Session): Promise<void> {
    if (this.closed || !this.sessions.delete(session)) return;
    session.print();
    await session.close();
    if (this.forwarding === session) this.forwarding = null;
  }
}
