// What a DHCP client sends and what it reads out of the answers. RFC 2131 4.4, table 5.

import type { Mac } from '../base/addr.ts';
import { BROADCAST, build, type DhcpMessage, MessageType, MIN_MAX_MESSAGE_SIZE, Op } from './dhcp.ts';
import {
  number,
  Option,
  type OptionValue,
  readDomainSearch,
  readNumber,
  readText,
  readWord,
  readWords,
  text,
} from './dhcp-options.ts';

/** What stays the same over one exchange of a client. */
export interface DhcpClient {
  readonly xid: number;
  readonly mac: Mac;
  /** Seconds since it began, 0..65535. */
  readonly secs: number;
  /** Asks for answers by broadcast: for a client that cannot receive unicast yet. */
  readonly broadcast: boolean;
  /** Option 61; null: the server goes by the MAC. */
  readonly clientId: Uint8Array | null;
  /** Option 12. */
  readonly hostname: string | null;
  /** Option 55, the codes it wants, in the order it wants them. */
  readonly parameters: readonly number[];
}

/** What an OFFER or ACK says; null or empty for what it does not. Addresses are words, times seconds. */
export interface DhcpParameters {
  readonly address: number;
  readonly serverId: number | null;
  readonly subnetMask: number | null;
  readonly routers: readonly number[];
  readonly dns: readonly number[];
  readonly mtu: number | null;
  readonly leaseSeconds: number | null;
  readonly renewalSeconds: number | null;
  readonly rebindingSeconds: number | null;
  readonly hostname: string | null;
  readonly domainName: string | null;
  readonly domainSearch: readonly string[];
  readonly tftpServerName: string | null;
  readonly bootfile: string | null;
}

/** `requested`: the address it would like, or null. */
export function buildDiscover(client: DhcpClient, requested: number | null): Uint8Array {
  return send(client, MessageType.Discover, 0, [
    ...addressOption(Option.RequestedAddress, requested),
    ...wishes(client),
  ]);
}

/**
 * RFC 2131 4.3.2 tells the client's state from what is set. SELECTING: `requested` and `serverId`; INIT-REBOOT:
 * `requested`; RENEWING and REBINDING: `ciaddr`.
 */
export function buildRequest(
  client: DhcpClient,
  state: { readonly ciaddr?: number; readonly requested?: number; readonly serverId?: number },
): Uint8Array {
  return send(client, MessageType.Request, state.ciaddr ?? 0, [
    ...addressOption(Option.ServerId, state.serverId ?? null),
    ...addressOption(Option.RequestedAddress, state.requested ?? null),
    ...wishes(client),
  ]);
}

export function buildDecline(client: DhcpClient, address: number, serverId: number): Uint8Array {
  return send(client, MessageType.Decline, 0, [
    ...addressOption(Option.ServerId, serverId),
    ...addressOption(Option.RequestedAddress, address),
  ]);
}

export function buildRelease(client: DhcpClient, ciaddr: number, serverId: number): Uint8Array {
  return send(client, MessageType.Release, ciaddr, addressOption(Option.ServerId, serverId));
}

export function buildInform(client: DhcpClient, ciaddr: number): Uint8Array {
  return send(client, MessageType.Inform, ciaddr, wishes(client));
}

/** The parameters of an OFFER, an ACK or a BOOTP reply. */
export function readParameters(message: DhcpMessage): DhcpParameters {
  const { options } = message;
  return {
    address: message.yiaddr,
    serverId: readWord(options, Option.ServerId),
    subnetMask: readWord(options, Option.SubnetMask),
    routers: readWords(options, Option.Router),
    dns: readWords(options, Option.Dns),
    mtu: readNumber(options, Option.Mtu, 2),
    leaseSeconds: readNumber(options, Option.LeaseTime, 4),
    renewalSeconds: readNumber(options, Option.RenewalTime, 4),
    rebindingSeconds: readNumber(options, Option.RebindingTime, 4),
    hostname: readText(options, Option.HostName),
    domainName: readText(options, Option.DomainName),
    domainSearch: readDomainSearch(options),
    tftpServerName: readText(options, Option.TftpServerName),
    bootfile: readText(options, Option.Bootfile),
  };
}

function wishes(client: DhcpClient): OptionValue[] {
  const list: OptionValue[] = [[Option.MaxMessageSize, number(2, 1500)]];
  if (client.hostname !== null) list.push([Option.HostName, text(client.hostname)]);
  if (client.parameters.length > 0) list.push([Option.ParameterList, Uint8Array.from(client.parameters)]);
  return list;
}

function addressOption(code: number, word: number | null): OptionValue[] {
  return word === null ? [] : [[code, number(4, word)]];
}

function send(client: DhcpClient, type: number, ciaddr: number, rest: readonly OptionValue[]): Uint8Array {
  const list: OptionValue[] = [[Option.MessageType, number(1, type)]];
  if (client.clientId !== null) list.push([Option.ClientId, client.clientId]);
  list.push(...rest);
  const fields = {
    op: Op.Request,
    xid: client.xid,
    secs: client.secs,
    flags: client.broadcast ? BROADCAST : 0,
    ciaddr,
    yiaddr: 0,
    siaddr: 0,
    giaddr: 0,
    chaddr: client.mac,
    sname: '',
    file: '',
  };
  return build(fields, list, MIN_MAX_MESSAGE_SIZE - 28);
}
