// The host's name servers, from resolv.conf. Read when asked for, and again when the file has changed, which is looked
// up at most once a second.

import { readFileSync, statSync } from 'node:fs';
import type { Endpoint, IpAddr } from '../base/addr.ts';
import { ipv4Addr, isIpv4, parseIp } from '../base/addr.ts';
import type { Clock, Ms } from '../base/clock.ts';
import { NEVER } from '../base/clock.ts';

const RECHECK_MS = 1000;
const DNS_PORT = 53;
const LOOPBACK = ipv4Addr(0x7f000001);

export class Resolvers {
  private readonly clock: Clock;
  private readonly path: string;
  private list: readonly Endpoint[] = [];
  private checkedAt: Ms = -NEVER;
  /** Which state of the file `list` is from. */
  private stamp = '';

  constructor(clock: Clock, path = '/etc/resolv.conf') {
    this.clock = clock;
    this.path = path;
  }

  /** In the order of the file; empty when it does not exist. */
  current(): readonly Endpoint[] {
    const now = this.clock.now();
    if (now - this.checkedAt < RECHECK_MS) return this.list;
    this.checkedAt = now;
    try {
      const { mtimeMs, ino, size } = statSync(this.path);
      const stamp = `${mtimeMs} ${ino} ${size}`;
      if (stamp !== this.stamp) {
        this.list = parseResolvConf(readFileSync(this.path, 'latin1'));
        this.stamp = stamp;
      }
    } catch {
      // No file, or none that we may read: no name servers until there is one.
      this.list = [];
      this.stamp = '';
    }
    return this.list;
  }
}

/** The addresses of `nameserver` lines that can be asked: no zones, no groups; resolv.conf(5) means 0.0.0.0 as this host. */
export function parseResolvConf(text: string): Endpoint[] {
  const found: Endpoint[] = [];
  for (const line of text.split('\n')) {
    const addr = parseIp(/^\s*nameserver\s+([^\s#;]+)/.exec(line)?.[1] ?? '');
    if (addr === null || isGroup(addr)) continue;
    found.push({ addr: isIpv4(addr) && addr.w3 === 0 ? LOOPBACK : addr, port: DNS_PORT });
  }
  return found;
}

/** Multicast, reserved and broadcast addresses, and `::`. */
function isGroup(a: IpAddr): boolean {
  if (isIpv4(a)) return a.w3 >>> 28 >= 14;
  return a.w0 >>> 24 === 0xff || (a.w0 | a.w1 | a.w2 | a.w3) === 0;
}
