// DHCP from frame to frame: a message of a client into the network, the answer out of it. The table of leases is looked
// through for each message, so it is measured with one lease and with 150.

import { parse } from '../../src/wire/dhcp.ts';
import * as udp from '../../src/wire/udp.ts';
import { benchEngine, expectNothingDropped, type Kernel, takeBlock } from '../engine.ts';
import { BenchGuest, L4 } from '../guest.ts';
import type { Case, Stage } from '../stage.ts';
import { frameRepeater } from '../traffic.ts';
import { discover, request, writeFrame } from './dhcp-frames.ts';

const BLOCK = 2048;
/** Of one turn. */
const MESSAGES = 4;
/** A guest may have three quarters of the pool. */
const CROWD = 150;
const FIRST_CLIENT = 0x00200000;

export function dhcp(kernel: Kernel): Stage {
  const alone = new BenchGuest(benchEngine(1500, kernel));
  lease(alone, FIRST_CLIENT);
  const crowd = new BenchGuest(benchEngine(1500, kernel));
  for (let n = 0; n < CROWD; n++) lease(crowd, FIRST_CLIENT + n);
  return {
    cases: [...casesOf(alone, 1), ...casesOf(crowd, CROWD)],
    verify: () => {
      for (const { engine } of [alone, crowd]) expectNothingDropped(engine);
    },
  };
}

function casesOf(guest: BenchGuest, leases: number): Case[] {
  const known = leases === 1 ? '1 lease' : `${leases} leases`;
  const last = FIRST_CLIENT + leases - 1;
  const repeated = (name: string, message: Uint8Array): Case => {
    const at = takeBlock(guest.engine, BLOCK);
    const call = frameRepeater(guest, at, writeFrame(guest.engine, at, last, message), MESSAGES);
    return { name: `${name}, ${known}`, ops: MESSAGES, bytes: 0, call };
  };
  return [
    repeated('DISCOVER to OFFER', discover(last)),
    repeated('REQUEST to ACK', request(last, lease(guest, last))),
  ];
}

/** The address that client `n` gets. */
function lease(guest: BenchGuest, n: number): number {
  const offered = exchange(guest, n, discover(n));
  return exchange(guest, n, request(n, offered));
}

/** The address in the answer to `message`. */
function exchange(guest: BenchGuest, n: number, message: Uint8Array): number {
  const { engine, link } = guest;
  const { view } = engine.network.arena.memory;
  guest.give(link.incoming, writeFrame(engine, link.incoming, n, message));
  const l4 = link.lastFrame + L4;
  const answer = parse(view, l4 + udp.HEADER_LEN, udp.payloadLen(view, l4));
  if (answer === null || answer.yiaddr === 0) throw new Error(`client ${n} was given no address`);
  return answer.yiaddr;
}
