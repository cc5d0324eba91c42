// When `usernet run` is over, and how: at a signal, or with the last guest where none can come after it. A link that is
// still to be opened may bring one.

import { once } from 'node:events';
import type { Link } from '../link/link.ts';
import type { EventHandlers } from '../network/events.ts';
import type { LinkSpec } from '../node/link-spec.ts';
import { say } from './output.ts';
import type { Serving } from './serving.ts';

const FAILED = 1;

/** Does this link come later, at the only attempt at it? */
export function isAwaited(spec: LinkSpec): boolean {
  if (spec.kind === 'tap' || spec.kind === 'ws') return false;
  return !spec.server && (spec.reconnectSeconds ?? 0) === 0;
}

/** Is it over with this link when its only guest has gone, or cannot be reached? */
function isOneGuest(spec: LinkSpec): boolean {
  return spec.kind === 'tap' || isAwaited(spec);
}

/** Says what guests do meanwhile, too. */
export class End {
  /** Somebody listens, or connects again. */
  private readonly lasts: boolean;
  private guests = 0;
  /** Links that are not open yet. */
  private coming: number;
  private failure: { readonly error: unknown } | null = null;
  private hasRefused = false;
  private readonly over = new AbortController();

  /** Each of `specs` is to be told of by awaits(). */
  constructor(specs: readonly LinkSpec[]) {
    this.lasts = !specs.every(isOneGuest);
    this.coming = specs.length;
  }

  /** Aborted when it is over. */
  get signal(): AbortSignal {
    return this.over.signal;
  }

  /** The program's exit status: 1 when a link had one guest, and that was refused. */
  get status(): number {
    return this.hasRefused ? FAILED : 0;
  }

  readonly events = {
    'guest-up': ({ link }) => say(`${link}: up`),
    'guest-down': ({ link, reason }) => {
      say(`${link}: down: ${reason}`);
      this.guestGone();
    },
    lease: ({ mac, address }) => say(`${mac}: leased ${address}`),
    error: ({ message }) => say(message),
  } satisfies EventHandlers;

  /** What the port of `spec` calls with each link. */
  counted(spec: LinkSpec, serving: Serving): (link: Link) => void {
    return (link) => {
      this.guests++;
      void serving.accept(link).then((accepted) => {
        if (accepted) return;
        if (isOneGuest(spec)) this.hasRefused = true;
        this.guestGone();
      });
    };
  }

  /** A link is being opened. It is over when that fails, with its error. */
  awaits(attempt: Promise<unknown>): void {
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
