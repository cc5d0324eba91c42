// The options that several commands have, and what they mean.

import type { NetworkConfig } from '../network/config.ts';
import { ConfigError, parseConfig } from '../network/config.ts';
import { parseUserNet, type QemuOption, splitOptions } from '../network/qemu-options.ts';
import { type Args, type OptionSpec, UsageError } from './args.ts';
import type { StatsFormat } from './output.ts';

export const NET_OPTION: OptionSpec = {
  name: 'net',
  value: "'user,...'",
  help:
    "The network, in the words of QEMU's -netdev user: net=10.0.2.0/24, host=10.0.2.2, dns=10.0.2.3, " +
    'dhcpstart=10.0.2.15, hostname=NAME, domainname=DOMAIN, dnssearch=DOMAIN (again for more), restrict=on, ' +
    'tftp-server-name=NAME, bootfile=FILE, hostfwd=tcp:127.0.0.1:2222-:22 (again for more), ipv4=on, ipv6=off, id=ID; ' +
    'and mtu=BYTES, 68 to 65521. A comma in a value is doubled. hostfwd without a host address binds 127.0.0.1.',
};

const PCAP_OPTIONS =
  'Options follow behind commas; a comma in FILE or in a value is doubled. format=pcap or format=pcapng: without it the ' +
  'ending says, .pcapng or another; pcapng also has the names of links, directions, and of a frame that was dropped ' +
  'the reason as a comment. snaplen=BYTES: keep no more of each frame. precision=nano instead of micro. link=NAME ' +
  '(again for more): only frames of this link, such as qemu0; one between two guests is there twice, from the one and ' +
  "to the other. filter=EXPRESSION: only frames that match, in tcpdump's words, such as filter='tcp port 80'. " +
  'size=BYTES, or 100K, 10M, 1G: no file grows longer; there recording ends, or with files=NUMBER (2 to 1000) goes on ' +
  'in FILE with .1, .2 and so on before its ending, then in FILE again: a ring of so many, each a whole capture.';

export const PCAP_OPTION: OptionSpec = {
  name: 'pcap',
  value: 'FILE',
  many: true,
  help: `Write the frames of every link to FILE, which only its owner may read, for tcpdump and Wireshark. ${PCAP_OPTIONS}`,
};

export const STATS_OPTION: OptionSpec = {
  name: 'stats',
  value: 'text|json',
  choices: ['text', 'json'],
  help: 'How statistics are printed: for people, or one line of JSON for each network.',
};

export const LINK_OPTION: OptionSpec = {
  name: 'link',
  value: 'LINK',
  many: true,
  help:
    'Where guests are. unix:PATH or tcp:HOST:PORT, where this program listens for any number of guests; tcp:PORT is on ' +
    '127.0.0.1. With ,server=off it connects to a guest that listens, and with ,reconnect=SECONDS does so again when ' +
    'the connection ends. The socket of unix:PATH is for its owner only. A comma in PATH is doubled. ' +
    'ws:HOST:PORT, or ws:PORT on 127.0.0.1, is a WebSocket for emulators in pages (v86, jor1k, JSLinux, ' +
    'container2wasm). Its URL, which is printed, has a token: token=TEXT is one of your own, token=none asks for ' +
    'none. origin=https://example.org (again for more, * for any): pages of that server may connect, without it those ' +
    'of servers on this host, and with token=none no page. host=NAME: a name that this server is known by. ' +
    'format=frame or format=length-prefixed, without it as the client asks. clients=64: no more at a time. Each has a ' +
    'network of its own, with shared one that they share; it is never that of other links. They reach neither the ' +
    'loopback of this host, unless host-loopback=on, nor what deny= lists (again for more; prefixes, private, cgnat, ' +
    'link-local, metadata, loopback; none): private, cgnat, link-local and metadata. tap:NAME is ' +
    'a TAP device of Linux: needs the package koffi, and root or a device made for this user; it gets the ' +
    "network's MTU, and a network namespace that it is moved into is the guest. A link is bad on " +
    'purpose, in both directions, with any of loss=1%, delay=20ms, jitter=5ms, reorder=2%, duplicate=1%, corrupt=0.1%, ' +
    'rate=10mbit, queue=8 (frames that wait for the rate) and seed=7 (the same seed, the same faults). Frames keep their ' +
    'order whatever their jitter, so on a busy link the mean is above delay. delay and jitter of less than 5ms, and ' +
    'rate, hold to the microsecond, for which a CPU is kept busy; longer ones are a millisecond or two late.',
};

export const RESOLVER_OPTION: OptionSpec = {
  name: 'resolver',
  value: 'ADDRESS[:PORT]',
  many: true,
  help: "A name server to relay the guests' queries to, instead of those of this host.",
};

export interface NetOption {
  /** As they were given. */
  readonly base: readonly QemuOption[];
  readonly config: NetworkConfig;
  readonly notes: readonly string[];
}

/** --net, checked. Throws a UsageError. */
export function netOption(args: Args): NetOption {
  const text = args.one('net') ?? 'user';
  try {
    const { config, notes } = parseUserNet(text);
    return { base: splitOptions(text, 'type').filter(([name]) => name !== 'type'), config, notes };
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`--net: ${error.message}`);
    throw error;
  }
}

/** `config` with what --resolver says. Throws a UsageError. */
export function withResolvers(config: NetworkConfig, args: Args): NetworkConfig {
  const resolvers = args.all('resolver');
  if (resolvers.length === 0) return config;
  if (config.dns === false) throw new UsageError('--resolver: this network has no name service');
  const said = { ...config, dns: { ...config.dns, resolvers } };
  try {
    parseConfig(said);
  } catch (error) {
    if (!(error instanceof ConfigError) || !error.path.startsWith('dns.resolvers')) throw error;
    throw new UsageError(`--resolver${error.message.slice(error.path.length)}`);
  }
  return said;
}

/** --stats, or null when it is not there. */
export function statsFormat(args: Args): StatsFormat | null {
  const said = args.one('stats');
  return said === 'text' || said === 'json' ? said : null;
}
