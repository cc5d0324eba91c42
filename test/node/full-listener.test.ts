import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import type { Link } from '../../src/link/link.ts';
import { LinkNames, listenQemu } from '../../src/node/qemu-port.ts';

const PLACES = 64;

afterEach(() => vi.restoreAllMocks());

/** Resolves when the listener has closed the connection. */
async function turnedAway(path: string): Promise<void> {
  await once(connect(path).resume(), 'close');
}

test('a listener with 64 guests closes further connections, and tells of them once a minute', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'usernet-'));
  const path = join(folder, 's');
  const messages: string[] = [];
  const links: Link[] = [];
  const onFull = (message: string): void => void messages.push(message);
  const spec = { kind: 'unix', path, server: true } as const;
  const port = await listenQemu(spec, (link) => links.push(link), new LinkNames(), { onFull });
  let now = 1000;
  vi.spyOn(performance, 'now').mockImplementation(() => now);

  const guests: Socket[] = [];
  for (let i = 0; i < PLACES; i++) {
    const guest = connect(path);
    await once(guest, 'connect');
    guests.push(guest);
  }
  await vi.waitFor(() => expect(links.length).toBe(PLACES));
  expect(messages).toEqual([]);

  for (let i = 0; i < 3; i++) await turnedAway(path);
  now += 59_999;
  await turnedAway(path);
  const end = '64 guests are there, and it takes no more';
  expect(messages).toEqual([`unix:${path}: a connection was closed: ${end}`]);
  now += 1;
  await turnedAway(path);
  expect(messages.slice(1)).toEqual([`unix:${path}: 4 connections were closed: ${end}`]);
  expect(links.length).toBe(PLACES);

  for (const guest of guests) guest.destroy();
  await Promise.all([port.close(), ...links.map((link) => link.close())]);
  rmSync(folder, { recursive: true });
});
