// v86's own wsproxy backend, as it is in the package, with the URL of our link and nothing else changed. What its network
// card would say and hear on v86's bus an embedded guest does.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { V86 } from 'v86';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { serveWebSocket } from '../../src/websocket.ts';
import { type Cable, WebSocketGuest } from '../support/websocket-guest.ts';

interface Bus {
  register(name: string, handler: (data: Uint8Array) => void, self: object): void;
  send(name: string, data: Uint8Array): void;
}

test("v86's wsproxy backend: a lease, and a connection that is answered", async () => {
  // Node 20 has no WebSocket of its own; a browser has.
  (globalThis as { WebSocket?: unknown }).WebSocket ??= WebSocket;
  const serving = await serveWebSocket();
  const emulator = new V86({
    wasm_path: join(dirname(createRequire(import.meta.url).resolve('v86')), 'v86.wasm'),
    net_device: { type: 'virtio', relay_url: serving.url },
    autostart: false,
  } as never);
  await new Promise<void>((resolve) => emulator.add_listener('emulator-loaded', resolve));
  const { emulator_bus: bus } = emulator as unknown as { readonly emulator_bus: Bus };
  const cable: Cable = {
    send: (frame) => bus.send('net0-send', new Uint8Array(frame)),
    onFrame: () => {},
    close: () => {},
  };
  bus.register('net0-receive', (frame) => cable.onFrame(frame), {});
  const guest = await WebSocketGuest.bootOver(cable);
  expect(guest.address).toBe('10.0.2.15');
  expect(await guest.fetch('10.0.2.2', 9)).toBe('refused');
  expect(serving.port.refused).toEqual({});
  guest.close();
  await emulator.destroy();
  await serving.close();
});
