// One query of a guest on its way to the host's resolvers, over UDP or TCP. It has an id of its own and, over UDP, a
// socket of its own, so that who wants to forge an answer must guess both (RFC 5452 4.3, 9.2). The resolvers are asked
// one after the other, 2 s each, at once the next where one refuses; a single one is asked twice. An answer counts when
// it comes from one that has been asked, with the id and the question (RFC 5452 9.1): over UDP also a late one, after
// the next has been asked. Anything else is ignored.

import type { Endpoint } from '../base/addr.ts';
import { sameEndpoint } from '../base/addr.ts';
import { type Account, type Arena, MIN_BLOCK } from '../base/arena.ts';
import type { Ms } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { Timer, type Timers } from '../base/timers.ts';
import type { Turn } from '../base/turn.ts';
import type {
  HostDatagramEvents,
  HostDatagrams,
  HostError,
  HostNetwork,
  HostStream,
  HostStreamEvents,
} from '../host/host-network.ts';
import { viewOf } from '../wire/bytes.ts';
import * as dns from '../wire/dns.ts';
import { MessageReader, PREFIX_LEN, writeFramed } from '../wire/dns-framing.ts';

/** How long a resolver has. */
export const RESOLVER_MS = 2000;
/** The longest query that is passed on: with its length it fits the smallest block of the arena. */
export const MAX_QUERY = MIN_BLOCK - PREFIX_LEN;

/** What all exchanges of a relay share. */
export interface ExchangeEnv {
  readonly host: HostNetwork;
  readonly random: Random;
  readonly arena: Arena;
  readonly account: Account;
  readonly turn: Turn;
  readonly timers: Timers;
  /** At least MAX_QUERY bytes of the arena, used only during calls. */
  readonly pad: number;
}

/** Called once, unless the exchange is cancelled: the answer with our id in it, or null when nobody answered. */
export type Answered = (answer: Uint8Array | null) => void;

export abstract class DnsExchange {
  protected readonly env: ExchangeEnv;
  /** With the guest's id. */
  protected readonly query: Uint8Array;
  protected readonly id: number;
  /** Called once, when it has ended in whatever way and holds nothing any more. */
  onOver: () => void = () => {};
  private readonly view: DataView;
  private readonly resolvers: readonly Endpoint[];
  private readonly attempts: number;
  private readonly timer: Timer;
  private attempt = 0;
  private answered: Answered | null;
  private isOver = false;

  /** `query`, at most MAX_QUERY bytes that checkQuery() passes, is kept and not changed. */
  constructor(env: ExchangeEnv, query: Uint8Array, resolvers: readonly Endpoint[], answered: Answered) {
    this.env = env;
    this.query = query;
    this.view = viewOf(query);
    this.id = env.random.word() >>> 16;
    this.resolvers = resolvers;
    this.attempts = resolvers.length === 1 ? 2 : resolvers.length;
    this.answered = answered;
    this.timer = new Timer((now) => this.askNext(now));
  }

  /** Asks the first resolver. Without any the answer, null, comes before this returns. */
  begin(now: Ms): void {
    this.askNext(now);
  }

  /** Ends it without an answer. Idempotent. */
  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.answered = null;
    this.env.timers.disarm(this.timer);
    this.release();
    this.onOver();
  }

  /** Sends the query; false when that cannot be done at all. */
  protected abstract ask(resolver: Endpoint): boolean;

  /** Closes sockets. */
  protected abstract release(): void;

  /** Is it one of those asked so far? */
  protected isAsked(from: Endpoint): boolean {
    return this.resolvers.some((one, i) => i < this.attempt && sameEndpoint(one, from));
  }

  /** The resolver asked last will not answer. */
  protected failed(): void {
    if (!this.isOver) this.askNext(this.env.turn.now);
  }

  /** A message from a resolver; what is no answer to this query is ignored. */
  protected receive(message: Uint8Array): void {
    const v = viewOf(message);
    const { query, view } = this;
    if (dns.answers(v, 0, message.length, this.id, view, 0, query.length)) this.finish(message);
  }

  private askNext(now: Ms): void {
    while (this.attempt < this.attempts) {
      const resolver = this.resolvers[this.attempt % this.resolvers.length]!;
      this.attempt++;
      if (this.ask(resolver)) {
        this.env.timers.arm(this.timer, now + RESOLVER_MS);
        return;
      }
    }
    this.finish(null);
  }

  private finish(answer: Uint8Array | null): void {
    const { answered } = this;
    this.cancel();
    answered?.(answer);
  }
}

