// QEMU's option string for user networking, `user,net=10.0.2.0/24,hostfwd=tcp:127.0.0.1:2222-:22`, to a NetworkConfig.
// The same words, the same defaults and the same escape (a comma in a value is doubled) as QEMU's -netdev user, with
// `mtu=` of our own. One deviation: a hostfwd without a host address binds 127.0.0.1 where QEMU binds every address.

import { formatIpv4Word } from '../base/addr.ts';
import { type ForwardConfig, type NetworkConfig, parseConfig } from './config.ts';
import { ConfigError, ipv4, maskOf, show, subnet } from './config-checks.ts';

/** One `name=value` of an option string, unescaped. */
export type QemuOption = readonly [name: string, value: string];

/** What `-netdev user,...` says. */
export interface UserNet {
  readonly config: NetworkConfig;
  /** What the user should be told, a line each. */
  readonly notes: readonly string[];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What is being gathered; `config` is checked as a whole at the end. */
interface Draft {
  readonly config: Writable<NetworkConfig>;
  readonly dhcp: Writable<Exclude<NetworkConfig['dhcp'], false | undefined>>;
  readonly dnsSearch: string[];
  readonly forwards: ForwardConfig[];
  readonly notes: string[];
}

/** Names that QEMU knows and this program does not serve yet. */
const LATER: ReadonlySet<string> = new Set([
  'tftp',
  'smb',
  'smbserver',
  'guestfwd',
  'ipv6-net',
  'ipv6-prefix',
  'ipv6-prefixlen',
  'ipv6-host',
  'ipv6-dns',
]);

const READERS: Readonly<Record<string, (draft: Draft, value: string) => void>> = {
  id: () => {},
  net: readNet,
  host: (d, value) => {
    d.config.gateway = value;
  },
  dns: (d, value) => {
    d.config.dns = { address: value };
  },
  dhcpstart: (d, value) => {
    d.dhcp.first = value;
  },
  hostname: (d, value) => {
    d.dhcp.hostname = value;
  },
  domainname: (d, value) => {
    d.dhcp.domainName = value;
  },
  dnssearch: (d, value) => {
    d.dnsSearch.push(value);
  },
  'tftp-server-name': (d, value) => {
    d.dhcp.tftpServerName = value;
  },
  bootfile: (d, value) => {
    d.dhcp.bootfile = value;
  },
  restrict: (d, value) => {
    d.config.restrict = bool('restrict', value);
  },
  ipv4: (_, value) => {
    if (!bool('ipv4', value)) throw new ConfigError('ipv4', '=off is not supported');
  },
  ipv6: (_, value) => {
    if (bool('ipv6', value)) throw new ConfigError('ipv6', '=on is not supported yet');
  },
  mtu: (d, value) => {
    if (!/^\d{1,9}$/.test(value)) throw new ConfigError('mtu', `${show(value)} is not a whole number`);
    d.config.mtu = Number(value);
  },
  hostfwd: readHostfwd,
};

/** The options that --net and -netdev user understand, for help texts. */
export const userNetOptions: readonly string[] = Object.keys(READERS);

/** Where parseConfig() finds fault, in the words of the option string. */
const OPTION_OF: Readonly<Record<string, string>> = {
  subnet: 'net',
  gateway: 'host',
  'dns.address': 'dns',
  'dhcp.first': 'dhcpstart',
  'dhcp.last': 'dhcpstart',
  'dhcp.hostname': 'hostname',
  'dhcp.domainName': 'domainname',
  'dhcp.domainSearch': 'dnssearch',
  'dhcp.tftpServerName': 'tftp-server-name',
  'dhcp.bootfile': 'bootfile',
  forwards: 'hostfwd',
};

/** `user,net=...`, with or without the `user`. Throws a ConfigError that names the option. */
export function parseUserNet(text: string): UserNet {
  const options = splitOptions(text, 'type');
  const type = options.find(([name]) => name === 'type')?.[1] ?? 'user';
  if (type !== 'user') throw new ConfigError('type', `${show(type)} is not user`);
  return userNet(options.filter(([name]) => name !== 'type'));
}

/** The network that the options of a -netdev user ask for. Throws a ConfigError that names the option. */
export function userNet(options: readonly QemuOption[]): UserNet {
  const draft: Draft = { config: {}, dhcp: {}, dnsSearch: [], forwards: [], notes: [] };
  // net= first, and only the last one: the others lie in it, and its defaults give way to them.
  const net = options.filter(([name]) => name === 'net').at(-1);
  if (net !== undefined) readNet(draft, net[1]);
  for (const [name, value] of options) if (name !== 'net') read(draft, name, value);
  const { config, dhcp, dnsSearch, forwards, notes } = draft;
  if (dnsSearch.length > 0) dhcp.domainSearch = dnsSearch;
  if (Object.keys(dhcp).length > 0) config.dhcp = dhcp;
  if (forwards.length > 0) config.forwards = forwards;
  try {
    parseConfig(config);
  } catch (e) {
    throw e instanceof ConfigError ? inOptionWords(e) : e;
  }
  return { config, notes };
}

function read(draft: Draft, name: string, value: string): void {
  if (LATER.has(name)) throw new ConfigError(name, 'not supported yet');
  if (!Object.hasOwn(READERS, name)) throw new ConfigError(name, 'no such option');
  READERS[name]!(draft, value);
}

function inOptionWords(e: ConfigError): ConfigError {
  const reason = e.message.slice(e.path.length + 2);
  return new ConfigError(OPTION_OF[e.path] ?? OPTION_OF[e.path.replace(/\[.*/, '')] ?? e.path, reason);
}

/** `10.0.2.0/24`, `10.0.2.0/255.255.255.0`, or an address alone, whose class then says the mask. Host bits are cut. */
function readNet(draft: Draft, value: string): void {
  const [address = '', maskText, ...rest] = value.split('/');
  if (rest.length > 0) throw new ConfigError('net', `${show(value)} is not a prefix`);
  const word = ipv4('net', address);
  const prefix = maskText === undefined ? classPrefix(word) : prefixOf(maskText);
  const mask = prefix === 0 ? 0 : (-1 << (32 - prefix)) >>> 0;
  const first = (word & mask) >>> 0;
  draft.config.subnet = `${formatIpv4Word(first)}/${prefix}`;
  subnet('net', draft.config.subnet);
  // In a network wider than /23 QEMU's addresses are x.x.2.2, x.x.2.3 and x.x.2.15, not the network's second, third
  // and fifteenth.
  if (prefix > 22) return;
  const at = (host: number): string => formatIpv4Word((first | (host & ~mask)) >>> 0);
  draft.config.gateway = at(0x0202);
  draft.config.dns = { address: at(0x0203) };
  draft.dhcp.first = at(0x020f);
}

function prefixOf(text: string): number {
  if (!/^\d+$/.test(text)) return maskOf('net', text);
  if (Number(text) > 32) throw new ConfigError('net', `/${text} is not a prefix length`);
  return Number(text);
}

/** The mask that an address alone stands for: its class, and the private blocks whole. */
function classPrefix(address: number): number {
  const top = address >>> 24;
  if (top < 128) return 8;
  if (address >>> 20 === 0xac1) return 12;
  if (top < 192) return 16;
  if (address >>> 16 === 0xc0a8) return 16;
  if (address >>> 17 === 0xc612 >>> 1) return 15;
  return 24;
}

/** `[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`. */
function readHostfwd(draft: Draft, value: string): void {
  const parts = /^(tcp|udp|):(\[[^\]]+\]|[^:]*):(\d{1,5})-([^:]*):(\d{1,5})$/.exec(value);
  if (parts === null) {
    throw new ConfigError(
      'hostfwd',
      `${show(value)} is not [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`,
    );
  }
  const [, proto, host, hostPort, guest, guestPort] = parts;
  if (host === '') {
    draft.notes.push(
      `hostfwd=${value} binds 127.0.0.1, not every address as in QEMU; to be reached from outside, say 0.0.0.0`,
    );
  }
  draft.forwards.push({
    proto: proto === 'udp' ? 'udp' : 'tcp',
    host: host === '' ? hostPort! : `${host}:${hostPort}`,
    guest: guest === '' ? guestPort! : `${guest}:${guestPort}`,
  });
}

function bool(name: string, value: string): boolean {
  if (/^(on|yes|true|y)$/.test(value)) return true;
  if (/^(off|no|false|n)$/.test(value)) return false;
  throw new ConfigError(name, `${show(value)} is neither on nor off`);
}

/**
 * An option string to its parts. The first part may be a value alone, which then is that of `implied`. A later one
 * without a value is a switch: `restrict` is restrict=on, `norestrict` restrict=off.
 */
export function splitOptions(text: string, implied: string): QemuOption[] {
  const parts: QemuOption[] = [];
  for (const [i, part] of splitAtCommas(text).entries()) {
    const equals = part.indexOf('=');
    if (equals >= 0) parts.push([part.slice(0, equals), part.slice(equals + 1)]);
    else if (i === 0) parts.push([implied, part]);
    else if (part.startsWith('no')) parts.push([part.slice(2), 'off']);
    else parts.push([part, 'on']);
  }
  return parts;
}

function splitAtCommas(text: string): string[] {
  const parts = text.match(/(?:[^,]|,,)+/g) ?? [];
  return parts.map((part) => part.replaceAll(',,', ','));
}

/** The inverse: `name=value,...`, commas doubled. A part named `implied` is written as its value alone. */
export function joinOptions(options: readonly QemuOption[], implied: string): string {
  return options
    .map(([name, value]) => (name === implied ? '' : `${name}=`) + value.replaceAll(',', ',,'))
    .join(',');
}
