// Where guests come from: a socket that any number of QEMUs connect to, or one QEMU that listens and is connected to,
// again and again if asked to. Each connection becomes a link.

import type { NetConnectOpts, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { Link } from '../link/link.ts';
import { faultsOf } from './link-faults.ts';
import type { StreamLinkSpec } from './link-spec.ts';
import { QemuStreamLink } from './qemu-stream.ts';
import { takeOverWorks } from './take-over.ts';
import { clearSocketPath, listenPrivately } from './unix-socket.ts';

/** Guests of one listener; a connection beyond that is closed at once. */
const MAX_GUESTS = 64;
/** So often that is told of. */
const TELL_EACH_MS = 60_000;

/** Why an attempt failed that close() ended. */
const NOT_WANTED = 'closed before the connection was there';

/** Gets each guest's link; to attach it to a network, or close it. */
export type OnLink = (link: Link) => void;

/** A socket on which QEMU's guests come. */
export interface QemuPort {
  /** What was asked for, with the port that the system chose where that was 0. */
  readonly spec: StreamLinkSpec;
  /** Listens or connects no more; guests that are there stay. Resolves when the socket is gone. */
  close(): Promise<void>;
}

/**
 * Names for links, unique among those that are up. A guest's connection takes the lowest of qemu0, qemu1, ... that is
 * free, one on a WebSocket of web0, web1, ...; a device brings its own, which may be one of those, so names of devices to come can be reserved.
 */
export class LinkNames {
  private readonly prefix: string;
  private readonly reserved: ReadonlySet<string>;
  private readonly taken = new Set<string>();

  /** take() gives none of `reserved`; they are for whoever claims them. */
  constructor(prefix = 'qemu', reserved: Iterable<string> = []) {
    this.prefix = prefix;
    this.reserved = new Set(reserved);
  }

  /** The prefix with the lowest number that is free. */
  take(prefix: string = this.prefix): string {
    for (let n = 0; ; n++) {
      const name = `${prefix}${n}`;
      if (!this.reserved.has(name) && this.claim(name)) return name;
    }
  }

  /** Takes this very name; false when a link has it. */
  claim(name: string): boolean {
    if (this.taken.has(name)) return false;
    this.taken.add(name);
    return true;
  }

  /** The link of that name is gone. */
  give(name: string): void {
    this.taken.delete(name);
  }
}

/** What the port is told besides its spec. */
export interface QemuPortOptions {
  /** Aborted: a port that connects is closed, and an attempt under way fails. A listener takes no notice. */
  readonly signal?: AbortSignal;
  /** A listener has closed connections because all of its places are taken. One line; at most once a minute. */
  readonly onFull?: (message: string) => void;
}

/** listenQemu() or dialQemu(), as `spec` says. */
export function openQemuPort(
  spec: StreamLinkSpec,
  onLink: OnLink,
  names: LinkNames = new LinkNames(),
  options: QemuPortOptions = {},
): Promise<QemuPort> {
  return spec.server ? listenQemu(spec, onLink, names, options) : dialQemu(spec, onLink, names, options);
}

/** Listens as `spec` says. Rejects with one line that names the place, or the fault that is out of its range. */
export async function listenQemu(
  spec: StreamLinkSpec,
  onLink: OnLink,
  names: LinkNames = new LinkNames(),
  { onFull = () => {} }: QemuPortOptions = {},
): Promise<QemuPort> {
  const withFaults = faultsOf(spec);
  const canTakeOver = await takeOverWorks();
  const guests = new Set<Link>();
  const full = new FullNotice(placeText(spec), onFull);
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.on('connection', (socket) => {
    if (guests.size >= MAX_GUESTS) {
      socket.destroy();
      full.count();
      return;
    }
    const link = withFaults(newLink(socket, names, canTakeOver, () => guests.delete(link)));
    guests.add(link);
    onLink(link);
  });
  if (spec.kind === 'unix') await clearSocketPath(spec.path);
  await listening(server, spec);
  const address = server.address();
  const bound =
    spec.kind === 'tcp' && typeof address === 'object' && address !== null
      ? { ...spec, port: address.port }
      : spec;
  return { spec: bound, close: () => closed(server) };
}

/** Tells of closed connections, and how many they were since it last did. */
class FullNotice {
  private readonly place: string;
  private readonly tell: (message: string) => void;
  private turnedAway = 0;
  private toldAt = Number.NEGATIVE_INFINITY;

  constructor(place: string, tell: (message: string) => void) {
    this.place = place;
    this.tell = tell;
  }

  count(): void {
    this.turnedAway++;
    const now = performance.now();
    if (now - this.toldAt < TELL_EACH_MS) return;
    const what = this.turnedAway === 1 ? 'a connection was' : `${this.turnedAway} connections were`;
    this.tell(`${this.place}: ${what} closed: ${MAX_GUESTS} guests are there, and it takes no more`);
    this.turnedAway = 0;
    this.toldAt = now;
  }
}

function listening(server: Server, spec: StreamLinkSpec): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => reject(new Error(`${placeText(spec)}: ${error.message}`));
    server.once('error', onError);
    server.once('listening', () => {
      server.off('error', onError);
      // An accept(2) that failed leaves nothing to clean up: QEMU sees its connection closed.
      server.on('error', () => {});
      resolve();
    });
    if (spec.kind === 'unix') listenPrivately(server, spec.path);
    else server.listen({ host: spec.host, port: spec.port, exclusive: true });
  });
}

