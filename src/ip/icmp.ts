// ICMP errors that the engine itself must report: RFC 792, RFC 1122 3.2.2, RFC 1812 4.3. Never about an ICMP message, a
// broadcast or a later fragment (callers see to it), and rate-limited per guest: a flood of refusals is worth nothing.

import type { Arena } from '../base/arena.ts';
import type { Ms } from '../base/clock.ts';
import { type DropCounters, Loss } from '../base/drop.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { HEADER_LEN, Type, writeError } from '../wire/icmpv4.ts';
import * as ipv4 from '../wire/ipv4.ts';
import type { Ipv4Output, Route } from './output.ts';
import type { Packet } from './packet.ts';

/** RFC 1812 4.3.2.8: a token bucket for each guest, errors per second and at once. */
const PER_SECOND = 200;
const BURST = 100;
/** RFC 1812 4.3.2.3: as much of the datagram as fits 576 bytes, and the MTU where that is less. */
const MAX_ERROR_LEN = 576;
const MAX_BUCKETS = 1024;

export class IcmpErrors {
  private readonly arena: Arena;
  private readonly output: Ipv4Output;
  private readonly drops: DropCounters;
  /** Bytes of a datagram that an error quotes at most. */
  private readonly maxQuote: number;
  /** Per switch port, forgotten with it. */
  private readonly buckets = new Map<number, TokenBucket>();

  constructor(arena: Arena, output: Ipv4Output, drops: DropCounters) {
    this.arena = arena;
    this.output = output;
    this.drops = drops;
    this.maxQuote = Math.min(MAX_ERROR_LEN, output.mtu) - ipv4.MIN_HEADER_LEN - HEADER_LEN;
  }

  /** Destination unreachable with `code`, about the datagram in `p`. `route` leads back to its sender. */
  unreachable(route: Route, code: number, p: Packet, now: Ms): void {
    const quote = Math.min(p.end - p.ip, this.maxQuote);
    const at = this.begin(route, p.ingress, quote, now);
    if (at < 0) return;
    this.arena.memory.copy(at + HEADER_LEN, p.ip, quote);
    this.finish(route, at, code, quote);
  }

  /**
   * The same about a packet that is gone: its header is made again, with the first eight bytes behind it, which is what
   * finds the socket (RFC 792).
   */
  unreachableLater(
    route: Route,
    code: number,
    ingress: number,
    proto: number,
    first: number,
    second: number,
    now: Ms,
  ): void {
    const quote = ipv4.MIN_HEADER_LEN + 8;
    const at = this.begin(route, ingress, quote, now);
    if (at < 0) return;
    const v = this.arena.memory.view;
    const ip = at + HEADER_LEN;
    ipv4.write(v, ip, 8, 0, proto, route.dst, route.src);
    v.setInt32(ip + ipv4.MIN_HEADER_LEN, first);
    v.setInt32(ip + ipv4.MIN_HEADER_LEN + 4, second);
    this.finish(route, at, code, quote);
  }

  forgetPort(ingress: number): void {
    this.buckets.delete(ingress);
  }

  private begin(route: Route, ingress: number, quote: number, now: Ms): number {
    if (!this.spend(ingress, now)) {
      this.drops.lose(Loss.IcmpRateLimited);
      return -1;
    }
    const at = this.output.reserve(route, HEADER_LEN + quote);
    if (at < 0) this.drops.lose(Loss.LinkQueueFull);
    return at;
  }

  private finish(route: Route, at: number, code: number, quote: number): void {
    writeError(this.arena.memory, at, Type.Unreachable, code, 0, quote);
    this.output.commit(route, ipv4.Protocol.Icmp, HEADER_LEN + quote);
  }

  private spend(ingress: number, now: Ms): boolean {
    let bucket = this.buckets.get(ingress);
    if (bucket === undefined) {
      if (this.buckets.size >= MAX_BUCKETS) this.buckets.clear();
      bucket = new TokenBucket(PER_SECOND, BURST, now);
      this.buckets.set(ingress, bucket);
    }
    return bucket.take(now);
  }
}
