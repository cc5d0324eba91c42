// One stream of a relay's client, from the CONNECT to its end: the name is resolved, once; each address that it has is
// judged; the first that may be reached is connected to, and where that fails the next. Nobody looks the name up again in
// between, so a name that has another address a moment later gains nothing.

import { type IpAddr, parseIp } from '../base/addr.ts';
import { Timer, type Timers } from '../base/timers.ts';
import type { HostError } from '../host/host-network.ts';
import { reasonOf } from './close-reasons.ts';
import type { OutsideEvents, RelayOutside } from './relay-outside.ts';
import type { Judge, RelayCounters, RelayRules } from './relay-rules.ts';
import { CloseReason, type ConnectTarget } from './wisp.ts';

/** Addresses of one name that are tried. */
const MAX_ATTEMPTS = 4;

/** What sessions share. */
export interface SessionEnv {
  readonly outside: RelayOutside;
  readonly rules: RelayRules;
  readonly counters: RelayCounters;
  readonly timers: Timers;
}

/** What a stream needs of its session. */
export interface StreamOwner {
  readonly env: SessionEnv;
  /** CONTINUE says that a TCP stream is open. */
  readonly confirmsOpen: boolean;
  /** The packets that the client buffers of each TCP stream; 0: as duplex.ts says, it does not count. */
  readonly clientPackets: number;
  /** The client takes what it is sent. */
  readonly canSend: boolean;
  /** Sends a packet. */
  say(packet: Uint8Array): void;
  /** So many more bytes wait for the host, or less. It may end a stream, this one too. */
  addWaiting(bytes: number): void;
  /** A lookup has begun, or is over: it goes on when its stream has ended. */
  looking(by: 1 | -1): void;
  /** Waits for nothing any more. Called once. */
  settled(): void;
  /** No packet is for it any more: its id is free. */
  forget(stream: SessionStream): void;
  /** Holds nothing of the host any more. Called once, the last of all. */
  over(stream: SessionStream): void;
}

/** `payload`, or a copy where it would keep a much larger piece of what came with it. */
export function keep(payload: Uint8Array): Uint8Array {
  return payload.buffer.byteLength > 2 * payload.length + 1024 ? new Uint8Array(payload) : payload;
}

export abstract class SessionStream implements OutsideEvents {
  readonly id: number;
  protected readonly owner: StreamOwner;
  protected readonly target: ConnectTarget;
  protected phase: 'looking' | 'connecting' | 'open' | 'draining' | 'over' = 'looking';
  private candidates: readonly IpAddr[] = [];
  private attempt = 0;
  private readonly timer = new Timer(() => this.onTimer());

  constructor(owner: StreamOwner, id: number, target: ConnectTarget) {
    this.owner = owner;
    this.id = id;
    this.target = target;
  }

  begin(): void {
    const { outside, rules } = this.owner.env;
    this.armIn(rules.limits.connectMs);
    const literal = parseIp(this.target.hostname);
    if (literal !== null) this.found([literal]);
    else {
      const found = (addrs: readonly IpAddr[]): void => {
        this.owner.looking(-1);
        this.found(addrs);
      };
      this.owner.looking(1);
      outside.resolve(this.target.hostname).then(found, () => found([]));
    }
  }

  /** Bytes that wait for the host. */
  abstract get waiting(): number;
  /** DATA from the client; `payload` is given. */
  abstract take(payload: Uint8Array): void;
  /** CONTINUE from the client. */
  abstract grant(packets: number): void;
  /** CLOSE from the client; its id is free already. */
  abstract clientClosed(): void;
  /** The client takes packets again. */
  abstract clientDrained(): void;
  /** The client has more waiting than it takes: nothing is read meanwhile. */
  abstract clientFull(): void;

  /** Ends it at once, whatever it is doing; the client hears of that elsewhere. */
  abandon(): void {
    if (this.phase === 'over') return;
    const { phase } = this;
    this.phase = 'over';
    this.owner.env.timers.disarm(this.timer);
    if (phase === 'looking' || phase === 'connecting') this.owner.settled();
    this.letGo();
    this.owner.over(this);
  }

  /** Ends it with a CLOSE. */
  fail(reason: number): void {
    if (this.phase === 'over') return;
    if (this.phase !== 'draining') {
      this.owner.forget(this);
      this.sayClose(reason);
    }
    this.abandon();
  }

  // What the outside says.

  onOpen(): void {
    if (this.phase !== 'connecting') return;
    this.phase = 'open';
    this.owner.env.timers.disarm(this.timer);
    this.owner.settled();
    this.opened();
  }

  abstract onData(bytes: Uint8Array): void;
  abstract onWritable(): void;
  abstract onEnd(): void;

  onClose(error: HostError | null): void {
    if (this.phase === 'connecting') {
      this.attempt++;
      if (this.attempt < this.candidates.length) this.connectNext();
      else this.unconnected(reasonOf(error ?? 'reset', false));
    } else this.closedOutside(error);
  }

  /** Connects to `addr`, or opens the socket that talks to it. */
  protected abstract connectTo(addr: IpAddr): void;
  protected abstract opened(): void;
  /** The outside has ended a stream that was open. */
  protected abstract closedOutside(error: HostError | null): void;
  /** Closes what is open outside, and forgets what waits. */
  protected abstract letGo(): void;
  protected abstract sayClose(reason: number): void;

  protected armIn(ms: number): void {
    const { timers } = this.owner.env;
    timers.arm(this.timer, timers.clock.now() + ms);
  }

  /** The addresses of the name, or the one that was asked for. */
  private found(addrs: readonly IpAddr[]): void {
    if (this.phase !== 'looking') return;
    const { rules, counters } = this.owner.env;
    const { port, kind } = this.target;
    if (addrs.length === 0) {
      counters.unresolved++;
      this.fail(CloseReason.Unreachable);
      return;
    }
    this.candidates = addrs.filter((addr) => mayReach(rules.judge, addr, port, kind)).slice(0, MAX_ATTEMPTS);
    if (this.candidates.length < addrs.length) counters.blocked++;
    if (this.candidates.length === 0) this.fail(CloseReason.Blocked);
    else this.connectNext();
  }

  private connectNext(): void {
    this.phase = 'connecting';
    this.connectTo(this.candidates[this.attempt]!);
  }

  private unconnected(reason: number): void {
    this.owner.env.counters.unconnected++;
    this.fail(reason);
  }

  private onTimer(): void {
    if (this.phase === 'draining') this.abandon();
    else if (this.phase !== 'open') this.unconnected(CloseReason.NoAnswer);
  }
}

/** A judge that throws has not allowed it. */
function mayReach(judge: Judge, addr: IpAddr, port: number, kind: 'tcp' | 'udp'): boolean {
  try {
    return judge(addr, port, kind);
  } catch {
    return false;
  }
}
