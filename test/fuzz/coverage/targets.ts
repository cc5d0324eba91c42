// What the corpus is fed to: a network for scripts, and for single inputs the parsers and builders that no frame of a
// guest leads to. Each takes any bytes and throws where something does not hold.

import { Memory } from '../../../src/base/memory.ts';
import { describeFrame } from '../../../src/wire/describe.ts';
import * as dhcp from '../../../src/wire/dhcp.ts';
import * as client from '../../../src/wire/dhcp-client.ts';
import { domainSearch, number, Option, type OptionValue, text } from '../../../src/wire/dhcp-options.ts';
import * as dns from '../../../src/wire/dns.ts';
import { nameBytes, nameList } from '../../../src/wire/dns-name.ts';
import { layersOf } from '../../../src/wire/layers.ts';

export { Campaign, play } from '../campaign.ts';
export { Dice } from '../dice.ts';
export { Fuzzer } from '../fuzzer.ts';
export { OpLog } from '../ops.ts';
export { World } from '../world.ts';
export { WORLDS, worldOf } from '../worlds.ts';

/** By name: takes any bytes. */
export const BYTE_TARGETS = { frame, message, question, name, fromClient } as const;
export type ByteTarget = keyof typeof BYTE_TARGETS;

/** The bytes in a memory that ends where they do: a read beyond throws. */
function memoryOf(bytes: Uint8Array): Memory {
  const own = Uint8Array.from(bytes);
  return new Memory(own, null);
}

/** A frame as text and as a list of layers; the first byte says how much longer it was before a capture cut it off. */
function frame(bytes: Uint8Array): void {
  const m = memoryOf(bytes.subarray(1));
  const line = describeFrame(m, 0, m.bytes.length, m.bytes.length + (bytes[0] ?? 0));
  if (/[^\x20-\x7e]/.test(line)) throw new Error(`not one line of printable ASCII: ${JSON.stringify(line)}`);
  if (layersOf(m, 0, m.bytes.length).length === 0) throw new Error('a frame without a layer');
}

/** DHCP as a client reads it, and written again. */
function message(bytes: Uint8Array): void {
  const { view } = memoryOf(bytes);
  const read = dhcp.parse(view, 0, view.byteLength);
  if (read === null) return;
  client.readParameters(read);
  const list: OptionValue[] = [...read.options].filter(([code]) => code !== Option.Overload);
  const written = dhcp.build(read, list, 2000);
  const again = dhcp.parse(new DataView(written.buffer), 0, written.length);
  if (again?.xid !== read.xid || again.type !== read.type)
    throw new Error('not the message that was written');
}

/** DNS: the first byte says where the query ends and the answer begins. */
function question(bytes: Uint8Array): void {
  const cut = Math.min(bytes[0] ?? 0, Math.max(0, bytes.length - 1));
  const q = memoryOf(bytes.subarray(1, 1 + cut)).view;
  const a = memoryOf(bytes.subarray(1 + cut)).view;
  const isRequest = dns.isRequest(q, 0, q.byteLength);
  if (isRequest) {
    const code = dns.checkQuery(q, 0, q.byteLength);
    dns.failure(q, 0, q.byteLength, code);
    dns.udpSize(q, 0, q.byteLength);
    dns.setId(q, 0, dns.id(q, 0));
  }
  const queryId = a.byteLength >= 2 ? dns.id(a, 0) : 0;
  if (!dns.answers(a, 0, a.byteLength, queryId, q, 0, q.byteLength)) return;
  dns.rcode(a, 0);
  dns.isTruncated(a, 0);
  dns.truncated(a, 0, q, 0, q.byteLength);
}

/** A name as text, and as bytes. */
function name(bytes: Uint8Array): void {
  const spelled = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  const wire = nameBytes(spelled);
  if (wire !== null && wire.length > 255) throw new Error('a name of more than 255 bytes');
  domainSearch([spelled]);
  text(spelled);
  const { view } = memoryOf(bytes);
  nameList(view, 0, view.byteLength);
}

/** What a client sends, by what the bytes say of it; it is read back. */
function fromClient(bytes: Uint8Array): void {
  const at = (i: number): number => bytes[i] ?? 0;
  const who: client.DhcpClient = {
    xid: at(0),
    mac: { hi: 0x5254, lo: at(1) },
    secs: at(2),
    broadcast: at(3) > 127,
    clientId: at(4) > 127 ? bytes.subarray(8) : null,
    hostname: at(5) > 127 ? 'guest' : null,
    parameters: at(6) > 127 ? [1, 3, 6] : [],
  };
  const [address, server] = [0x0a00020f, 0x0a000202];
  const all = [
    client.buildDiscover(who, at(7) > 127 ? address : null),
    client.buildRequest(who, { requested: address, serverId: server }),
    client.buildRequest(who, { ciaddr: address }),
    client.buildDecline(who, address, server),
    client.buildRelease(who, address, server),
    client.buildInform(who, address),
  ];
  for (const sent of all) {
    const read = dhcp.parse(new DataView(sent.buffer, sent.byteOffset), 0, sent.length);
    if (read?.xid !== who.xid) throw new Error('a message that cannot be read');
  }
  number(2, at(0));
}
