// Datagrams that a guest sends as it should: DHCP, names, anything else over UDP; ARP; and one datagram in fragments.

import type { DhcpClient } from '../../src/wire/dhcp-client.ts';
import {
  buildDecline,
  buildDiscover,
  buildInform,
  buildRelease,
  buildRequest,
} from '../../src/wire/dhcp-client.ts';
import type { Dice } from './dice.ts';
import { type Draft, type Ends, ETHERNET } from './draft.ts';

const NAMES = ['example.com', 'a.b.c.d.e', 'x', 'host.internal', 'no-such-name.invalid'];
const TYPES = [1, 28, 5, 15, 16, 33, 12, 255, 252, 251];

/** A query at `at`, as long as it says; `room` bytes are there. */
export function putQuery(bytes: Buffer, at: number, dice: Dice): number {
  bytes.writeUInt16BE(dice.word() & 0xffff, at);
  bytes.writeUInt16BE(0x0100, at + 2);
  const withOpt = dice.chance(40);
  bytes.set([0, 1, 0, 0, 0, 0, 0, withOpt ? 1 : 0], at + 4);
  let end = at + 12;
  for (const label of dice.pick(NAMES).split('.')) {
    bytes[end] = label.length;
    bytes.write(label, end + 1, 'latin1');
    end += 1 + label.length;
  }
  bytes[end] = 0;
  bytes.writeUInt16BE(dice.pick(TYPES), end + 1);
  bytes.writeUInt16BE(1, end + 3);
  end += 5;
  if (withOpt) {
    bytes.set([0, 0, 41], end);
    bytes.writeUInt16BE(dice.pick([0, 512, 1232, 4096, 65535]), end + 3);
    bytes.set([0, 0, dice.chance(50) ? 0x80 : 0, 0, 0, 0], end + 5);
    end += 11;
  }
  return end - at;
}

export function dnsQuery(draft: Draft, dice: Dice, ends: Ends): void {
  const len = putQuery(draft.bytes, 42, dice);
  draft.udp(ends, dice.between(1024, 1040), 53, len);
}

export const Dhcp = { Discover: 0, Bootp: 8, Any: 9 } as const;

/** One of the messages of a client, `what`, about `address`; `ends` of a client without an address say so. */
export function dhcpMessage(
  draft: Draft,
  dice: Dice,
  ends: Ends,
  gateway: number,
  address: number,
  what: number = Dhcp.Any,
): void {
  const client: DhcpClient = {
    xid: dice.word(),
    mac: { hi: ends.fromHi, lo: dice.chance(70) ? ends.fromLo : 0x00120000 + dice.below(400) },
    secs: dice.below(3),
    broadcast: dice.chance(30),
    clientId: dice.chance(30)
      ? Uint8Array.from({ length: dice.pick([1, 7, 255]) }, () => dice.below(3))
      : null,
    hostname: dice.chance(30) ? 'guest' : null,
    parameters: dice.chance(70) ? [1, 3, 6, 15, 26, 51, 58, 59, 119] : [],
  };
  const serverId = dice.chance(85) ? gateway : dice.word();
  const message = dhcpOf(what === Dhcp.Any ? dice.below(9) : what, client, address, serverId, dice);
  const at = draft.udp(ends, 68, 67, message.length);
  draft.bytes.set(message, at);
  if (dice.chance(8)) overload(draft.bytes, at, message.length, dice);
  if (dice.chance(8)) draft.bytes.writeInt32BE((gateway + dice.between(-2, 40)) | 0, at + 24);
}

/** Option 52 in front, and options in `file` and `sname`: RFC 2131 4.1. The message is `len` bytes at `at`. */
export function overload(bytes: Buffer, at: number, len: number, dice: Dice): void {
  const options = at + 240;
  bytes.copyWithin(options + 3, options, at + len - 3);
  bytes.set([52, dice.chance(90) ? 1 : 2, dice.pick([1, 2, 3, 3, 3, 0, 4])], options);
  bytes.set([50, 4, 10, 0, 2, 15 + dice.below(20), 255], at + 108);
  bytes.set([12, dice.pick([3, 3, 3, 80]), 97, 98, 99, 255], at + 44);
  if (dice.chance(30)) bytes.set([15, 200], at + 108);
}

function dhcpOf(what: number, client: DhcpClient, address: number, serverId: number, dice: Dice): Uint8Array {
  if (what === Dhcp.Bootp) {
    const message = buildDiscover(client, null);
    // Without option 53, which comes first.
    message.fill(0, 240, 243);
    return message;
  }
  if (what < 2) return buildDiscover(client, dice.chance(50) ? address : null);
  if (what === 2) return buildRequest(client, { requested: address, serverId });
  if (what === 3) return buildRequest(client, { requested: address });
  if (what === 4) return buildRequest(client, { ciaddr: address });
  if (what === 5) return buildDecline(client, address, serverId);
  if (what === 6) return buildRelease(client, address, serverId);
  return buildInform(client, dice.chance(80) ? address : 0);
}

export function datagram(draft: Draft, dice: Dice, ends: Ends, to: number, len: number): void {
  const at = draft.udp(ends, dice.between(1024, 1060), to, len, dice.below(65536));
  draft.bytes.fill(dice.word(), at, at + len);
}

/**
 * The packet in `draft` in fragments of about `size` bytes, each as a frame of its own to `emit`, in `draft`: some
 * twice, some not at all, some overlapping, in any order.
 */
export function fragments(draft: Draft, dice: Dice, size: number, emit: () => void): void {
  const whole = Buffer.from(draft.bytes.subarray(0, draft.len));
  const payload = whole.subarray(ETHERNET + 20);
  const step = Math.max(8, size & ~7);
  const pieces: [number, number][] = [];
  for (let at = 0; at < payload.length; at += step) pieces.push([at, Math.min(at + step, payload.length)]);
  if (dice.chance(40)) pieces.reverse();
  else if (dice.chance(50)) shuffle(pieces, dice);
  if (dice.chance(30)) pieces.splice(dice.below(pieces.length), 1);
  if (dice.chance(30)) pieces.push(dice.pick(pieces) ?? [0, 8]);
  if (dice.chance(20)) pieces.push([dice.below(payload.length + 1) & ~7, payload.length]);
  const ident = dice.below(40);
  for (const [from, to] of pieces) {
    draft.bytes.set(whole.subarray(0, ETHERNET + 20));
    draft.bytes.set(payload.subarray(from, to), ETHERNET + 20);
    draft.bytes.writeUInt16BE(20 + to - from, ETHERNET + 2);
    draft.bytes.writeUInt16BE(ident, ETHERNET + 4);
    draft.bytes.writeUInt16BE((from >>> 3) | (to < payload.length ? 0x2000 : 0), ETHERNET + 6);
    draft.len = ETHERNET + 20 + to - from;
    draft.isRebased = false;
    emit();
  }
}

function shuffle<T>(list: T[], dice: Dice): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = dice.below(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}
