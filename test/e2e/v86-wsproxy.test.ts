// Debian in v86 with v86's own wsproxy backend, as it is in the package, and the URL of our WebSocket link for its relay.
// Unlike our cable to v86 it does not look at the card. What finds no room there is lost, and TCP sends it again. But an ne2k
// card that interrupts the guest at the wrong moment is never heard again (link/v86-card.ts), which happens with one upload of
// 2 MiB in four: files are for virtio alone.

import { beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { serveWebSocket } from '../../src/websocket.ts';
import { CARDS } from '../../tools/v86/settings.ts';
import { bytes, type Digest, digest, digestOf, freePort, listen } from './support/host-servers.ts';
import { poll } from './support/processes.ts';
import { describeWithV86 } from './support/requirements.ts';
import { V86Guest } from './support/v86-guest.ts';

const LENGTH = 2 << 20;
const SEED = 8;
const FILE = { digest: digest(LENGTH, SEED), length: LENGTH };

describeWithV86("Debian in v86 by v86's own wsproxy backend", () => {
  beforeAll(() => {
    // Node 20 has no WebSocket of its own; a browser has.
    (globalThis as { WebSocket?: unknown }).WebSocket ??= WebSocket;
  });

  test.for(CARDS)('%s: a lease, a refusal, and the end; virtio: a file each way', async (card) => {
    const serving = await serveWebSocket({ network: { hostLoopback: true } });
    const guest = await V86Guest.restore(card, { relayUrl: serving.url });
    await guest.machine.run();
    const lease = await guest.lease();
    expect(lease).toMatchObject({ ip: '10.0.2.15', router: '10.0.2.2', dns: '10.0.2.3', mtu: '1500' });

    if (card === 'virtio') await transferFiles(guest);
    await expect(guest.run(`nc 10.0.2.2 ${await freePort()}`)).rejects.toThrow('Connection refused');
    // What is behind this computer is no business of a page's.
    await expect(guest.run('nc 192.168.1.1 80')).rejects.toThrow('Connection refused');

    const [network] = serving.networks;
    const { leases, links, drops } = network!.stats();
    expect(leases.map(({ address }) => address)).toEqual(['10.0.2.15']);
    expect(links[0]!.losses).toBe(undefined);
    // Beside its IPv6.
    expect({ ...drops, EthernetUnknownType: 0 }).toEqual({ PolicyDenied: 1, EthernetUnknownType: 0 });
    expect(serving.port.refused).toEqual({});
    await guest.close();
    await poll(5000, "the end of the guest's network", () =>
      serving.networks.size === 0 ? true : undefined,
    );
    await serving.close();
  });
});

async function transferFiles(guest: V86Guest): Promise<void> {
  const got: Digest[] = [];
  const web = await listen((socket) => {
    socket.once('data', () => {
      socket.write(`HTTP/1.0 200 OK\r\nContent-Length: ${LENGTH}\r\n\r\n`);
      for (const block of bytes(LENGTH, SEED)) socket.write(block);
      socket.end();
    });
  });
  const sink = await listen(async (socket) => {
    got.push(await digestOf(socket));
    socket.end();
  });
  await guest.run(`wget -q -O /tmp/file http://10.0.2.2:${web.port}/`);
  expect(await guest.run('md5sum </tmp/file')).toContain(FILE.digest);
  await guest.run(`nc 10.0.2.2 ${sink.port} -e cat /tmp/file`);
  await poll(5000, 'the upload', () => (got.length > 0 ? true : undefined));
  expect(got).toEqual([FILE]);
  for (const server of [web, sink]) server.close();
}
