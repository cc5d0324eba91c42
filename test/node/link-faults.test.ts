// `--link PLACE,FAULT` of each kind: the link that comes is as bad as was said, both ways.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Link } from '../../src/link/link.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { loadLibc } from '../../src/node/libc.ts';
import { openLinkPort } from '../../src/node/link-port.ts';
import { type LinkSpec, parseLinkSpec } from '../../src/node/link-spec.ts';
import { TapLink } from '../../src/node/tap.ts';
import type { TapSystem } from '../../src/node/tap-device.ts';
import { fakeTap } from '../support/fake-tap.ts';
import { newHost, pattern, RecordingSink, sendFrame } from '../support/link-bench.ts';

const FRAMES = 20;
const frames = Array.from({ length: FRAMES }, (_, i) => pattern(i, 60));

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Opens what `text` says, as `--link` does. */
async function open(text: string, system: Partial<TapSystem> = {}) {
  const host = newHost(new NodeClock());
  const sink = new RecordingSink(host);
  const links: Link[] = [];
  const onLink = (link: Link): void => {
    links.push(link);
    link.attach(sink, host);
  };
  const port = await openLinkPort(parseLinkSpec(text), onLink, undefined, { system });
  cleanups.push(async () => {
    await port.close();
    for (const link of links) await link.close();
  });
  return { host, sink, links, port };
}

/** QEMU's framing. */
function stream(): Buffer {
  return Buffer.concat(frames.flatMap((frame) => [Buffer.from([0, 0, 0, frame.length]), frame]));
}

function placeOf(spec: LinkSpec): { path: string } | { host: string; port: number } {
  if (spec.kind === 'unix') return { path: spec.path };
  return spec.kind === 'tap' ? expect.fail() : { host: spec.host, port: spec.port };
}

/** A QEMU that connects. */
async function guestDials(text: string) {
  const bench = await open(text);
  const guest = connect(placeOf(bench.port.spec));
  cleanups.push(() => guest.destroy());
  await once(guest, 'connect');
  guest.write(stream());
  return { ...bench, guest };
}

/** A QEMU that listens, at `place` or at a port that the system chooses. */
async function guestListens(place: string | null, textOf: (place: string) => string) {
  const server = createServer();
  const connected = once(server, 'connection') as Promise<[Socket]>;
  if (place === null) server.listen(0, '127.0.0.1');
  else server.listen(place);
  await once(server, 'listening');
  cleanups.push(() => server.close());
  const bench = await open(textOf(place ?? `127.0.0.1:${(server.address() as AddressInfo).port}`));
  const [guest] = await connected;
  cleanups.push(() => guest.destroy());
  guest.write(stream());
  return { ...bench, guest };
}

async function guestInPage(text: string) {
  const bench = await open(text);
  const { spec } = bench.port;
  if (spec.kind !== 'ws') return expect.fail();
  const guest = new WebSocket(`ws://127.0.0.1:${spec.port}/`, { perMessageDeflate: false });
  cleanups.push(() => guest.terminate());
  await once(guest, 'open');
  for (const frame of frames) guest.send(frame);
  return { ...bench, guest };
}

function newPath(): string {
  const path = mkdtempSync(join(tmpdir(), 'usernet-'));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return join(path, 's');
}

const kinds: readonly (readonly [
  string,
  (faults: string) => ReturnType<typeof guestDials | typeof guestInPage>,
])[] = [
  ['unix:', (faults) => guestDials(`unix:${newPath()}${faults}`)],
  ['tcp:', (faults) => guestDials(`tcp:0${faults}`)],
  [
    'unix: with server=off',
    (faults) => guestListens(newPath(), (place) => `unix:${place},server=off${faults}`),
  ],
  ['tcp: with server=off', (faults) => guestListens(null, (place) => `tcp:${place},server=off${faults}`)],
  ['ws:', (faults) => guestInPage(`ws:0,token=none${faults}`)],
];

describe.each(kinds)('%s', (_, guestOf) => {
  test('loss=100%: nothing comes through, either way, and all of it is counted', async () => {
    const { links, sink, host } = await guestOf(',loss=100%');
    await vi.waitFor(() => expect(links[0]?.faults?.fromGuest.lost).toBe(FRAMES));
    for (const frame of frames) expect(sendFrame(links[0]!, host, frame)).toBe(true);
    expect(links[0]!.faults?.toGuest).toMatchObject({ lost: FRAMES, passed: 0 });
    expect(sink.frames.length).toBe(0);
  });

  test('duplicate=100%: each comes twice', async () => {
    const { links, sink } = await guestOf(',duplicate=100%');
    await vi.waitFor(() => expect(sink.frames.length).toBe(2 * FRAMES));
    expect(links[0]!.faults?.fromGuest).toMatchObject({ duplicated: FRAMES, passed: 2 * FRAMES });
  });

  test('no fault said: the link is as good as it comes', async () => {
    const { links, sink } = await guestOf('');
    await vi.waitFor(() => expect(sink.frames.length).toBe(FRAMES));
    expect(links[0]).not.toHaveProperty('faults');
  });
});

describe.runIf(process.platform === 'linux')('tap:', () => {
  /** Frames go nowhere, and none comes: the guest's end of the pipe is closed at once. */
  async function system(): Promise<TapSystem> {
    const { pipe2 } = await loadLibc();
    return fakeTap(undefined, undefined, { pipe2, dup3: (_tap: number, fd: number) => fd });
  }

  test('loss=100%: nothing is written, and all of it is counted', async () => {
    const { links, host } = await open('tap:qemu0,loss=100%', await system());
    for (const frame of frames) expect(sendFrame(links[0]!, host, frame)).toBe(true);
    expect(links[0]!.faults?.toGuest).toMatchObject({ lost: FRAMES, passed: 0 });
    expect(links[0]!.losses).toEqual({ whileDown: 0, refused: 0 });
  });

  test('no fault said: it is the device’s link itself', async () => {
    const { links } = await open('tap:qemu0', await system());
    expect(links[0]).toBeInstanceOf(TapLink);
  });
});
