// Chromium without a window, as Debian installs it, and pages for it from servers of the test's own.

import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';

/** It asks nobody for anything but what the test's pages ask for. */
const ARGUMENTS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];

/** Is there a browser? */
export function hasBrowser(): boolean {
  return spawnSync(CHROMIUM, ['--version']).status === 0;
}

/** Starts it. Whoever starts it closes it. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
}

/** A server of pages: an origin of its own. */
export interface PageServer {
  /** `http://localhost:40312`. */
  readonly origin: string;
  close(): void;
}

/** What a page server has at a path. */
export interface PageFile {
  readonly type: string;
  readonly body: string | Uint8Array;
}

/** Serves `files` by path, `/` among them, on this host's loopback, under the name `localhost`. */
export function servePages(files: Readonly<Record<string, PageFile>>): Promise<PageServer> {
  const server = createServer((request, response) => {
    const file = files[(request.url ?? '').split('?')[0] ?? ''];
    response.writeHead(file === undefined ? 404 : 200, { 'Content-Type': file?.type ?? 'text/plain' });
    response.end(file?.body ?? '');
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      resolve({
        origin: `http://localhost:${port}`,
        close: () => {
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
}