/** close() calls back only when the last connection is gone; the listening socket is gone, and unlinked, at once. */
function closed(server: Server): Promise<void> {
  server.close();
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Connects to the QEMU that listens as `spec` says. Without reconnectSeconds it resolves when there is a link, and rejects
 * when there will be none, with one line that names the place. With it the first attempt may fail like any other, and
 * is not waited for.
 */
export async function dialQemu(
  spec: StreamLinkSpec,
  onLink: OnLink,
  names: LinkNames = new LinkNames(),
  { signal }: QemuPortOptions = {},
): Promise<QemuPort> {
  const withFaults = faultsOf(spec);
  const dialer = new Dialer(spec, (link) => onLink(withFaults(link)), names, await takeOverWorks());
  const onAbort = (): void => void dialer.close();
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort);
  const close = (): Promise<void> => {
    signal?.removeEventListener('abort', onAbort);
    return dialer.close();
  };
  const attempt = dialer.dial();
  const error = dialer.repeats ? null : await attempt;
  if (error === null) return { spec, close };
  await close();
  throw new Error(`${placeText(spec)}: ${error.message}`);
}

class Dialer {
  readonly repeats: boolean;
  private readonly spec: StreamLinkSpec;
  private readonly onLink: OnLink;
  private readonly names: LinkNames;
  private readonly canTakeOver: boolean;
  private connecting: Socket | null = null;
  private retry: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(spec: StreamLinkSpec, onLink: OnLink, names: LinkNames, canTakeOver: boolean) {
    this.spec = spec;
    this.onLink = onLink;
    this.names = names;
    this.canTakeOver = canTakeOver;
    this.repeats = (spec.reconnectSeconds ?? 0) > 0;
  }

  /** One attempt. Resolves to its error, or null when there is a link. close() ends one that is under way. */
  dial(): Promise<Error | null> {
    if (this.closed) return Promise.resolve(new Error(NOT_WANTED));
    return new Promise((resolve) => {
      const socket = connect({ ...addressOf(this.spec), allowHalfOpen: true } as NetConnectOpts);
      this.connecting = socket;
      // So that nothing is read before the link has its buffers.
      socket.pause();
      socket.setNoDelay(true);
      const onError = (error: Error): void => {
        this.connecting = null;
        this.again();
        resolve(error);
      };
      // What close() destroys has no error to tell.
      const onClose = (): void => resolve(new Error(NOT_WANTED));
      socket.once('error', onError);
      socket.once('close', onClose);
      socket.once('connect', () => {
        socket.off('error', onError);
        socket.off('close', onClose);
        this.connecting = null;
        this.onLink(newLink(socket, this.names, this.canTakeOver, this.again));
        resolve(null);
      });
    });
  }

  close(): Promise<void> {
    this.closed = true;
    if (this.retry !== null) clearTimeout(this.retry);
    this.connecting?.destroy();
    return Promise.resolve();
  }

  private readonly again = (): void => {
    if (this.closed || !this.repeats) return;
    // Keeps the process alive: to wait for this guest may be all that there is to do.
    this.retry = setTimeout(() => void this.dial(), (this.spec.reconnectSeconds ?? 0) * 1000);
  };
}

function newLink(socket: Socket, names: LinkNames, canTakeOver: boolean, onGone: () => void): Link {
  const name = names.take();
  return new QemuStreamLink(name, socket, canTakeOver, () => {
    names.give(name);
    onGone();
  });
}

function addressOf(spec: StreamLinkSpec): { path: string } | { host: string; port: number } {
  return spec.kind === 'unix' ? { path: spec.path } : { host: spec.host, port: spec.port };
}

function placeText(spec: StreamLinkSpec): string {
  if (spec.kind === 'unix') return `unix:${spec.path}`;
  return `tcp:${spec.host.includes(':') ? `[${spec.host}]` : spec.host}:${spec.port}`;
}
