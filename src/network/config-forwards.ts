// What a user may say of forwards, checked.

import { type Endpoint, formatEndpoint, formatIpv4Word, ipv4Addr } from '../base/addr.ts';
import type { ForwardSettings, Settings } from '../base/settings.ts';
import * as check from './config-checks.ts';
import { ConfigError, type Subnet } from './config-checks.ts';

/** A port of the host that leads to a port of a guest. */
export interface ForwardConfig {
  readonly proto: 'tcp' | 'udp';
  /** "127.0.0.1:2222", "[::1]:2222"; a port alone binds 127.0.0.1. Port 0: one that the host chooses. */
  readonly host: string;
  /** "10.0.2.15:22"; a port alone leads to the first address of the pool. */
  readonly guest: string;
}

export function forwardsOf(
  said: unknown,
  net: Subnet,
  firstGuest: number,
  taken: ReadonlyMap<number, string>,
): readonly ForwardSettings[] {
  const bound = new Set<string>();
  return check.listOf('forwards', said).map((value, i) => {
    const forward = forwardOf(`forwards[${i}]`, value, net, firstGuest, taken);
    claim(bound, `forwards[${i}].host`, forward.proto, forward.host);
    return forward;
  });
}

/** One more forward, for a network that runs with `settings`. Throws a ConfigError. */
export function parseForward(said: ForwardConfig, settings: Settings): ForwardSettings {
  const taken = new Map([[settings.gateway >>> 0, 'the gateway']]);
  if (settings.dns !== null) taken.set(settings.dns.address >>> 0, 'the name service');
  return forwardOf('forward', said, subnetOf(settings), settings.firstGuest >>> 0, taken);
}

/** "10.0.2.15:22"; a port alone is the first guest's. Throws a ConfigError. */
export function parseGuest(path: string, said: string, settings: Settings): Endpoint {
  const { address, port } = check.guestEndpoint(path, said, subnetOf(settings), settings.firstGuest >>> 0);
  return { addr: ipv4Addr(address | 0), port };
}

function subnetOf({ subnet, prefix }: Settings): Subnet {
  return check.subnet('subnet', `${formatIpv4Word(subnet)}/${prefix}`);
}

function forwardOf(
  path: string,
  value: unknown,
  net: Subnet,
  firstGuest: number,
  taken: ReadonlyMap<number, string>,
): ForwardSettings {
  const forward = check.objectOf<ForwardConfig>(path, value, FORWARD_KEYS);
  const { proto } = forward;
  if (proto !== 'tcp' && proto !== 'udp')
    throw new ConfigError(`${path}.proto`, `${check.show(proto)} is neither tcp nor udp`);
  const host = check.hostEndpoint(`${path}.host`, forward.host);
  const guest = check.guestEndpoint(`${path}.guest`, forward.guest, net, firstGuest);
  const owner = taken.get(guest.address);
  if (owner !== undefined)
    throw new ConfigError(`${path}.guest`, `${formatIpv4Word(guest.address)} is ${owner}`);
  return { proto, host, guestAddress: guest.address | 0, guestPort: guest.port };
}

function claim(bound: Set<string>, path: string, proto: string, host: Endpoint): void {
  if (host.port === 0) return;
  const key = `${proto} ${formatEndpoint(host)}`;
  if (bound.has(key)) throw new ConfigError(path, `${key} is forwarded twice`);
  bound.add(key);
}

const FORWARD_KEYS: Record<keyof ForwardConfig, true> = { proto: true, host: true, guest: true };
