// `usernet relay`: the sockets of this computer for engines in web pages, until a signal says that it is enough.

import { readFileSync } from 'node:fs';
import { ConfigError } from '../network/config.ts';
import { reasonOf } from '../node/capture-place.ts';
import { parseListenPlace } from '../node/link-spec.ts';
import type { Relay, RelayOptions, RelayStats } from '../node/relay-server.ts';
import { bracketed, DENIED_TO_PAGES, saidRanges } from '../node/websocket-spec.ts';
import { type Credentials, credentialsProblem } from '../relay/credentials.ts';
import { type Args, type Command, UsageError } from './args.ts';
import { keptLine, pagesText } from './banner.ts';
import { STATS_OPTION, statsFormat } from './options.ts';
import { print, type StatsFormat, say, version } from './output.ts';
import { within } from './session.ts';
import { onSignals } from './signals.ts';

/** How long streams may take to close. */
const CLOSE_MS = 600;

export const relay: Command = {
  name: 'relay',
  summary: 'the sockets of this host, for engines in web pages',
  usage: [
    'relay [--listen [HOST:]PORT] [--token TEXT] [--credentials FILE]',
    '      [--origin ORIGIN ...] [--host NAME ...] [--udp] [--host-loopback]',
    '      [--deny RANGE ...] [--clients NUMBER] [--stats text|json]',
  ],
  options: [
    {
      name: 'listen',
      value: '[HOST:]PORT',
      help: 'Without HOST 127.0.0.1; without it all, a port that the system chooses.',
    },
    {
      name: 'token',
      value: 'TEXT',
      help:
        'What the URL has to have, 16 to 128 letters, digits, - and _. Without it one is made, unless there is a ' +
        'password; none: none is needed.',
    },
    {
      name: 'credentials',
      value: 'FILE',
      help: "The first line of FILE is USER:PASSWORD, which clients have to say. Older clients, of the protocol's version 1, cannot.",
    },
    {
      name: 'origin',
      value: 'ORIGIN',
      many: true,
      help:
        'Pages of that server may connect: https://example.org, or * for any. Without it those of servers on this host, ' +
        'where there is a token.',
    },
    { name: 'host', value: 'NAME', many: true, help: 'A name that this server is known by.' },
    { name: 'udp', help: 'Datagrams too, to clients that ask for them; without it TCP alone.' },
    { name: 'host-loopback', help: 'Clients reach the loopback of this host: the 10.0.2.2 of their guests.' },
    {
      name: 'deny',
      value: 'RANGE',
      many: true,
      help:
        'What clients do not reach: prefixes, addresses, private, cgnat, link-local, metadata, loopback; or none. Without ' +
        'it private, cgnat, link-local and metadata; the last two are never reached.',
    },
    { name: 'clients', value: 'NUMBER', help: 'No more at a time. Without it 64.' },
    STATS_OPTION,
  ],
  notes: [
    'It speaks the wisp protocol, version 2 or 1, over a WebSocket. A name is resolved once, each of its addresses is judged, ' +
      'and that address is the one connected to.',
    'On SIGINT, SIGTERM and SIGHUP streams are closed and the statistics are printed on standard output; a second signal ' +
      'ends the program at once. SIGUSR1 prints the statistics and goes on.',
  ],
  run: runRelay,
};

async function runRelay(args: Args): Promise<number> {
  const options = relayOptions(args);
  const format = statsFormat(args) ?? 'text';
  let ended = (): void => {};
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  // With `ws` in it, which the other commands start without.
  const { openRelay } = await import('../node/relay-server.ts');
  const opened = await openRelay({ ...options, onRefused: say }).catch((error: unknown) => {
    if (error instanceof RangeError) throw new UsageError(`--${error.message}`);
    throw error;
  });
  onSignals({ onEnd: ended, onStats: () => printRelay(format, opened.stats()) });
  for (const line of relayLines(opened, options)) say(line);
  say(`version ${version}, process ${process.pid}, ready`);
  await end;
  await within(CLOSE_MS, opened.close());
  // For what took longer.
  setTimeout(() => process.exit(), 100).unref();
  printRelay(format, opened.stats());
  return 0;
}

