// `usernet run`: serves guests on links until a signal says that it is enough, or no guest can come any more.

import { once } from 'node:events';
import type { Link } from '../link/link.ts';
import { ConfigError, parseConfig } from '../network/config.ts';
import type { NetworkEvents } from '../network/events.ts';
import { type LinkPort, openLinkPort } from '../node/link-port.ts';
import { type LinkSpec, parseLinkSpec } from '../node/link-spec.ts';
import { LinkNames } from '../node/qemu-port.ts';
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
  summary: 'serve guests, until SIGINT or SIGTERM',
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
  const settings = parseConfig(config);
  const capture = openCapture(args.one('pcap'));
  const end = new End(specs);
  const options = { format: statsFormat(args) ?? 'text', wrap: capture.wrap, events: end.events } as const;
  const serving = args.has('isolated') ? new Isolated(config, options) : new Shared(config, options);
  onSignals({ onEnd: end.now, onStats: () => serving.print() });
  const ports: LinkPort[] = [];
  try {
    await serving.start();
    const served: LinkSpec[] = [];
    const names = new LinkNames();
    const portOptions = { signal: end.signal, onFull: say, mtu: settings.mtu };
    for (const spec of specs) {
      const opened = about('--link', openLinkPort(spec, end.counted(serving), names, portOptions));
      const kept = opened.then((p) => ports.push(p));
      if (isAwaited(spec)) end.awaits(kept);
      else await kept;
      served.push(isAwaited(spec) ? spec : (await opened).spec);
    }
    const links = served.flatMap((spec) => linkLines(spec, settings));
    const lines = [...networkLines(settings), ...notes, ...links];
    if (!args.has('isolated') && served.some((spec) => spec.kind !== 'tap')) lines.push(MAC_LINE);
    for (const line of [...lines, `version ${version}, process ${process.pid}, ready`]) say(line);
    await end.come();
  } finally {
    end.now();
    const parts = [...ports, serving, capture];
    await within(CLOSE_MS, Promise.all(parts.map((part) => part.close())));
    // For what took longer, and for the name of a --link that is being looked up: that cannot be called off.
    setTimeout(() => process.exit(), 100).unref();
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

/** Does this link come later, at the only attempt at it? */
function isAwaited(spec: LinkSpec): boolean {
  return spec.kind !== 'tap' && !spec.server && (spec.reconnectSeconds ?? 0) === 0;
}

/** Is it over with this link when its only guest has gone, or cannot be reached? */
function isOneGuest(spec: LinkSpec): boolean {
  return spec.kind === 'tap' || isAwaited(spec);
}

/** When it is over: at a signal, or with the last guest where none can come after it. Says what guests do meanwhile. */
class End {
  /** Somebody listens, or connects again. */
  private readonly lasts: boolean;
  private guests = 0;
  /** Connections that are being made. */
  private coming = 0;
  private failure: { readonly error: unknown } | null = null;
  private readonly over = new AbortController();

  constructor(specs: readonly LinkSpec[]) {
    this.lasts = !specs.every(isOneGuest);
  }

  /** Aborted when it is over. */
  get signal(): AbortSignal {
    return this.over.signal;
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

  /** The only attempt at a link: it is over when that fails, with its error. */
  awaits(attempt: Promise<unknown>): void {
    this.coming++;
    attempt.then(
      () => {
        this.coming--;
        this.check();
      },
      (error: unknown) => {
        if (!this.signal.aborted) this.failure = { error };
        this.now();
      },
    );
  }

  readonly now = (): void => this.over.abort();

  /** Resolves at the end, and keeps the process alive until then. Rejects when an attempt failed before. */
  async come(): Promise<void> {
    const alive = setInterval(() => {}, 60_000);
    if (!this.signal.aborted) await once(this.signal, 'abort');
    clearInterval(alive);
    if (this.failure !== null) throw this.failure.error;
  }

  private guestGone(): void {
    this.guests--;
    this.check();
  }

  private check(): void {
    if (this.guests === 0 && this.coming === 0 && !this.lasts) this.now();
  }
}
