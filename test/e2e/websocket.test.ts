// `usernet run --link ws:` among pages: hostile ones and one that is let in, in Chromium; v86's own wsproxy backend,
// unchanged; and the example that is a relay.

import { once } from 'node:events';
import { resolve } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocketGuest } from '../support/websocket-guest.ts';
import { type PageServer, servePages, startBrowser } from './support/browser.ts';
import { Lab, type Process, showLogsOfFailures, within } from './support/processes.ts';
import { describeWithBrowser, describeWithProgram, program } from './support/requirements.ts';

const TOKEN = '0123456789abcdefghijkl';
const HTML = { '/': { type: 'text/html', body: '<title>a page</title>' } };

/** `usernet run` with one WebSocket link; its URL, as it prints it. */
async function run(lab: Lab, options: string): Promise<{ usernet: Process; url: string }> {
  const argv = [process.execPath, lab.copy(program), 'run', '--link', `ws:0${options}`];
  const usernet = lab.spawn('usernet run', argv);
  await usernet.output(/ready$/m, 10_000);
  const [url] = await usernet.output(/ws:\/\/\S+/, 1000);
  return { usernet, url };
}

/** What comes of a WebSocket that `page` opens: `open`, with the answer to a ping, or `refused`. */
function tryFrom(page: Page, url: string): Promise<string> {
  return page.evaluate(
    (to) =>
      new Promise<string>((done) => {
        const socket = new WebSocket(to);
        socket.onopen = () => socket.send('ping:page');
        socket.onmessage = ({ data }) => {
          done(`open, ${data}`);
          socket.close();
        };
        socket.onerror = () => done('refused');
      }),
    url,
  );
}

describeWithBrowser('pages', () => {
  let lab: Lab;
  let browser: Browser;
  let [mine, theirs]: [PageServer?, PageServer?] = [];
  beforeAll(async () => {
    lab = new Lab('websocket');
    browser = await startBrowser();
    [mine, theirs] = [await servePages(HTML), await servePages(HTML)];
  });
  afterAll(async () => {
    await browser?.close();
    for (const server of [mine, theirs]) server?.close();
    await lab?.close();
  });
  showLogsOfFailures(() => lab);

  test('a hostile page is refused whatever it knows; one of an allowed origin is let in with the token', async () => {
    const { usernet, url } = await run(lab, `,token=${TOKEN},origin=${mine!.origin}`);
    const place = url.slice(0, url.indexOf('?'));
    const [good, evil] = [await browser.newPage(), await browser.newPage()];
    await good.goto(mine!.origin);
    await evil.goto(theirs!.origin);
    expect(await tryFrom(good, url)).toBe('open, pong:page');
    for (const [page, tried] of [
      [evil, place],
      [evil, `${place}?token=guessed-guessed-guess`],
      [evil, url],
      [evil, url.replace('127.0.0.1', 'localhost')],
      [good, place],
      [good, `${place}?token=guessed-guessed-guess`],
    ] as const)
      expect([tried, await tryFrom(page, tried)]).toEqual([tried, 'refused']);
    // A page that has no origin of its own, such as one in a sandbox.
    const opaque = await browser.newPage();
    await opaque.goto('data:text/html,<title>none</title>');
    expect(await tryFrom(opaque, url)).toBe('refused');
    await usernet.output(
      /turned away: pages of this Origin may not connect \(Origin http:\/\/localhost:\d+/,
      5000,
    );
    await usernet.output(/turned away: the token is missing or wrong/, 5000);
    expect((await usernet.stop('SIGTERM', 5000)).code).toBe(0);
    // Once, at the start.
    expect(usernet.stderr.split(TOKEN)).toHaveLength(2);
  });

  test('without a token and without a list no page comes in, not even one of this computer', async () => {
    const { usernet, url } = await run(lab, ',token=none');
    const page = await browser.newPage();
    await page.goto(mine!.origin);
    expect(await tryFrom(page, url)).toBe('refused');
    expect((await usernet.stop('SIGTERM', 5000)).code).toBe(0);
  });
});

describeWithProgram('programs on WebSockets', () => {
  let lab: Lab;
  beforeAll(() => {
    lab = new Lab('websocket');
  });
  afterAll(() => lab?.close());
  showLogsOfFailures(() => lab);

  test('two guests of usernet run, each alone; statistics at the end', async () => {
    const { usernet, url } = await run(lab, ',delay=1ms');
    const guests = [await WebSocketGuest.boot(url), await WebSocketGuest.boot(url)];
    expect(guests.map((guest) => guest.address)).toEqual(['10.0.2.15', '10.0.2.15']);
    expect(await guests[0]!.fetch('192.168.1.1', 80)).toBe('refused');
    guests[0]!.close();
    await usernet.output(/PolicyDenied/, 5000);
    const { code } = await usernet.stop('SIGTERM', 5000);
    expect(code).toBe(0);
    guests[1]!.close();
  });

  test('tools/examples/websocket-relay.ts', async () => {
    const { spawn } = await import('node:child_process');
    const root = resolve(import.meta.dirname, '../..');
    const args = ['tools/run.mjs', 'tools/examples/websocket-relay.ts'];
    const relay = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    relay.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    try {
      const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
        for (;;) {
          const match = pattern.exec(said);
          if (match !== null) return match;
          await once(relay.stdout, 'data');
        }
      };
      const [url] = await within(20_000, 'the URL', until(/^ws:.*$/m));
      const guests = [await WebSocketGuest.boot(url), await WebSocketGuest.boot(url)];
      expect(guests.map((guest) => guest.address)).toEqual(['10.0.2.15', '10.0.2.15']);
      await within(5000, 'what it says', until(/: has 10\.0\.2\.15\n(.|\n)*: has 10\.0\.2\.15$/m));
      relay.kill('SIGTERM');
      const [code] = await within(10_000, 'its end', once(relay, 'exit'));
      expect(code).toBe(0);
      for (const guest of guests) guest.close();
    } finally {
      relay.kill('SIGKILL');
    }
  });
});
