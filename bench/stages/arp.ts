// ARP from frame to frame.

import * as arpWire from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { benchEngine, expectNothingDropped, type Kernel, takeBlock } from '../engine.ts';
import { BenchGuest, GATEWAY, GUEST_MAC_HI } from '../guest.ts';
import type { Case, Stage } from '../stage.ts';
import { FRAMES, frameRepeater } from '../traffic.ts';

const FRAME_LEN = ethernet.HEADER_LEN + arpWire.LEN;

export function arp(kernel: Kernel): Stage {
  const guest = new BenchGuest(benchEngine(1500, kernel));
  const repeated = (name: string, op: number): Case => {
    const at = takeBlock(guest.engine, FRAME_LEN);
    writeArp(guest, at, op);
    return { name, ops: FRAMES, bytes: 0, call: frameRepeater(guest, at, FRAME_LEN) };
  };
  const cases = [
    repeated('request to reply', arpWire.Op.Request),
    repeated('reply, learned from', arpWire.Op.Reply),
  ];
  return { cases, verify: () => expectNothingDropped(guest.engine) };
}

function writeArp({ engine, address, macLo }: BenchGuest, at: number, op: number): void {
  const v = engine.network.arena.memory.view;
  ethernet.write(v, at, 0xffff, -1, GUEST_MAC_HI, macLo, ethernet.EtherType.Arp);
  arpWire.write(v, at + ethernet.HEADER_LEN, op, GUEST_MAC_HI, macLo, address, 0, 0, GATEWAY);
}
