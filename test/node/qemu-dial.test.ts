import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StreamLinkSpec } from '../../src/node/link-spec.ts';
import { dialQemu, LinkNames } from '../../src/node/qemu-port.ts';
import { type StuckListener, stuckListener } from '../support/stuck-listener.ts';

let silent: StuckListener;
beforeEach(async () => {
  silent = await stuckListener();
});
afterEach(() => silent.close());

function specOf(reconnectSeconds: number): StreamLinkSpec {
  return { kind: 'tcp', host: '127.0.0.1', port: silent.port, server: false, reconnectSeconds };
}

const noLink = (): never => {
  throw new Error('a link came');
};

test('nobody answers: the attempt ends when the signal is aborted, and says where', async () => {
  const stop = new AbortController();
  const attempt = dialQemu(specOf(0), noLink, new LinkNames(), { signal: stop.signal });
  const first = await Promise.race([
    attempt,
    new Promise((resolve) => setImmediate(() => setImmediate(resolve))),
  ]);
  expect(first).toBeUndefined();
  stop.abort();
  await expect(attempt).rejects.toThrow(
    `tcp:127.0.0.1:${silent.port}: closed before the connection was there`,
  );
});

test('aborted before it began: no attempt is made', async () => {
  const signal = AbortSignal.abort();
  await expect(dialQemu(specOf(0), noLink, new LinkNames(), { signal })).rejects.toThrow(/closed before/);
});

test('reconnect=1, nobody answers: the port is there at once, and can be closed', async () => {
  const port = await dialQemu(specOf(1), noLink);
  await port.close();
});
