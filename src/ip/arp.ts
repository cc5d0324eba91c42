// ARP from guests: RFC 826. Answered for the gateway's own addresses and for nothing else, so that a guest that probes
// its own address before using it (RFC 5227) hears nothing.

import type { Arena } from '../base/arena.ts';
import { Drop } from '../base/drop.ts';
import type { GuestPort } from '../base/guest-port.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import type { Addresses } from './addresses.ts';
import type { Neighbours } from './neighbours.ts';

/** ARP at [off, end), from `port`. */
export function arpInput(
  arena: Arena,
  addresses: Addresses,
  neighbours: Neighbours,
  port: GuestPort,
  off: number,
  end: number,
): Drop {
  const v = arena.memory.view;
  const bad = arp.check(v, off, end - off);
  if (bad !== Drop.None) return bad;
  const hi = arp.senderHi(v, off);
  const lo = arp.senderLo(v, off);
  const from = arp.senderIp(v, off);
  const target = arp.targetIp(v, off);
  neighbours.learn(from, hi, lo, port.id);
  if (arp.op(v, off) === arp.Op.Reply) return Drop.None;
  if (!addresses.isOwn(target)) return Drop.ArpNotForUs;
  const at = port.reserve(ethernet.HEADER_LEN + arp.LEN);
  if (at < 0) return Drop.LinkQueueFull;
  const own = addresses.macOf(target);
  ethernet.write(v, at, hi, lo, own.hi, own.lo, ethernet.EtherType.Arp);
  arp.write(v, at + ethernet.HEADER_LEN, arp.Op.Reply, own.hi, own.lo, target, hi, lo, from);
  port.commit(ethernet.HEADER_LEN + arp.LEN);
  return Drop.None;
}
