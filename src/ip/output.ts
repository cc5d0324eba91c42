// From a transport payload to a frame: Ethernet and IPv4 headers in front, fragments where it does not fit.

import type { Arena } from '../base/arena.ts';
import type { FrameOut } from '../base/guest-port.ts';
import type { Random } from '../base/random.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';

const HEADERS = ethernet.HEADER_LEN + ipv4.MIN_HEADER_LEN;
/** Of a train: the kernel copies headers by 16 bytes. */
const LEAST_TEXT = 16;

/** The way to one guest, from one of our addresses: everything that is the same in each of its frames. */
export class Route {
  readonly out: FrameOut;
  readonly srcHi: number;
  readonly srcLo: number;
  /** IPv4 words. */
  readonly src: number;
  readonly dst: number;
  /** The guest's MAC; it may move with the guest. */
  dstHi: number;
  dstLo: number;

  constructor(
    out: FrameOut,
    from: { readonly hi: number; readonly lo: number },
    src: number,
    to: { readonly hi: number; readonly lo: number },
    dst: number,
  ) {
    this.out = out;
    this.srcHi = from.hi;
    this.srcLo = from.lo;
    this.src = src;
    this.dstHi = to.hi;
    this.dstLo = to.lo;
    this.dst = dst;
  }
}

/** The way of one connection's segments: tcp's SegmentOut. */
export class TcpRoute extends Route {
  private readonly output: Ipv4Output;

  constructor(
    output: Ipv4Output,
    out: FrameOut,
    from: { readonly hi: number; readonly lo: number },
    src: number,
    to: { readonly hi: number; readonly lo: number },
    dst: number,
  ) {
    super(out, from, src, to, dst);
    this.output = output;
  }

  reserve(len: number): number {
    return this.output.reserve(this, len);
  }

  commit(len: number): void {
    this.output.commit(this, ipv4.Protocol.Tcp, len);
  }

  repeat(header: number, len: number, src: number, count: number): number {
    return this.output.repeat(this, header, len, src, count);
  }
}

export class Ipv4Output {
  readonly mtu: number;
  private readonly arena: Arena;
  private ident: number;
  private frame = -1;

  constructor(arena: Arena, mtu: number, random: Random) {
    this.arena = arena;
    this.mtu = mtu;
    this.ident = random.word() & 0xffff;
  }

  /**
   * Room for one unfragmented packet whose payload takes `len` bytes, at most mtu - 20: the payload's offset, or -1
   * when the link is full. Nothing else may be reserved until commit().
   */
  reserve(route: Route, len: number): number {
    this.frame = route.out.reserve(HEADERS + len);
    return this.frame < 0 ? -1 : this.frame + HEADERS;
  }

  /** Writes the headers in front of the payload that was reserved, and sends it. */
  commit(route: Route, proto: number, len: number): void {
    const v = this.arena.memory.view;
    this.writeEthernet(v, route, this.frame);
    this.ident = (this.ident + 1) & 0xffff;
    ipv4.write(v, this.frame + ethernet.HEADER_LEN, len, this.ident, proto, route.src, route.dst);
    route.out.commit(HEADERS + len);
  }

  /**
   * Behind the packet that was committed last, a segment of TCP with `header` bytes of header and `len` of text, come up to
   * `count` more of the same stream: their text is at `src`, one behind the other. How many went; 0 where that cannot
   * be, and they go one by one.
   */
  repeat(route: Route, header: number, len: number, src: number, count: number): number {
    const { trains } = this.arena.memory;
    if (trains === null || len < LEAST_TEXT || route.out.extend === undefined) return 0;
    const frameLen = HEADERS + header + len;
    const fit = route.out.extend(frameLen, count);
    if (fit === 0) return 0;
    trains.makeTrain(this.frame, frameLen, HEADERS + header, src, fit);
    this.ident = (this.ident + fit) & 0xffff;
    return fit;
  }

  /** Sends the payload at [off, off+len), too long for one packet, in fragments. False: not all of it went. */
  sendInFragments(route: Route, proto: number, off: number, len: number): boolean {
    const { memory } = this.arena;
    this.ident = (this.ident + 1) & 0xffff;
    // RFC 791 2.3: all fragments but the last carry a multiple of eight bytes.
    const most = (this.mtu - ipv4.MIN_HEADER_LEN) & ~7;
    for (let at = 0; at < len; at += most) {
      const part = Math.min(most, len - at);
      const frame = route.out.reserve(HEADERS + part);
      if (frame < 0) return false;
      this.writeEthernet(memory.view, route, frame);
      const ip = frame + ethernet.HEADER_LEN;
      ipv4.writeAsFragment(
        memory.view,
        ip,
        part,
        this.ident,
        proto,
        route.src,
        route.dst,
        at,
        at + part < len,
      );
      memory.copy(frame + HEADERS, off + at, part);
      route.out.commit(HEADERS + part);
    }
    return true;
  }

  private writeEthernet(v: DataView, route: Route, frame: number): void {
    ethernet.write(v, frame, route.dstHi, route.dstLo, route.srcHi, route.srcLo, ethernet.EtherType.Ipv4);
  }
}