/** What the command line says. Throws a UsageError. */
export function relayOptions(args: Args): RelayOptions {
  const listen = args.one('listen');
  const token = args.one('token');
  const file = args.one('credentials');
  const clients = args.one('clients');
  const [origins, hosts, deny] = [args.all('origin'), args.all('host'), args.all('deny')];
  return {
    ...(listen === null ? {} : listenOption(listen)),
    ...(token === null ? {} : { token: token === 'none' ? null : token }),
    ...(file === null ? {} : { credentials: readCredentials(file) }),
    ...(origins.length > 0 ? { origins } : {}),
    ...(hosts.length > 0 ? { hosts } : {}),
    ...(deny.length > 0 ? { deny: saidDeny(deny) } : {}),
    ...(clients === null ? {} : { clients: /^\d{1,4}$/.test(clients) ? Number(clients) : Number.NaN }),
    ...{ udp: args.has('udp'), hostLoopback: args.has('host-loopback') },
  };
}

function listenOption(text: string): { host: string; port: number } {
  try {
    return parseListenPlace(text);
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`--listen ${error.message}`);
    throw error;
  }
}

function saidDeny(deny: readonly string[]): readonly string[] {
  try {
    return saidRanges(deny);
  } catch (error) {
    throw new UsageError(`--${(error as Error).message}`);
  }
}

function readCredentials(file: string): Credentials {
  let line: string;
  try {
    line = readFileSync(file, 'utf8').split(/\r?\n/, 1)[0]!;
  } catch (error) {
    throw new UsageError(`--credentials: ${file}: ${reasonOf(error)}`);
  }
  const colon = line.indexOf(':');
  if (colon < 0) throw new UsageError(`--credentials: ${file}: its first line is not USER:PASSWORD`);
  const said = { username: line.slice(0, colon), password: line.slice(colon + 1) };
  const problem = credentialsProblem(said);
  if (problem !== null) throw new UsageError(`--credentials: ${file}: ${problem}`);
  return said;
}

/** What it says at the start. */
export function relayLines({ url, port }: Relay, options: RelayOptions): string[] {
  const { host = '127.0.0.1', credentials, hostLoopback, deny = DENIED_TO_PAGES, udp, origins } = options;
  const token = options.token === undefined && credentials === undefined ? '' : (options.token ?? null);
  const isOpen = token === null && credentials === undefined;
  return [
    `serving engines in pages on ${bracketed(host)}:${port}, ${udp ? 'TCP and UDP' : 'TCP alone'}; the URL of this relay:`,
    `  ${url}`,
    ...(isOpen ? ['  anyone who can connect there is a client: no token is needed'] : []),
    ...(credentials === undefined ? [] : [`  clients say the name ${credentials.username} and its password`]),
    `  pages that may connect: ${pagesText({ token, ...(origins === undefined ? {} : { origins }) })}`,
    keptLine({ hostLoopback: hostLoopback === true, deny }),
  ];
}

function printRelay(format: StatsFormat, stats: RelayStats): void {
  print(format === 'json' ? `${JSON.stringify(stats)}\n` : relayText(stats));
}

/** A line for each figure that is not zero. */
export function relayText({ refused, ...figures }: RelayStats): string {
  const reasons = Object.entries(refused).map(
    ([reason, count]) => [`turned away, ${reason}`, count] as const,
  );
  const said = [
    ...Object.entries(figures).map(([name, count]) => [wordsOf(name), count] as const),
    ...reasons,
  ];
  const lines = said.filter(([, count]) => count > 0).map(([name, count]) => `  ${name}: ${count}\n`);
  return lines.length === 0 ? 'relay: nobody was here\n' : `relay:\n${lines.join('')}`;
}

/** `bytesToHost`: "bytes to host". */
function wordsOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
