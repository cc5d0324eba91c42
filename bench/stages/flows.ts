// Small frames of 1 to 100 000 open flows, each turn's from 64 others: what a flow costs when no cache has it. More flows
// than one guest may have are two guests'.

import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as udp from '../../src/wire/udp.ts';
import { benchEngine, expectNothingDropped, type Kernel, takeBlock } from '../engine.ts';
import { BenchConnection, BenchGuest, L4 } from '../guest.ts';
import { shuffled } from '../shuffle.ts';
import type { Case, Stage } from '../stage.ts';
import { FRAMES } from '../traffic.ts';

const SIZES = [1, 100, 10_000, 100_000];
/** Of each guest, at most 65536. */
const FLOWS_OF_GUEST = 50_000;
const FIRST_PORT = 1024;
const PAYLOAD = 18;
const LIMITS = { tcpFlows: 65536, udpFlows: 65536 };

export async function flows(kernel: Kernel, all: boolean): Promise<Stage> {
  const engine = benchEngine(1500, kernel, { limits: LIMITS });
  const guests = [new BenchGuest(engine, 0), new BenchGuest(engine, 1)];
  const sizes = all ? SIZES : SIZES.slice(0, -1);
  const most = Math.max(...sizes);
  const connections: BenchConnection[] = [];
  for (let n = 0; n < most; n++) {
    const guest = guests[Math.floor(n / FLOWS_OF_GUEST)]!;
    connections.push(await BenchConnection.open(guest, FIRST_PORT + (n % FLOWS_OF_GUEST)));
  }
  const sender = datagramSender(guests);
  engine.network.turn.run(() => {
    for (let n = 0; n < most; n++) sender(n);
  });
  return {
    cases: [
      ...sizes.map((size) => {
        const at = takeBlock(engine, 4096);
        return inTurn('TCP', size, guests, (n) => {
          const connection = connections[n]!;
          connection.guest.link.sink.onFrame(at, connection.write(at, PAYLOAD));
        });
      }),
      ...sizes.map((size) => inTurn('UDP', size, guests, sender)),
    ],
    verify: () => {
      expectNothingDropped(engine);
      const open = engine.network.stats().flows;
      if (open.tcp !== most || open.udp !== most)
        throw new Error(`${open.tcp} and ${open.udp} flows are open, not ${most}`);
    },
  };
}

/** A frame from each of FRAMES flows a call, all flows in turn, in an order that no cache foresees. */
function inTurn(
  proto: string,
  size: number,
  [guest]: readonly BenchGuest[],
  send: (n: number) => void,
): Case {
  const order = shuffled(size);
  let at = 0;
  const sendAll = (): void => {
    for (let i = 0; i < FRAMES; i++) {
      send(order[at]!);
      at = at + 1 === size ? 0 : at + 1;
    }
  };
  const name = `${proto} guest to host, ${PAYLOAD} B, ${size} flow${size === 1 ? '' : 's'}`;
  return { name, ops: FRAMES, bytes: PAYLOAD, call: () => guest!.engine.network.turn.run(sendAll) };
}

/** Sends a datagram of flow `n`: one frame for each guest, whose source port changes. Without a checksum, RFC 768. */
function datagramSender(guests: readonly BenchGuest[]): (n: number) => void {
  const frames = guests.map((guest) => {
    const at = takeBlock(guest.engine, 4096);
    const len = guest.writeUdp(at, FIRST_PORT, 7, PAYLOAD);
    return { guest, at, len, view: guest.engine.network.arena.memory.view };
  });
  for (const { view, at } of frames) view.setUint16(at + L4 + udp.CHECKSUM, 0);
  return (n) => {
    const { guest, at, len, view } = frames[Math.floor(n / FLOWS_OF_GUEST)]!;
    view.setUint16(at + ethernet.HEADER_LEN + ipv4.MIN_HEADER_LEN, FIRST_PORT + (n % FLOWS_OF_GUEST));
    guest.link.sink.onFrame(at, len);
  };
}
