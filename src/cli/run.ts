// `usernet run`: serves guests on links until a signal says that it is enough, or no guest can come any more.

import type { Link } from '../link/link.ts';
import { ConfigError, parseConfig } from '../network/config.ts';
import type { NetworkEvents } from '../network/events.ts';
import { type LinkSpec, parseLinkSpec } from '../node/link-spec.ts';
import { LinkNames, openQemuPort, type QemuPort } from '../node/qemu-port.ts';
import { type Args, type Command, UsageError } from './args.ts';
import { linkLines, MAC_LINE, networkLines } from './banner.ts';
import { openCapture } from './capture-file.ts';
import { about } from './errors.ts';
import {
  LINK_OPTION,
  NET_OPTION,
  netOption,
  PCAP_OPTION,
  RESOLVER_OPTION,
  STATS_OPTION,
  statsFormat,
  withResolvers,
} from './options.ts';
import { say, version } from './output.ts';
import { Isolated, type Serving, Shared } from './serving.ts';
import { within } from './session.ts';
import { onSignals } from './signals.ts';

/** How long flows and links may take to close; the promise is a second in all. */
const CLOSE_MS = 600;

export const run: Command = {
  name: 'run',
  summary: 'serve guests on sockets, until SIGINT or SIGTERM',
  usage: [
    'run --link LINK [--link LINK ...]',
    "    [--net 'user,...'] [--isolated] [--resolver ADDRESS[:PORT] ...]",
    '    [--pcap FILE] [--stats text|json]',
  ],
  options: [
    LINK_OPTION,
    NET_OPTION,
    {
      name: 'isolated',
      help:
        'Each guest is alone on a network of its own, as with QEMU itself: every first lease is 10.0.2.15. ' +
        'Without it all guests share one switch. Forwards lead to the first network that is there.',
    },
    RESOLVER_OPTION,
    PCAP_OPTION,
    STATS_OPTION,
  ],
  notes: [
    'On SIGINT, SIGTERM and SIGHUP flows and links are closed and the statistics are printed on standard output; a ' +
      'second signal ends the program at once. SIGUSR1 prints the statistics and goes on.',
  ],
  run: runCommand,
};

async function runCommand(args: Args): Promise<number> {
  const specs = args.all('link').map(parseLink);
  if (specs.length === 0) throw new UsageError('--link: at least one is needed, such as unix:/tmp/net.sock');
  const { config: said, notes } = netOption(args);
  const config = withResolvers(said, args);
  const capture = openCapture(args.one('pcap'));
  const end = new End(specs);
  const options = { format: statsFormat(args) ?? 'text', wrap: capture.wrap, events: end.events } as const;
  const serving = args.has('isolated') ? new Isolated(config, options) : new Shared(config, options);
  onSignals({ onEnd: end.now, onStats: () => serving.print() });
  const ports: QemuPort[] = [];
  try {
    await serving.start();
    const names = new LinkNames();
    for (const spec of specs) {
      ports.push(await about('--link', openQemuPort(spec, end.counted(serving), names)));
    }
    const lines = [
      ...networkLines(parseConfig(config)),
      ...notes,
      ...ports.flatMap((p) => linkLines(p.spec)),
    ];
    if (!args.has('isolated')) lines.push(MAC_LINE);
    for (const line of [...lines, `version ${version}, process ${process.pid}, ready`]) say(line);
    await end.come();
  } finally {
    const parts = [...ports, serving, capture];
    const closed = await within(CLOSE_MS, Promise.all(parts.map((part) => part.close())));
    if (!closed) setTimeout(() => process.exit(), 100).unref();
  }
  serving.print();
  return 0;
}

function parseLink(text: string): LinkSpec {
  try {
    return parseLinkSpec(text);
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`--link ${error.message}`);
    throw error;
  }
}

/** When it is over: at a signal, or with the last guest where none can come after it. Says what guests do meanwhile. */
class End {
  /** Somebody listens, or connects again. */
  private readonly lasts: boolean;
  private guests = 0;
  private over = false;
  private onOver: () => void = () => {};

  constructor(specs: readonly LinkSpec[]) {
    this.lasts = specs.some((spec) => spec.server || (spec.reconnectSeconds ?? 0) > 0);
  }

  readonly events: NetworkEvents = {
    onGuestUp: (link) => say(`${link}: up`),
    onGuestDown: (link, reason) => {
      say(`${link}: down: ${reason}`);
      this.guestGone();
    },
    onLease: (mac, address) => say(`${mac}: leased ${address}`),
    onError: (message) => say(message),
  };

  /** What a port calls with each link. */
  counted(serving: Serving): (link: Link) => void {
    return (link) => {
      this.guests++;
      void serving.accept(link).then((accepted) => {
        if (!accepted) this.guestGone();
      });
    };
  }

  readonly now = (): void => {
    this.over = true;
    this.onOver();
  };

  /** Resolves at the end, and keeps the process alive until then. */
  async come(): Promise<void> {
    if (this.over) return;
    const alive = setInterval(() => {}, 60_000);
    await new Promise<void>((resolve) => {
      this.onOver = resolve;
    });
    clearInterval(alive);
  }

  private guestGone(): void {
    this.guests--;
    if (this.guests === 0 && !this.lasts) this.now();
  }
}
