// The README's examples of embedding, as they stand there: an emulator in ten lines, and what a program may do.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { V86 } from 'v86';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { EmbeddedGuest } from '../../src/guest/guest.ts';
import { createPair } from '../../src/link/pair.ts';
import type { Network } from '../../src/network/network.ts';
import { createNetwork, duplexOf, NodeRandom } from '../../src/node.ts';
import { createTestNetwork } from '../../src/testing.ts';
import { attachV86, type V86Cable } from '../../src/v86.ts';
import { arp } from '../support/raw-frames.ts';

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor as new (
  ...words: string[]
) => (...values: unknown[]) => Promise<unknown>;

interface Bus {
  send(event: string, frame: Uint8Array): void;
}

/** The block of code that begins with `first`. */
function block(first: string): string {
  const code = README.split('```ts\n').find((text) => text.startsWith(first));
  return code?.slice(0, code.indexOf('```')) ?? '';
}

/** Runs a block with these names, and returns what of it is asked for. */
function run(code: string, names: Record<string, unknown>, result: string): Promise<unknown> {
  const body = code.replace(/^import .*\n/gm, '').replace(/(\w+): Uint8Array/g, '$1');
  return new AsyncFunction(...Object.keys(names), `${body}; return ${result};`)(...Object.values(names));
}

let network: Network | null = null;
afterEach(async () => {
  await network?.close();
  network = null;
});

describe('the README', () => {
  const emulator = block("import { createNetwork } from 'usernet/node';\n\nconst network = createNetwork();");

  test('a network for an emulator takes at most ten lines', () => {
    const lines = emulator.split('\n').filter((line) => line.trim() !== '');
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.length).toBeLessThanOrEqual(10);
  });

  test('they work: the guest asks who has 10.0.2.2, and is answered', async () => {
    const answer = new Promise<Uint8Array>((resolve) => {
      const card = {
        receive: (frame: Uint8Array): void => resolve(frame.slice()),
        onTransmit: (_frame: Uint8Array): unknown => null,
      };
      void run(emulator, { createNetwork, card }, 'network').then((made) => {
        network = made as Network;
        card.onTransmit(arp(1, '10.0.2.15', '10.0.2.2'));
      });
    });
    const frame = Buffer.from(await answer);
    expect(frame.subarray(20, 22).toString('hex')).toBe('0002');
    expect(frame.subarray(28, 32).toString('hex')).toBe('0a000202');
  });

  test('a machine in v86: what its card sends is answered', async () => {
    const code = block(
      "import { createNetwork } from 'usernet/node';\nimport { attachV86 } from 'usernet/v86';\nimport { V86 }",
    );
    const wasm = join(dirname(createRequire(import.meta.url).resolve('v86')), 'v86.wasm');
    const machine = { wasm_path: wasm, autostart: false };
    const names = { createNetwork, attachV86, V86, machine };
    const made = (await run(code, names, '({ network, emulator, cable })')) as {
      readonly network: Network;
      readonly emulator: V86;
      readonly cable: V86Cable;
    };
    network = made.network;
    await new Promise<void>((resolve) => made.emulator.add_listener('emulator-loaded', resolve));
    const { emulator_bus: bus } = made.emulator as unknown as { readonly emulator_bus: Bus };
    bus.send('net0-send', arp(1, '10.0.2.15', '10.0.2.2'));
    await vi.waitFor(() =>
      expect(made.network.stats().links[0]).toMatchObject({ framesIn: 1, framesOut: 1 }),
    );
    await made.cable.close();
    await made.emulator.destroy();
  });

  test('events, forwards, servers in the guest and for it, flows', async () => {
    const made = createNetwork();
    network = made;
    const pair = createPair('guest', 1514);
    made.attach(pair.link);
    const guest = new EmbeddedGuest({ host: made, random: new NodeRandom(), link: pair.peer });
    await guest.boot();
    guest.listenTcp(80, () => ({}));
    const code = block("network.on('lease'").replace('127.0.0.1:2222', '127.0.0.1:0');
    const stream = await run(code, { network: made, duplexOf, console }, 'stream');
    expect(stream).toMatchObject({ writable: expect.any(Boolean) });
    expect(made.stats().flows).toMatchObject({ tcp: 0, tcpOpened: 1 });
    guest.close();
  });

  test('a test without a machine', async () => {
    const code = block("import { createTestNetwork } from 'usernet/testing';");
    expect(await run(code, { createTestNetwork }, 'answer')).toBe('hello\n');
  });
});