export class UdpExchange extends DnsExchange implements HostDatagramEvents {
  private socket: HostDatagrams | null = null;

  protected ask(resolver: Endpoint): boolean {
    const { host, arena, pad } = this.env;
    this.socket ??= host.openUdp(this);
    arena.memory.bytes.set(this.query, pad);
    dns.setId(arena.memory.view, pad, this.id);
    // A full queue loses it, as the network might.
    this.socket.send(pad, this.query.length, resolver);
    return true;
  }

  protected release(): void {
    this.socket?.close();
    this.socket = null;
  }

  onDatagram(data: Uint8Array, from: Endpoint): void {
    if (this.isAsked(from)) this.receive(data);
  }

  onError(_: HostError): void {
    // Whatever it was, the next resolver gets a fresh socket.
    this.release();
    this.failed();
  }
}

/** RFC 7766. A connection for each query: a resolver that closes an idle one early cannot lose another's answer. */
export class TcpExchange extends DnsExchange {
  private connection: Connection | null = null;

  protected ask(resolver: Endpoint): boolean {
    this.release();
    const block = this.env.arena.take(MIN_BLOCK, this.env.account);
    if (block < 0) return false;
    const { memory } = this.env.arena;
    const len = writeFramed(memory, block, this.query, this.id);
    this.connection = new Connection(this.env, block, len, resolver, {
      message: (message) => this.receive(message),
      over: () => this.failed(),
    });
    return true;
  }

  protected release(): void {
    this.connection?.abandon();
    this.connection = null;
  }
}

interface ConnectionOwner {
  message(message: Uint8Array): void;
  /** No message will come any more. */
  over(): void;
}

/** One connection to a resolver. Holds its block of the arena until the stream is closed. */
class Connection implements HostStreamEvents {
  private readonly env: ExchangeEnv;
  private readonly block: number;
  private readonly len: number;
  private readonly reader = new MessageReader(dns.MAX_MESSAGE);
  private readonly stream: HostStream;
  private owner: ConnectionOwner | null;

  constructor(env: ExchangeEnv, block: number, len: number, to: Endpoint, owner: ConnectionOwner) {
    this.env = env;
    this.block = block;
    this.len = len;
    this.owner = owner;
    this.stream = env.host.connectTcp(to, this);
  }

  /** Nobody waits for it any more. A reset, not a FIN: the socket is gone at once, and nothing is under way. */
  abandon(): void {
    if (this.owner === null) return;
    this.owner = null;
    this.stream.reset();
  }

  onOpen(): void {
    if (this.owner === null) return;
    // The block stays until onClose, so it does not matter when the write is done.
    this.stream.write(this.block, this.len);
    this.stream.resume();
  }

  reserveRead(): void {}

  onRead(off: number, len: number): boolean {
    const { memory } = this.env.arena;
    for (let at = off; at < off + len && this.owner !== null; ) {
      at += this.reader.take(memory, at, off + len - at);
      const { message } = this.reader;
      if (this.reader.broken) this.giveUp();
      else if (message !== null) {
        this.reader.clear();
        this.owner.message(message);
      }
    }
    return this.owner !== null;
  }

  onWritten(): void {}

  onEnd(): void {
    this.giveUp();
  }

  onClose(): void {
    this.env.arena.give(this.block, MIN_BLOCK, this.env.account);
    const { owner } = this;
    this.owner = null;
    owner?.over();
  }

  private giveUp(): void {
    const { owner } = this;
    this.abandon();
    owner?.over();
  }
}
