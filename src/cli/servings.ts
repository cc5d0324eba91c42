// Which network the guests of which link are on. Those of pages are never on one with others: what they may reach is
// less, and that is a matter of the network.

import type { Settings } from '../base/settings.ts';
import { type NetworkConfig, parseConfig } from '../network/config.ts';
import type { LinkSpec } from '../node/link-spec.ts';
import { pageGuestConfig, type WebSocketLinkSpec } from '../node/websocket-spec.ts';
import { Isolated, type Serving, Shared } from './serving.ts';
import type { SessionOptions } from './session.ts';

export class Servings {
  /** Of the network that is told of at the start, the first. */
  readonly settings: Settings;
  private readonly all: Serving[] = [];
  private readonly bySpec = new Map<LinkSpec, Serving>();

  /** `isolated`: a network for each link, but for WebSockets, which say so themselves. Forwards lead to the first of all. */
  constructor(specs: readonly LinkSpec[], config: NetworkConfig, isolated: boolean, options: SessionOptions) {
    const first = specs.every(({ kind }) => kind === 'ws')
      ? pageGuestConfig(config, pageSpec(specs))
      : config;
    this.settings = parseConfig(first);
    const others = specs.filter((spec) => spec.kind !== 'ws');
    const open = (served: readonly LinkSpec[], own: NetworkConfig, apart: boolean): void => {
      const said = this.all.length === 0 ? own : { ...own, forwards: [] };
      const serving = apart ? new Isolated(said, options) : new Shared(said, options);
      this.all.push(serving);
      for (const spec of served) this.bySpec.set(spec, serving);
    };
    if (others.length > 0) open(others, config, isolated);
    for (const spec of specs) {
      if (spec.kind === 'ws') open([spec], pageGuestConfig(config, spec), spec.shared !== true);
    }
  }

  /** Of the link that was asked for with this very `spec`. */
  of(spec: LinkSpec): Serving {
    return this.bySpec.get(spec)!;
  }

  /** Rejects when a forward cannot be bound. */
  async start(): Promise<void> {
    for (const serving of this.all) await serving.start();
  }

  /** Prints the statistics of every network there is. */
  print(): void {
    for (const serving of this.all) serving.print();
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((serving) => serving.close()));
  }
}

function pageSpec(specs: readonly LinkSpec[]): WebSocketLinkSpec | undefined {
  return specs.find((spec) => spec.kind === 'ws');
}
