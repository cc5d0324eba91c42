import { type Endpoint, ipv4Addr, parseIpv4Word } from '../../src/base/addr.ts';
import { type Drop, DropCounters } from '../../src/base/drop.ts';
import { PlayedHost } from '../../src/host/played-host.ts';
import { type NetworkConfig, parseConfig } from '../../src/network/config.ts';
import { DnsRelay } from '../../src/services/dns-relay.ts';
import type { Peer } from '../../src/services/service.ts';
import { type FakeConnection, FakePorts, peer } from './fake-ports.ts';
import { SeededRandom } from './seeded-random.ts';

export function resolver(address: string, port = 53): Endpoint {
  return { addr: ipv4Addr(parseIpv4Word(address)!), port };
}

export const FIRST = resolver('192.0.2.1');
export const SECOND = resolver('192.0.2.2');
export const GUEST = peer('10.0.2.15', 40000);

/** A relay between a guest and resolvers that the test plays. */
export class DnsBench {
  readonly ports = new FakePorts();
  readonly host = new PlayedHost();
  readonly drops = new DropCounters();
  readonly relay: DnsRelay;
  /** What the arena holds when nothing is under way. */
  readonly atRest: number;

  constructor(resolvers: readonly Endpoint[] = [FIRST, SECOND], config: NetworkConfig = {}) {
    const settings = parseConfig(config);
    this.host.start(this.ports);
    this.host.nameServers = [...resolvers];
    this.relay = new DnsRelay(new SeededRandom(7), this.host, settings, settings.dns!, this.drops);
    this.relay.start(this.ports);
    this.atRest = this.ports.arena.used;
  }

  /** A datagram from a guest; answers are in `answers`. */
  query(query: Uint8Array, from: Peer = GUEST): Drop {
    return this.ports.deliver('10.0.2.3', 53, query, from);
  }

  /** What guests got over UDP. */
  get answers(): Uint8Array[] {
    return this.ports.sent.map((sent) => sent.payload);
  }

  /** A guest's TCP connection. */
  connect(from: Peer = GUEST): FakeConnection {
    return this.ports.connect('10.0.2.3', 53, from);
  }

  run(): void {
    this.ports.clock.runSoon();
  }

  advance(ms: number): void {
    this.ports.clock.advance(ms);
  }
}
