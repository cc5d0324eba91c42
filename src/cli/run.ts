// `usernet run`: serves guests on links until a signal says that it is enough, or no guest can come any more.

import { ConfigError, parseConfig } from '../network/config.ts';
import { type LinkPort, openLinkPort } from '../node/link-port.ts';
import { type LinkSpec, parseLinkSpec } from '../node/link-spec.ts';
import { LinkNames } from '../node/qemu-port.ts';
import { type Args, type Command, UsageError } from './args.ts';
import { isStream, linkLines, MAC_LINE, networkLines } from './banner.ts';
import { openCaptures } from './capture-file.ts';
import { End, isAwaited } from './end.ts';
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
import { Servings } from './servings.ts';
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
    '    [--pcap FILE[,OPTION=VALUE...] ...] [--stats text|json]',
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
  const captures = openCaptures(args.all('pcap'));
  const end = new End(specs);
  const options = { format: statsFormat(args) ?? 'text', wrap: captures.wrap, events: end.events } as const;
  const serving = new Servings(specs, config, args.has('isolated'), options);
  onSignals({ onEnd: end.now, onStats: () => serving.print() });
  const ports: LinkPort[] = [];
  try {
    await serving.start();
    const served: LinkSpec[] = [];
    // A guest may connect before the device of that name is opened.
    const names = new LinkNames('qemu', specs.flatMap(deviceOf));
    const portOptions = { signal: end.signal, onFull: say, onRefused: say, mtu: settings.mtu };
    for (const spec of specs) {
      const opened = about(
        '--link',
        openLinkPort(spec, end.counted(spec, serving.of(spec)), names, portOptions),
      );
      const kept = opened.then((p) => ports.push(p));
      end.awaits(kept);
      if (!isAwaited(spec)) await kept;
      served.push(isAwaited(spec) ? spec : (await opened).spec);
    }
    const isolated = args.has('isolated');
    const lines = [...networkLines(serving.settings), ...notes, ...linkLines(served, settings, isolated)];
    if (!isolated && served.some(isStream)) lines.push(MAC_LINE);
    lines.push(`version ${version}, process ${process.pid}, ready`);
    // Not when its only guest was refused.
    if (!end.signal.aborted) for (const line of lines) say(line);
    await end.come();
  } finally {
    end.now();
    const parts = [...ports, serving, captures];
    await within(CLOSE_MS, Promise.all(parts.map((part) => part.close())));
    // For what took longer, and for the name of a --link that is being looked up: that cannot be called off.
    setTimeout(() => process.exit(), 100).unref();
  }
  serving.print();
  return end.status;
}

function parseLink(text: string): LinkSpec {
  try {
    return parseLinkSpec(text);
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`--link ${error.message}`);
    throw error;
  }
}

/** The name that its link will have; the others' names are for LinkNames to choose. */
function deviceOf(spec: LinkSpec): string[] {
  return spec.kind === 'tap' ? [spec.name] : [];
}
