// Bundled for a page by test/e2e/page.test.ts: the whole engine in a browser, with an embedded guest that boots and
// fetches a file. The world outside comes through a relay.

import { formatEndpoint, parseIp } from '../../../src/base/addr.ts';
import { EmbeddedGuest } from '../../../src/guest/guest.ts';
import {
  createNetwork,
  createPair,
  dialWebSocket,
  RelayHost,
  WebClock,
  WebRandom,
} from '../../../src/index.ts';

/** What the page has seen. */
export interface PageStory {
  readonly lease: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly refused: string;
  /** Flows, timers and bytes of the arena after close(). */
  readonly left: number;
}

async function run(relayUrl: string, port: number, closedPort: number): Promise<PageStory> {
  const host = new RelayHost({ dial: dialWebSocket(relayUrl), clock: new WebClock() });
  const network = createNetwork({}, { host });
  const pair = createPair('guest0', 1514);
  network.attach(pair.link);
  const guest = new EmbeddedGuest({ host: network, random: new WebRandom(), link: pair.peer });
  const lease = await guest.boot();
  const at = (to: number) => ({ addr: parseIp('10.0.2.2')!, port: to });
  const refused = await new Promise<string>((resolve) => {
    guest.connectTcp(at(closedPort), { onClose: (_socket, reason) => resolve(reason) });
  });
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  await new Promise<void>((resolve, reject) => {
    guest.connectTcp(at(port), {
      onReadable: (socket) => {
        const chunk = new Uint8Array(socket.readable);
        socket.read(chunk);
        chunks.push(chunk);
      },
      onEnd: (socket) => {
        socket.end();
        resolve();
      },
      onClose: (socket, reason) => reject(new Error(`${formatEndpoint(socket.peer)}: ${reason}`)),
    });
  });
  const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  guest.close();
  await network.close();
  const { flows, timers, arena } = network.stats();
  return {
    ...{ lease: lease.text, bytes: bytes.length, refused },
    sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    left: flows.tcp + flows.udp + timers + arena.used,
  };
}

Object.assign(globalThis, { run });
