// The name service: a relay to the host's resolvers, over UDP and TCP. It keeps no names. A query that makes sense goes
// to the resolvers in turn (dns-exchange.ts) and comes back with the guest's id; where nobody answers, or nobody is
// there to be asked, the guest gets SERVFAIL. Resolvers are read for each query, so that changes of the host's count at
// once and a host without any is no error.
//
// Limits: 256 queries under way, 128 of one switch port, each with a host socket; beyond them a datagram is dropped as
// DnsBusy and a query over TCP gets SERVFAIL. 64 TCP connections, 16 of one port; beyond them they are reset.

import { Account } from '../base/arena.ts';
import { assert } from '../base/assert.ts';
import type { Ms } from '../base/clock.ts';
import { Drop, type DropCounters, Loss } from '../base/drop.ts';
import type { Random } from '../base/random.ts';
import type { DnsSettings, Settings } from '../base/settings.ts';
import { Work } from '../base/turn.ts';
import type { HostNetwork, HostStream, HostStreamEvents } from '../host/host-network.ts';
import { viewOf } from '../wire/bytes.ts';
import * as dns from '../wire/dns.ts';
import { MAX_PAYLOAD } from '../wire/udp.ts';
import { type DnsExchange, type ExchangeEnv, MAX_QUERY, TcpExchange, UdpExchange } from './dns-exchange.ts';
import { DnsStream, PAD_LEN } from './dns-stream.ts';
import { Quota } from './quota.ts';
import type { BoundPort, GatewayPorts, Peer, Service } from './service.ts';

export const MAX_QUERIES = 256;
export const MAX_QUERIES_PER_PORT = 128;
const MAX_STREAMS = 64;
export const MAX_STREAMS_PER_PORT = 16;

export class DnsRelay implements Service {
  readonly name = 'dns';
  private readonly random: Random;
  private readonly host: HostNetwork;
  private readonly settings: Settings;
  private readonly dns: DnsSettings;
  private readonly drops: DropCounters;
  private readonly account = new Account();
  private readonly queries = new Quota(MAX_QUERIES, MAX_QUERIES_PER_PORT);
  private readonly connections = new Quota(MAX_STREAMS, MAX_STREAMS_PER_PORT);
  /** With the switch port of who has asked. */
  private readonly underWay = new Map<DnsExchange, number>();
  private readonly streams = new Set<DnsStream>();
  private ports: GatewayPorts | null = null;
  private port: BoundPort | null = null;
  private env: ExchangeEnv | null = null;

  constructor(random: Random, host: HostNetwork, settings: Settings, dns: DnsSettings, drops: DropCounters) {
    this.random = random;
    this.host = host;
    this.settings = settings;
    this.dns = dns;
    this.drops = drops;
  }

  /** With `restrict` there is no name service, and nothing is claimed. */
  start(ports: GatewayPorts): void {
    if (this.settings.restrict) return;
    const { arena, turn, timers } = ports;
    const { random, host, account } = this;
    const pad = arena.take(PAD_LEN, account);
    assert(pad >= 0, 'the arena has room for the name service');
    this.ports = ports;
    this.env = { host, random, arena, account, turn, timers, pad };
    this.port = ports.bindUdp(this.dns.address, dns.PORT, (off, len, from, now) =>
      this.receive(off, len, from, now),
    );
    ports.bindTcp(this.dns.address, dns.PORT, (events, from) => this.accept(events, from));
  }

  /** Connections are reset: each is told so in a turn of its own. */
  stop(): void {
    for (const stream of this.streams) stream.refuse();
    for (const exchange of this.underWay.keys()) exchange.cancel();
    this.port?.close();
    if (this.port !== null) this.env?.arena.give(this.env.pad, PAD_LEN, this.account);
    this.port = null;
  }

  /** Nobody waits for its answers: what they hold is free for others. */
  forgetPort(ingress: number): void {
    for (const [exchange, of] of this.underWay) if (of === ingress) exchange.cancel();
  }

  /** Queries that wait for a resolver. */
  get pending(): number {
    return this.underWay.size;
  }

  private receive(off: number, len: number, from: Peer, now: Ms): Drop {
    const { env, port } = this;
    if (env === null || port === null) return Drop.UdpNoService;
    const { bytes, view } = env.arena.memory;
    if (!dns.isRequest(view, off, len)) return Drop.DnsMalformed;
    const code = len > MAX_QUERY ? dns.Rcode.FormErr : dns.checkQuery(view, off, len);
    if (code !== dns.Rcode.NoError) {
      port.send(dns.failure(view, off, len, code), from);
      return code === dns.Rcode.FormErr ? Drop.DnsMalformed : Drop.None;
    }
    const query = Uint8Array.from(bytes.subarray(off, off + len));
    const exchange = this.exchange('udp', query, from.ingress, (answer) => {
      this.port?.send(fitted(answer, query), from);
    });
    if (exchange === null) return Drop.DnsBusy;
    exchange.begin(now);
    return Drop.None;
  }

  private accept(events: HostStreamEvents, from: Peer): HostStream {
    const { env, ports } = this;
    assert(ports !== null && env !== null, 'a connection comes after start()');
    const { ingress } = from;
    const isOver = this.port === null || !this.connections.take(ingress);
    const stream: DnsStream = new DnsStream(
      {
        arena: env.arena,
        clock: ports.clock,
        turn: ports.turn,
        timers: ports.timers,
        pad: env.pad,
        exchange: (query, answered) => this.exchange('tcp', query, ingress, answered),
        closed: () => {
          this.streams.delete(stream);
          if (!isOver) this.connections.give(ingress);
        },
      },
      events,
    );
    this.streams.add(stream);
    if (isOver) stream.refuse();
    return stream;
  }

  /** `answered` gets what the guest gets: the resolver's answer with the guest's id, or SERVFAIL. */
  private exchange(
    over: 'udp' | 'tcp',
    query: Uint8Array,
    ingress: number,
    answered: (answer: Uint8Array) => void,
  ): DnsExchange | null {
    const { env } = this;
    if (env === null || this.port === null || !this.queries.take(ingress)) return null;
    env.turn.spend(Work.HostSocket);
    const resolvers = this.dns.resolvers ?? this.host.resolvers();
    const Kind = over === 'udp' ? UdpExchange : TcpExchange;
    const exchange: DnsExchange = new Kind(env, query, resolvers, (answer) => {
      answered(this.guestAnswer(query, answer));
    });
    exchange.onOver = () => {
      this.underWay.delete(exchange);
      this.queries.give(ingress);
    };
    this.underWay.set(exchange, ingress);
    return exchange;
  }

  private guestAnswer(query: Uint8Array, answer: Uint8Array | null): Uint8Array {
    const asked = viewOf(query);
    if (answer === null) {
      this.drops.lose(Loss.DnsUnanswered);
      return dns.failure(asked, 0, query.length, dns.Rcode.ServFail);
    }
    dns.setId(viewOf(answer), 0, dns.id(asked, 0));
    return answer;
  }
}

/** The answer as the guest can take it over UDP: whole, or without records and with TC. */
function fitted(answer: Uint8Array, query: Uint8Array): Uint8Array {
  const asked = viewOf(query);
  const size = Math.min(dns.udpSize(asked, 0, query.length), MAX_PAYLOAD);
  return answer.length <= size ? answer : dns.truncated(viewOf(answer), 0, asked, 0, query.length);
}
