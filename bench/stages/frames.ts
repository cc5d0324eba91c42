// One frame from the link to the host or back, by protocol and size: parse, NAT and build, in turns of up to 64 frames, with
// a host that takes everything at once and a link that throws frames away. All on one network, as in a program that has
// one, with guests of different MTUs.

import { benchEngine, expectNothingDropped, type Kernel } from '../engine.ts';
import { BenchGuest, TCP_HEADERS, UDP_HEADERS } from '../guest.ts';
import type { Case, Stage } from '../stage.ts';
import { type Traffic, tcpDown, tcpExchange, tcpUp, udpDown, udpUp, writingOnly } from '../traffic.ts';

const MTUS = [576, 1500, 9000, 65520];
/** In a frame of the least length that Ethernet has. */
const SMALL = 18;

export async function frames(kernel: Kernel): Promise<Stage> {
  const engine = benchEngine(Math.max(...MTUS), kernel);
  const guest = new BenchGuest(engine);
  const cases: Case[] = [];
  let port = 40000;
  const add = (name: string, { frames: ops, bytes, call }: Traffic): void => {
    cases.push({ name, ops, bytes: bytes / ops, call });
  };
  for (const mtu of MTUS) {
    const payload = mtu - TCP_HEADERS;
    add(`TCP guest to host, ${payload} B`, await tcpUp(guest, port++, payload));
    add(`TCP host to guest, ${payload} B`, await tcpDown(guest, port++, payload));
    const datagram = mtu - UDP_HEADERS;
    add(`UDP guest to host, ${datagram} B`, udpUp(guest, port++, datagram));
    add(`UDP host to guest, ${datagram} B`, udpDown(guest, port++, datagram));
  }
  add(`UDP guest to host, ${SMALL} B`, udpUp(guest, port++, SMALL));
  add(`UDP host to guest, ${SMALL} B`, udpDown(guest, port++, SMALL));
  add('TCP, a byte and its answer', await tcpExchange(guest, port++));
  for (const payload of [536, 1460])
    add(`of it the bench's own segment, ${payload} B`, await writingOnly(guest, port++, payload));
  return { cases, verify: () => expectNothingDropped(engine) };
}
