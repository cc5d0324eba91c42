// What DHCP clients send, as frames.

import { pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import { CLIENT_PORT, SERVER_PORT } from '../../src/wire/dhcp.ts';
import { buildDiscover, buildRequest, type DhcpClient } from '../../src/wire/dhcp-client.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as udp from '../../src/wire/udp.ts';
import type { BenchEngine } from '../engine.ts';
import { GATEWAY, GUEST_MAC_HI, L4 } from '../guest.ts';

/** RFC 2131 4.1: a client without an address sends from 0.0.0.0 to everybody. */
const NOBODY = 0;
const EVERYBODY = -1;
/** What Linux's clients ask for: mask, router, name servers, host name, domain, MTU, lease times. */
const PARAMETERS = [1, 3, 6, 12, 15, 26, 51, 54, 58, 59, 119];

export function client(n: number): DhcpClient {
  return {
    xid: 0x1000 + n,
    mac: { hi: GUEST_MAC_HI, lo: n },
    secs: 0,
    broadcast: false,
    clientId: null,
    hostname: 'guest',
    parameters: PARAMETERS,
  };
}

export function discover(n: number): Uint8Array {
  return buildDiscover(client(n), null);
}

/** A request for `address` behind an offer of it. */
export function request(n: number, address: number): Uint8Array {
  return buildRequest(client(n), { requested: address, serverId: GATEWAY });
}

/** Writes `message` of client `n` as a frame at `at`; the frame's length. */
export function writeFrame(engine: BenchEngine, at: number, n: number, message: Uint8Array): number {
  const { memory } = engine.network.arena;
  const v = memory.view;
  const l4 = at + L4;
  const udpLen = udp.HEADER_LEN + message.length;
  ethernet.write(v, at, 0xffff, EVERYBODY, GUEST_MAC_HI, n, ethernet.EtherType.Ipv4);
  ipv4.write(v, at + ethernet.HEADER_LEN, udpLen, 1, ipv4.Protocol.Udp, NOBODY, EVERYBODY);
  memory.bytes.set(message, l4 + udp.HEADER_LEN);
  const pseudo = pseudoSumIpv4(NOBODY, EVERYBODY, ipv4.Protocol.Udp);
  const sum = pseudo + memory.sum(l4 + udp.HEADER_LEN, message.length);
  udp.write(v, l4, CLIENT_PORT, SERVER_PORT, message.length, sum);
  return L4 + udpLen;
}
