// One network as the command line runs it: with its name, the capture around its links, and its statistics.

import type { Link } from '../link/link.ts';
import type { NetworkConfig } from '../network/config.ts';
import type { EventHandlers } from '../network/events.ts';
import type { Network } from '../network/network.ts';
import { createNodeNetwork } from '../node/node-network.ts';
import { forwardText } from './banner.ts';
import { watchLink } from './bugs.ts';
import { about, messageOf } from './errors.ts';
import { printStats, type StatsFormat, say } from './output.ts';

export interface SessionOptions {
  readonly format: StatsFormat;
  /** Wraps each link, for --pcap. */
  readonly wrap: (link: Link) => Link;
  readonly events: EventHandlers;
}

export class Session {
  /** How statistics call it. */
  readonly title: string;
  readonly network: Network;
  private readonly options: SessionOptions;

  constructor(title: string, config: NetworkConfig, options: SessionOptions) {
    this.title = title;
    this.network = createNodeNetwork(config, { on: options.events });
    this.options = options;
  }

  /** Binds the forwards, and says the ports that the host has chosen. Rejects with one line that names the option. */
  async start(): Promise<void> {
    const { network, title } = this;
    const bound = await about('hostfwd', network.start());
    for (const [i, { proto, host, guest }] of bound.entries()) {
      const chosen = network.settings.forwards[i]?.host.port === 0;
      if (chosen) say(`${title}: ${forwardText(proto, host, guest)}`);
    }
  }

  /** A guest's cable: the network's own from here on. False: it was closed, there is no room for it. */
  attach(link: Link): boolean {
    try {
      this.network.attach(this.options.wrap(link));
      watchLink(link);
      return true;
    } catch (error) {
      say(`${link.name}: ${messageOf(error)}`);
      void link.close();
      return false;
    }
  }

  print(): void {
    printStats(this.options.format, this.title, this.network);
  }

  close(): Promise<void> {
    return this.network.close();
  }
}

/** Waits for `work`, but no longer than `ms`. False when the time was up. */
export function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => resolve(false), ms);
    work.then(
      () => {
        clearTimeout(timeout);
        resolve(true);
      },
      (error: unknown) => {
        clearTimeout(timeout);
        reject(error);
      },
    );
  });
}
