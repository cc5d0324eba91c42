// One UDP socket of the engine through a relay. A stream of wisp talks to one remote, so there is one for each remote that
// the engine has sent to, 64 at most; the one that was not sent to for the longest goes first. A stream that its server
// closes is opened anew by the next datagram to that remote.
//
// Where the relay does no UDP, name servers are asked over TCP all the same: a datagram to one of the host's resolvers
// goes as RFC 7766 has it (dns-over-tcp.ts). Anything else is not permitted.

import { type Endpoint, formatIp, sameEndpoint } from '../base/addr.ts';
import type { Arena } from '../base/arena.ts';
import type { LaterHost } from '../host/engine-half.ts';
import type { HostDatagramEvents, HostDatagrams, HostError } from '../host/host-network.ts';
import { errorOf } from './close-reasons.ts';
import type { Conversation, ConversationOwner } from './conversation.ts';
import { DnsOverTcp } from './dns-over-tcp.ts';
import * as wisp from './wisp.ts';
import { CloseReason } from './wisp.ts';

const MAX_REMOTES = 64;
/** Queries of one socket that are asked over TCP at the same time. */
const MAX_QUERIES = 16;

/** What was lost or given up, of all sockets. */
export class DatagramLosses {
  /** Queries for a name server beyond those that may be asked over TCP at the same time. */
  lostQueries = 0;
  /** Remotes that a socket has forgotten, because it has sent to too many: their answers do not come. */
  evictedRemotes = 0;
}

export interface DatagramsHome extends ConversationOwner, LaterHost {
  readonly arena: Arena;
  readonly losses: DatagramLosses;
  isResolver(at: Endpoint): boolean;
  closedUdp(socket: RelayDatagrams): void;
}

export class RelayDatagrams implements HostDatagrams {
  private readonly home: DatagramsHome;
  private readonly events: HostDatagramEvents;
  /** The one that was sent to last at the end. */
  private remotes: RemoteStream[] = [];
  private readonly queries = new Set<DnsOverTcp>();
  /** The first remote, and whether it is the only one. */
  private first: Endpoint | null = null;
  private oneRemote = true;
  private closed = false;

  constructor(home: DatagramsHome, events: HostDatagramEvents) {
    this.home = home;
    this.events = events;
  }

  send(off: number, len: number, to: Endpoint): boolean {
    const { link, arena } = this.home;
    if (this.closed) return false;
    if (link.state === 'dialling') return false;
    if (link.state !== 'ready') this.fail(link.state === 'refused' ? 'not-permitted' : 'net-unreachable');
    else if (!link.canSend) return false;
    else if (link.mayUdp) link.say(wisp.data(this.streamTo(to).id, arena.memory.bytes, off, len));
    else if (this.home.isResolver(to)) this.ask(arena.memory.bytes.subarray(off, off + len), to);
    else this.fail('not-permitted');
    return true;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const remote of this.remotes) remote.close();
    for (const query of this.queries) query.cancel();
    this.remotes = [];
    this.queries.clear();
    this.home.closedUdp(this);
  }

  /** From one of its streams. */
  received(data: Uint8Array, from: Endpoint): void {
    if (!this.closed) this.events.onDatagram(data, from);
  }

  /**
   * One of its streams has ended. Of the only remote that it ever had, why is the engine's business, but for what ends a
   * connection: that is nothing to a socket without one.
   */
  ended(stream: RemoteStream, error: HostError): void {
    this.remotes = this.remotes.filter((one) => one !== stream);
    if (this.oneRemote && error !== 'reset') this.tell(error);
  }

  private streamTo(to: Endpoint): RemoteStream {
    const { remotes } = this;
    let at = remotes.length - 1;
    while (at >= 0 && !sameEndpoint(remotes[at]!.to, to)) at--;
    if (at >= 0) {
      const [known] = remotes.splice(at, 1);
      remotes.push(known!);
      return known!;
    }
    if (remotes.length >= MAX_REMOTES) {
      remotes.shift()!.close();
      this.home.losses.evictedRemotes++;
    }
    const stream = new RemoteStream(this.home, this, to);
    this.first ??= to;
    this.oneRemote &&= sameEndpoint(this.first, to);
    remotes.push(stream);
    this.home.launch(stream.id);
    return stream;
  }

  private ask(message: Uint8Array, to: Endpoint): void {
    // As the network might: whoever asks will ask again.
    if (this.queries.size >= MAX_QUERIES) {
      this.home.losses.lostQueries++;
      return;
    }
    const query: DnsOverTcp = new DnsOverTcp(this.home, to, message, (answer) => {
      this.queries.delete(query);
      if (answer === null) this.tell('refused');
      else this.received(answer, to);
    });
    this.queries.add(query);
    this.home.launch(query.id);
  }

  /** Is told soon; what is no refusal ends it. */
  private fail(error: HostError): void {
    this.home.later(() => this.tell(error));
  }

  private tell(error: HostError): void {
    if (this.closed) return;
    if (error !== 'refused') this.close();
    this.events.onError(error);
  }
}

/** The stream to one remote. */
class RemoteStream implements Conversation {
  readonly id: number;
  readonly to: Endpoint;
  private readonly home: DatagramsHome;
  private readonly socket: RelayDatagrams;

  constructor(home: DatagramsHome, socket: RelayDatagrams, to: Endpoint) {
    this.home = home;
    this.socket = socket;
    this.to = to;
    this.id = home.newId(this);
  }

  close(): void {
    this.home.link.say(wisp.close(this.id, CloseReason.Voluntary));
    this.home.forget(this.id);
  }

  connect(): void {
    const { addr, port } = this.to;
    this.home.link.say(wisp.connect(this.id, { kind: 'udp', port, hostname: formatIp(addr) }));
  }

  onData(payload: Uint8Array): void {
    this.socket.received(payload, this.to);
  }

  onContinue(): void {}

  onClosed(reason: number): void {
    this.end(errorOf(reason));
  }

  onLost(error: HostError): void {
    this.end(error);
  }

  onDrain(): void {}

  private end(error: HostError): void {
    this.home.forget(this.id);
    this.socket.ended(this, error);
  }
}
