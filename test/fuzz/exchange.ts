// A guest that behaves, after all that: it gets an address at once.

import { REST_MS } from '../../src/services/dhcp-leases.ts';
import { MessageType, parse } from '../../src/wire/dhcp.ts';
import { buildDiscover, buildRequest, type DhcpClient } from '../../src/wire/dhcp-client.ts';
import { Option, readWord } from '../../src/wire/dhcp-options.ts';
import { fixAll } from './checksums.ts';
import type { World } from './world.ts';

const MAC = { hi: 0x5254, lo: 0x00feed01 };
const HEADERS = 42;
/** Addresses that are any port's, see dhcp-leases.ts. */
const FAIR_SHARE = 64;

/**
 * DISCOVER, OFFER, REQUEST, ACK on the first guest's link; throws where it does not work. Where the guests have taken
 * every address there is, that is what they may do: then it works when they are gone, and what they have declined rests
 * no more.
 */
export function expectExchange(world: World): void {
  if (exchange(world)) return;
  for (const guest of world.links.keys()) world.linkDoes(guest, 'down');
  for (const guest of world.links.keys()) world.linkDoes(guest, 'up');
  if (exchange(world)) return;
  world.time(REST_MS * 1000);
  if (!exchange(world)) throw new Error('no lease, though all guests are gone');
}

/** False: the pool was empty. */
function exchange(world: World): boolean {
  const client: DhcpClient = {
    ...{ xid: 0x7e57, mac: MAC, secs: 0, broadcast: false, clientId: null, hostname: null },
    parameters: [1, 3, 6],
  };
  const before = world.inside.leases();
  const offer = ask(world, buildDiscover(client, null));
  if (offer === null) {
    const { limits, dhcp } = world.network.settings;
    const pool = dhcp!.last - dhcp!.first;
    if (before < Math.min(FAIR_SHARE, limits.leases, pool)) throw new Error(`no OFFER, ${before} leases`);
    return false;
  }
  const serverId = readWord(offer.options, Option.ServerId);
  if (offer.type !== MessageType.Offer || serverId === null) throw new Error('an OFFER that is none');
  const ack = ask(world, buildRequest(client, { requested: offer.yiaddr, serverId }));
  if (ack?.type !== MessageType.Ack || ack.yiaddr !== offer.yiaddr) throw new Error('no ACK');
  return true;
}

function ask(world: World, message: Uint8Array): ReturnType<typeof parse> {
  const frame = Buffer.alloc(HEADERS + message.length);
  frame.fill(0xff, 0, 6);
  frame.writeUInt16BE(MAC.hi, 6);
  frame.writeUInt32BE(MAC.lo, 8);
  frame.writeUInt16BE(0x0800, 12);
  frame.set([0x45, 0], 14);
  frame.writeUInt16BE(28 + message.length, 16);
  frame.set([64, 17], 22);
  frame.writeInt32BE(-1, 30);
  frame.writeUInt16BE(68, 34);
  frame.writeUInt16BE(67, 36);
  frame.writeUInt16BE(8 + message.length, 38);
  frame.set(message, HEADERS);
  fixAll(frame, frame.length);
  let answer: ReturnType<typeof parse> = null;
  const v = world.network.arena.memory.view;
  const before = world.onOut;
  world.onOut = (_, off, len) => {
    if (len > HEADERS && v.getUint8(off + 23) === 17 && v.getUint16(off + 36) === 68)
      answer ??= parse(v, off + HEADERS, v.getUint16(off + 38) - 8);
  };
  world.frame(0, false, false, frame, frame.length);
  world.onOut = before;
  return answer;
}
