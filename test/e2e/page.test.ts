// The whole engine in a page of Chromium: bundled without Node, on the browser's clock and randomness, its host traffic
// through our relay.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { resolve } from 'node:path';
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRelay, type Relay } from '../../src/websocket.ts';
import { pattern } from '../support/link-bench.ts';
import { type PageServer, servePages, startBrowser } from './support/browser.ts';
import type { PageStory } from './support/page-engine.ts';
import { describeWithBrowser } from './support/requirements.ts';

const LENGTH = 8 << 20;
const PAGE =
  '<!doctype html><link rel="icon" href="data:,"><title>usernet</title><script src="/engine.js"></script>';

/** The page's script, for a browser: whatever needs Node fails the build. */
async function bundle(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [resolve(import.meta.dirname, 'support/page-engine.ts')],
    ...{ bundle: true, minify: true, format: 'iife', platform: 'browser', target: 'es2022', write: false },
    logLevel: 'error',
  });
  return outputFiles[0]!.contents;
}

describeWithBrowser('the engine in a page', () => {
  let browser: Browser;
  let pages: PageServer;
  let relay: Relay;
  beforeAll(async () => {
    browser = await startBrowser();
    pages = await servePages({
      '/': { type: 'text/html', body: PAGE },
      '/engine.js': { type: 'text/javascript', body: await bundle() },
    });
    relay = await openRelay({ origins: [pages.origin], hostLoopback: true });
  });
  afterAll(async () => {
    await browser?.close();
    pages?.close();
    await relay?.close();
  });

  test('a guest in it is leased an address, is refused, and downloads 8 MiB with an equal digest', async () => {
    const file = pattern(21, LENGTH);
    const server = createServer((socket) => socket.end(file)).listen(0, '127.0.0.1');
    const closed = createServer().listen(0, '127.0.0.1');
    await Promise.all([once(server, 'listening'), once(closed, 'listening')]);
    const [port, closedPort] = [server, closed].map((one) => (one.address() as AddressInfo).port);
    closed.close();
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', ({ message }) => complaints.push(message));
    await page.goto(pages.origin);
    const story = (await page.evaluate(
      `run(${JSON.stringify(relay.url)}, ${port}, ${closedPort})`,
    )) as PageStory;
    server.close();
    expect(story).toEqual({
      ...{ lease: '10.0.2.15', bytes: LENGTH, refused: 'refused', left: 0 },
      sha256: createHash('sha256').update(file).digest('hex'),
    });
    expect(complaints).toEqual([]);
    expect(relay.stats().openStreams).toBe(0);
  });

  test('a page of another origin has no way through the relay', async () => {
    const other = await servePages({ '/': { type: 'text/html', body: PAGE } });
    const page = await browser.newPage();
    await page.goto(other.origin);
    const opened = `new Promise((done) => {
      const socket = new WebSocket(${JSON.stringify(relay.url)});
      socket.onopen = () => done('open');
      socket.onerror = () => done('refused');
    })`;
    expect(await page.evaluate(opened)).toBe('refused');
    other.close();
  });
});
