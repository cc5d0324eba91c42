// Where things are in a world in memory: names and their addresses, and addresses that are not reached.

import { type Endpoint, type IpAddr, ipv4Addr, isIpv4, parseIp, parseIpv4Word } from '../base/addr.ts';
import { MemoryNames } from './memory-names.ts';

/** A place in the world outside. */
export interface MemoryPlace {
  /** An IPv4 address: 127.0.0.1 is what guests reach as their gateway. */
  readonly address: string;
  readonly port: number;
}

/** Where something is served. */
export interface ServeAt {
  /** What guests may look it up as. */
  readonly name?: string;
  /** Default: that of `name`, and a new one for a new name (192.0.2.10 is the first); without a name 127.0.0.1. */
  readonly address?: string;
  /** 1..65535. */
  readonly port: number;
}

export interface Obstacle {
  readonly word: number;
  readonly mask: number;
  readonly how: 'silent' | 'unreachable';
}

/** TEST-NET-1, RFC 5737: where names without an address begin and end. */
const FIRST_NAMED = 0xc000020a | 0;
const LAST_NAMED = 0xc00002fa | 0;
export const LOOPBACK = ipv4Addr(0x7f000001);

export class MemoryPlaces {
  readonly names = new MemoryNames();
  private obstacles: readonly Obstacle[] = [];
  private nextNamed = FIRST_NAMED;

  /** Where `at` is, its name known from now on. Throws where it says something that is not possible. */
  placeOf({ name, address, port }: ServeAt): Endpoint {
    checkPort(port);
    const known = name === undefined ? undefined : this.names.find(name)[0];
    let addr = known === undefined ? LOOPBACK : ipv4Addr(known);
    if (address !== undefined) addr = addressOf('address', address);
    else if (name !== undefined && known === undefined) addr = ipv4Addr(this.newAddress());
    if (name !== undefined) this.names.add(name, addr.w3);
    return { addr, port };
  }

  private newAddress(): number {
    if (this.nextNamed > LAST_NAMED) throw new Error('address: there are no more; say which');
    return this.nextNamed++;
  }

  /** See MemoryHost.unreachable() and silent(). */
  obstruct(where: string, how: Obstacle['how']): () => void {
    const [text = '', length = '32'] = where.split('/');
    const word = parseIpv4Word(text);
    const bits = Number(length);
    if (word === null || !/^\d+$/.test(length) || bits > 32)
      throw new Error(`${JSON.stringify(where)} is neither an IPv4 address nor a prefix`);
    const mask = bits === 0 ? 0 : -1 << (32 - bits);
    const obstacle: Obstacle = { word: word & mask, mask, how };
    this.obstacles = [obstacle, ...this.obstacles];
    return () => {
      this.obstacles = this.obstacles.filter((one) => one !== obstacle);
    };
  }

  /** What keeps anything from arriving at `addr`. */
  obstacleAt(addr: IpAddr): Obstacle['how'] | null {
    return this.obstacles.find(({ word, mask }) => (addr.w3 & mask) === word)?.how ?? null;
  }
}

/** The endpoint of `place`. Throws where it is none. */
export function endpointOf({ address, port }: MemoryPlace): Endpoint {
  checkPort(port);
  return { addr: addressOf('address', address), port };
}

/** `what`: the setting, for the error. */
export function addressOf(what: string, text: string): IpAddr {
  const addr = parseIp(text);
  if (addr === null || !isIpv4(addr))
    throw new Error(`${what}: ${JSON.stringify(text)} is not an IPv4 address`);
  return addr;
}

function checkPort(port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Error(`port: ${port} is not 1 to 65535`);
}
