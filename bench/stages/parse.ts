// Headers read where they lie, as for each frame, and beside it what makes objects of them: DHCP messages, which are rare,
// and the layers of `usernet show`.

import { Drop } from '../../src/base/drop.ts';
import { Packet } from '../../src/ip/packet.ts';
import { Segment } from '../../src/tcp/segment.ts';
import { pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import * as dhcp from '../../src/wire/dhcp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { Protocol } from '../../src/wire/ipv4.ts';
import { layersOf } from '../../src/wire/layers.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as options from '../../src/wire/tcp-options.ts';
import * as udp from '../../src/wire/udp.ts';
import { type BenchEngine, benchEngine, type Kernel, takeBlock } from '../engine.ts';
import { BenchConnection, BenchGuest, GATEWAY, L4 } from '../guest.ts';
import type { Case, Stage } from '../stage.ts';
import { discover } from './dhcp-frames.ts';

/** Of one call. What is called takes microseconds at most, so that few calls are interrupted. */
const OPS = 64;
const OBJECTS = 4;
const BLOCK = 2048;

export async function parse(kernel: Kernel): Promise<Stage> {
  const engine = benchEngine(1500, kernel);
  const guest = new BenchGuest(engine);
  const connection = await BenchConnection.open(guest, 40000);
  const tcpFrame = (payload: number): Frame => {
    const at = takeBlock(engine, BLOCK);
    return { at, len: connection.write(at, payload) };
  };
  const udpFrame = (payload: number): Frame => {
    const at = takeBlock(engine, BLOCK);
    return { at, len: guest.writeUdp(at, 5000, 7, payload) };
  };
  const pseudo = (proto: number): number => pseudoSumIpv4(guest.address, GATEWAY, proto);
  const full = tcpFrame(1460);
  return {
    cases: [
      ethernetAndIp(engine, full),
      tcpHeader(engine, 'TCP with its checksum, 0 B', tcpFrame(0), pseudo(Protocol.Tcp)),
      tcpHeader(engine, 'TCP with its checksum, 1460 B', full, pseudo(Protocol.Tcp)),
      tcpOptions(engine),
      udpHeader(engine, 'UDP with its checksum, 18 B', udpFrame(18), pseudo(Protocol.Udp)),
      udpHeader(engine, 'UDP with its checksum, 1472 B', udpFrame(1472), pseudo(Protocol.Udp)),
      dhcpMessage(engine),
      layers(engine, full),
    ],
  };
}

interface Frame {
  readonly at: number;
  readonly len: number;
}

/** `ops` times `once`, which says what it found. */
function repeated(name: string, once: () => Drop, ops = OPS): Case {
  const call = (): void => {
    for (let i = 0; i < ops; i++) {
      const drop = once();
      if (drop !== Drop.None) throw new Error(`${name}: dropped ${drop}`);
    }
  };
  return { name, ops, bytes: 0, call };
}

function ethernetAndIp({ network }: BenchEngine, { at, len }: Frame): Case {
  const { memory } = network.arena;
  const v = memory.view;
  const p = new Packet();
  return repeated('Ethernet and IPv4', () => {
    if (ethernet.etherType(v, at) !== ethernet.EtherType.Ipv4) return Drop.EthernetUnknownType;
    p.macHi = ethernet.srcHi(v, at);
    p.macLo = ethernet.srcLo(v, at);
    p.ip = at + ethernet.HEADER_LEN;
    p.end = at + len;
    return p.readIpv4(memory);
  });
}

function tcpHeader({ network }: BenchEngine, name: string, { at, len }: Frame, pseudo: number): Case {
  const { memory } = network.arena;
  const segment = new Segment();
  return repeated(name, () => {
    const bad = tcp.check(memory, at + L4, len - L4, pseudo);
    if (bad !== Drop.None) return bad;
    segment.read(memory, at + L4, at + len);
    return Drop.None;
  });
}

/** Those of a SYN of Linux. */
function tcpOptions(engine: BenchEngine): Case {
  const { view } = engine.network.arena.memory;
  const at = takeBlock(engine, BLOCK);
  let end = options.writeMss(view, at, 1460);
  end = options.writeSackPermitted(view, end);
  end = options.writeTimestamps(view, end, 1, 0);
  end = options.writeWindowScale(view, end, 7);
  const read = new options.TcpOptions();
  return repeated('TCP options of a SYN', () => {
    read.parse(view, at, end);
    return read.windShift === 7 ? Drop.None : Drop.TcpBadOffset;
  });
}

function udpHeader({ network }: BenchEngine, name: string, { at, len }: Frame, pseudo: number): Case {
  const { memory } = network.arena;
  return repeated(name, () => udp.check(memory, at + L4, len - L4, pseudo));
}

function dhcpMessage(engine: BenchEngine): Case {
  const { memory } = engine.network.arena;
  const at = takeBlock(engine, BLOCK);
  const message = discover(1);
  memory.bytes.set(message, at);
  const once = (): Drop =>
    dhcp.parse(memory.view, at, message.length) === null ? Drop.DhcpMalformed : Drop.None;
  return repeated('DHCP message as an object', once, OBJECTS);
}

function layers({ network }: BenchEngine, { at, len }: Frame): Case {
  const { memory } = network.arena;
  const once = (): Drop => (layersOf(memory, at, len).length === 3 ? Drop.None : Drop.TcpBadOffset);
  return repeated('layers of a TCP frame as objects', once, OBJECTS);
}
