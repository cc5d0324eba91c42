// Two guests on two links of one `usernet run`: on one switch, and with --isolated each on a network of its own.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Guest } from './support/guest.ts';
import { byteStream, digest, listen, type TcpServer } from './support/host-servers.ts';
import { Lab, showLogsOfFailures } from './support/processes.ts';
import { describeWithGuest } from './support/requirements.ts';
import { UsernetRun } from './support/usernet.ts';

const LENGTH = 4 << 20;
/** An address that no DHCP server gave. */
const EXTRA = '10.0.2.99';

interface Pair {
  readonly lab: Lab;
  readonly usernet: UsernetRun;
  readonly guests: readonly [Guest, Guest];
  /** Their leased addresses. */
  readonly addresses: readonly [string, string];
}

async function bootPair(lab: Lab, args: readonly string[], macs: readonly string[]): Promise<Pair> {
  const links = [lab.path('one.sock'), lab.path('two.sock')];
  const usernet = await UsernetRun.start(lab, { links, args });
  const boot = (index: number) => {
    const device = ['-device', `e1000,netdev=net0,mac=${macs[index]}`];
    const network = ['-netdev', UsernetRun.netdev(links[index]!), ...device];
    return Guest.boot(lab, { name: `guest-${index + 1}`, nic: 'e1000', network, memoryMiB: 256 });
  };
  const guests = await Promise.all([boot(0), boot(1)]);
  // One after the other, so that it is known who gets which address.
  const addresses = [(await guests[0].lease())['ip'] ?? '', (await guests[1].lease())['ip'] ?? ''] as const;
  await guests[0].run(`ip addr add ${EXTRA}/24 dev eth0`);
  await guests[0].startEcho();
  return { lab, usernet, guests, addresses };
}

/** Each guest's own way to the host. */
async function expectBothOnline(guests: readonly Guest[], server: TcpServer): Promise<void> {
  const command = `socat -u TCP4:10.0.2.2:${server.port} - | md5sum`;
  const sums = await Promise.all(guests.map((guest) => guest.run(command)));
  const expected = `${digest(LENGTH, 5)}  -`;
  expect(sums).toEqual([expected, expected]);
}

function servers(): Promise<TcpServer> {
  return listen((socket) => byteStream(LENGTH, 5).pipe(socket));
}

describeWithGuest('two guests on two links', [], () => {
  let lab: Lab;
  let pair: Pair;
  let server: TcpServer;
  beforeAll(async () => {
    lab = new Lab('shared');
    server = await servers();
    pair = await bootPair(lab, [], ['52:54:00:12:34:56', '52:54:00:12:34:57']);
  });
  afterAll(async () => {
    server?.close();
    await lab?.close();
  });
  showLogsOfFailures(() => lab);

  test('each has an address of its own', () => {
    expect(pair.addresses).toEqual(['10.0.2.15', '10.0.2.16']);
  });

  test('each reaches the host, at the same time', () => expectBothOnline(pair.guests, server));

  test('they reach each other', async () => {
    const [first, second] = pair.guests;
    expect(await second.run('echo hello | nc 10.0.2.15 7')).toBe('hello');
    expect(await second.run(`arping -I eth0 -c 1 -w 3 ${EXTRA}`)).toContain('1 response');
    // Ping is between guests here, and no business of the gateway's.
    expect(await first.run('ping -c 1 -W 2 10.0.2.16')).toContain('1 packets received');
  });

  test('1 MiB from guest to guest arrives whole', async () => {
    const [first, second] = pair.guests;
    const sum = await second.run('head -c 1048576 /dev/urandom >/tmp/out; md5sum </tmp/out');
    const receiving = first.run('socat -u TCP4-LISTEN:9 - | md5sum');
    await first.run("until netstat -ltn | grep -q ':9 '; do usleep 20000; done");
    await second.run('socat -u OPEN:/tmp/out TCP4:10.0.2.15:9');
    expect(await receiving).toBe(sum);
  });

  test('statistics name both links and both leases', async () => {
    const stats = await pair.usernet.stats();
    expect(stats.leases.map((lease) => lease.address).sort()).toEqual(['10.0.2.15', '10.0.2.16']);
    expect(stats.links.filter((link) => link.up && link.framesIn > 0)).toHaveLength(2);
  });
});

describeWithGuest('two guests on two links, --isolated', [], () => {
  let lab: Lab;
  let pair: Pair;
  let server: TcpServer;
  beforeAll(async () => {
    lab = new Lab('isolated');
    server = await servers();
    // QEMU gives every guest this MAC: alone on their networks they may both have it.
    pair = await bootPair(lab, ['--isolated'], ['52:54:00:12:34:56', '52:54:00:12:34:56']);
  });
  afterAll(async () => {
    server?.close();
    await lab?.close();
  });
  showLogsOfFailures(() => lab);

  test('both are 10.0.2.15', () => {
    expect(pair.addresses).toEqual(['10.0.2.15', '10.0.2.15']);
  });

  test('each reaches the host, at the same time', () => expectBothOnline(pair.guests, server));

  test('they do not reach each other', async () => {
    const [, second] = pair.guests;
    const arp = await second.sh(`arping -I eth0 -c 2 -w 2 ${EXTRA}`);
    expect(arp.output).toContain('0 response');
    const tcp = await second.sh(`socat -u OPEN:/dev/null TCP4:${EXTRA}:7,connect-timeout=2`);
    expect({ status: tcp.status, output: tcp.output }).toMatchObject({ status: 1 });
  });
});
