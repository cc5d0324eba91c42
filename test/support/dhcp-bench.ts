import { expect } from 'vitest';
import { formatIpv4Word, parseIpv4Word } from '../../src/base/addr.ts';
import type { Drop } from '../../src/base/drop.ts';
import { type NetworkConfig, parseConfig } from '../../src/network/config.ts';
import { DhcpServer } from '../../src/services/dhcp-server.ts';
import type { Peer } from '../../src/services/service.ts';
import { build, type DhcpMessage, MessageType, parse } from '../../src/wire/dhcp.ts';
import { buildDiscover, buildRequest, type DhcpClient } from '../../src/wire/dhcp-client.ts';
import { number, Option, type OptionValue } from '../../src/wire/dhcp-options.ts';
import { FakePorts, peer } from './fake-ports.ts';

export const word = (address: string): number => parseIpv4Word(address)!;
export const GATEWAY = word('10.0.2.2');
export const DAY = 86_400_000;

export interface Answer {
  readonly message: DhcpMessage;
  readonly bytes: Uint8Array;
  readonly to: Peer;
}

/** A server and the messages of clients, one `mac()` each. */
export class DhcpBench {
  readonly ports = new FakePorts();
  readonly events: string[] = [];
  readonly server: DhcpServer;

  constructor(config: NetworkConfig = {}) {
    const settings = parseConfig(config);
    this.server = new DhcpServer(settings, settings.dhcp!, (mac, address) => {
      this.events.push(`${mac} ${address}`);
    });
    this.server.start(this.ports);
  }

  /** The verdict; what was answered is in `ports.sent`. */
  send(bytes: Uint8Array, from: Peer = peer('0.0.0.0', 68)): Drop {
    return this.ports.deliver('10.0.2.2', 67, bytes, from);
  }

  /** The one answer to a message, or null. */
  ask(bytes: Uint8Array, from?: Peer): Answer | null {
    this.ports.sent.length = 0;
    this.send(bytes, from);
    expect(this.ports.sent.length).toBeLessThanOrEqual(1);
    const sent = this.ports.sent[0];
    if (sent === undefined) return null;
    const v = new DataView(sent.payload.buffer);
    return { message: parse(v, 0, sent.payload.length)!, bytes: sent.payload, to: sent.to };
  }

  offer(c: DhcpClient, wanted: string | null = null, from?: Peer): string | null {
    const answer = this.ask(buildDiscover(c, wanted === null ? null : word(wanted)), from);
    return answer === null ? null : formatIpv4Word(answer.message.yiaddr);
  }

  /** SELECTING; 'NAK', the address, or null for silence. */
  select(c: DhcpClient, address: string, from?: Peer): string | null {
    return outcome(this.ask(buildRequest(c, { requested: word(address), serverId: GATEWAY }), from));
  }

  reboot(c: DhcpClient, address: string): string | null {
    return outcome(this.ask(buildRequest(c, { requested: word(address) })));
  }

  renew(c: DhcpClient, address: string): string | null {
    return outcome(this.ask(buildRequest(c, { ciaddr: word(address) })));
  }

  /** DISCOVER and REQUEST. */
  lease(c: DhcpClient, from?: Peer): string | null {
    const address = this.offer(c, null, from);
    return address === null ? null : this.select(c, address, from);
  }

  get table(): string[] {
    return this.server.leases(this.ports.clock.now()).map((row) => row.address);
  }
}

function outcome(answer: Answer | null): string | null {
  if (answer === null) return null;
  return answer.message.type === MessageType.Nak ? 'NAK' : formatIpv4Word(answer.message.yiaddr);
}

export function mac(n: number): DhcpClient {
  return {
    xid: 0x1000 + n,
    mac: { hi: 0x5254, lo: n },
    secs: 0,
    broadcast: false,
    clientId: null,
    hostname: null,
    parameters: [],
  };
}

export function withId(client: DhcpClient, id: number[]): DhcpClient {
  return { ...client, clientId: Uint8Array.from(id) };
}

/** The client's own message with changed fields and more options. */
export function raw(type: number, fields: object, more: readonly OptionValue[] = []): Uint8Array {
  const base = {
    op: 1,
    xid: 9,
    secs: 0,
    flags: 0,
    ciaddr: 0,
    yiaddr: 0,
    siaddr: 0,
    giaddr: 0,
    sname: '',
    file: '',
  };
  const list: OptionValue[] = type === MessageType.None ? [] : [[Option.MessageType, number(1, type)]];
  return build({ ...base, chaddr: mac(1).mac, ...fields }, [...list, ...more], 548);
}
