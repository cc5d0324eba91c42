// A train: segments of one flow one right behind the other, in one turn, each the one that was expected. An upload comes in
// trains of as many frames as its link brings at a time. Who the first is from, whether it may be, where it goes: all that
// was found out on its way through switch, IP and flow table, and is no different for the next ones with the same headers.
// So those are offered here before they go the same way, and the kernel takes them apart without a call for each
// (src/kernel/train.ts). Where it stops, or there is no kernel, frames go the whole way, and the next train may begin.

import type { Arena } from '../base/arena.ts';
import type { FrameRun } from '../base/frame-run.ts';
import { Region } from '../base/region.ts';
import type { Turn } from '../base/turn.ts';
import type { Packet } from '../ip/packet.ts';
import { noteTrain } from '../tcp/predicted.ts';
import type { Tcb } from '../tcp/tcb.ts';
import { rcvWindow } from '../tcp/window.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import { isPlain } from '../wire/tcp-options.ts';

const region = new Region();

export class Train {
  private readonly arena: Arena;
  private readonly turn: Turn;
  /** The flow of the frame before, when that may be the first of a train. */
  private tcb: Tcb | null = null;
  private first = 0;
  private ingress = 0;
  private turnCount = 0;

  constructor(arena: Arena, turn: Turn) {
    this.arena = arena;
    this.turn = turn;
  }

  /** The segment in `p`, which lies where its frame came, was taken by `tcb` as the one that was expected. */
  begin(tcb: Tcb, p: Packet): void {
    const { view } = this.arena.memory;
    // What was put together from fragments does not lie in its frame.
    if (p.l4 - p.ip !== ipv4.MIN_HEADER_LEN || ipv4.isFragment(view, p.ip)) return;
    if (!isPlain(view, p.l4, tcp.headerLen(view, p.l4))) return;
    this.tcb = tcb;
    this.first = p.ip - ethernet.HEADER_LEN;
    this.ingress = p.ingress;
    this.turnCount = this.turn.count;
  }

  /** Another frame has come, or is about to: whatever it is, no train goes on behind it. */
  end(): void {
    this.tcb = null;
  }

  /** Takes the frames of `frames`, which came by port `ingress` right behind the one before, that are of its train: how many. */
  take(frames: FrameRun, ingress: number): number {
    const { tcb } = this;
    this.end();
    const { trains } = this.arena.memory;
    if (tcb === null || trains === null) return 0;
    if (this.ingress !== ingress || this.turnCount !== this.turn.count) return 0;
    // Not more than the ring has storage for: it grows with the frame that finds no room, by the ordinary way.
    tcb.recvRing.writable(region);
    frames.at = trains.takeTrain(
      this.first,
      frames.at,
      frames.end,
      tcb.rcvNxt,
      tcb.tsRecent,
      region.off,
      Math.min(region.len, rcvWindow(tcb)),
      frames.most,
    );
    const count = trains.framesTaken();
    if (count > 0) noteTrain(tcb, count, trains.bytesTaken(), trains.lastTaken());
    return count;
  }
}
