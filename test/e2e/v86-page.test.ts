// tools/examples/v86-page.ts in Chromium: Debian in v86 and the whole engine side by side in one page, and the program's
// relay between them and this host's sockets. A picture of the page is left in test/artifacts/.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FOLDER } from '../../tools/v86/settings.ts';
import { startBrowser } from './support/browser.ts';
import { Process, poll } from './support/processes.ts';
import { describeWithV86AndBrowser } from './support/requirements.ts';

const root = resolve(import.meta.dirname, '../..');
const artifacts = join(root, 'test/artifacts');
const PNG = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const READY_MS = 20_000;
/** v86 compiles the guest's code while it runs. */
const GUEST_MS = 90_000;

describeWithV86AndBrowser('Debian in v86 in a page', () => {
  let browser: Browser;
  let example: Process;
  beforeAll(async () => {
    const program = ['tools/run.mjs', 'tools/examples/v86-page.ts'];
    const child = spawn(process.execPath, program, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    example = new Process('the example', child);
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    example?.signal('SIGKILL');
  });

  test('the example: a lease, a file through the relay, a screen and a keyboard; nothing on the console', async () => {
    const [url] = await example.output(/^http:\S+$/m, READY_MS);
    const page = await browser.newPage();
    const complaints = complaintsOf(page);
    await page.goto(url);

    const [, digest] = await text(page, '#log', /^the file: ([0-9a-f]{32}) /m, complaints);
    const file = readFileSync(join(root, FOLDER, 'vmlinuz'));
    expect(digest).toBe(createHash('md5').update(file).digest('hex'));
    expect(file.length).toBeGreaterThan(4 << 20);
    const log = await page.textContent('#log');
    expect(log).toMatch(/^relay ready\n\S+ has 10\.0\.2\.15\ntcp 1: 10\.0\.2\.15:\d+ to 10\.0\.2\.2:\d+\n/);

    await text(page, '#screen', /ip=10\.0\.2\.15 [\s\S]*built-in commands/, complaints);
    await page.keyboard.type('ip route\n');
    await text(page, '#screen', /default via 10\.0\.2\.2 dev eth0/, complaints);
    mkdirSync(artifacts, { recursive: true });
    const picture = await page.screenshot({ path: join(artifacts, 'v86-page.png'), fullPage: true });
    expect(picture.subarray(0, PNG.length)).toEqual(PNG);
    expect(complaints).toEqual([]);

    const { code } = await example.stop('SIGTERM', 5000);
    expect(example.stdout).toMatch(/^streams: 1, open: 0$/m);
    expect({ code, stderr: example.stderr }).toEqual({ code: 0, stderr: '' });
  });
});

/** What the page says on the console, throws, or asks for in vain, as it comes. */
function complaintsOf(page: Page): readonly string[] {
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', ({ message }) => complaints.push(message));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
  page.on('response', (response) => {
    if (!response.ok()) complaints.push(`${response.status()}: ${response.url()}`);
  });
  return complaints;
}

/** Waits for `pattern` in the text of an element, as long as nothing is wrong. */
function text(page: Page, selector: string, pattern: RegExp, complaints: readonly string[]) {
  return poll(GUEST_MS, `${pattern} in ${selector}`, async () => {
    expect(complaints).toEqual([]);
    return pattern.exec((await page.textContent(selector)) ?? '') ?? undefined;
  });
}
