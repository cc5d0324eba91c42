// Debian in v86, in this process, on a network with real sockets, once with each of v86's cards: its lease, a name, bulk
// data both ways beside what the card takes of bare frames, a forward, and the machine set back to a saved state.
//
// A rate has two bounds here. One is the card's: as many frames as it takes when nobody wants them. The other is the guest's
// own TCP, on the one thread that it shares with us: while that is taken by v86, nothing that we do would make it faster.

import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNodeNetwork } from '../../src/node/node-network.ts';
import { attachV86 } from '../../src/v86.ts';
import { CARDS, type Card } from '../../tools/v86/settings.ts';
import { answerTo } from '../support/dns-messages.ts';
import { bytes, type Digest, digest, digestOf, listen } from './support/host-servers.ts';
import { poll, within } from './support/processes.ts';
import { describeWithV86 } from './support/requirements.ts';
import { V86Guest } from './support/v86-guest.ts';

const MIB = 2 ** 20;
const BULK = 16 * MIB;
const SEED = 5;
/** Of what the card takes. */
const RATIO = 0.6;
/** Or so much of the time is v86's own. */
const BUSY = 0.75;
/** v86 compiles the guest's code while it runs: the first transfers are several times slower. */
const WARM_UPS = 2;

interface Transfer {
  readonly rate: number;
  /** Share of the time in which v86 had the thread. */
  readonly busy: number;
}

describeWithV86('Debian in v86', () => {
  describe.for(CARDS)('with its %s card', (card) => {
    let bench: Bench;
    beforeAll(async () => {
      bench = await openBench(card);
    });
    afterAll(() => bench.close());
    bulkTests(() => bench);
    connectionTests(() => bench);
  });

  test('the example: a page each way', async () => {
    const root = resolve(import.meta.dirname, '../..');
    const program = ['tools/run.mjs', 'tools/examples/v86-node.ts'];
    const child = spawn(process.execPath, program, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    const [status] = await within(60_000, 'the example', once(child, 'exit'));
    expect(output).toMatch(/ has 10\.0\.2\.15\nhello from the host\nhello from the guest\n$/);
    expect(status).toBe(0);
  });
});

/** A machine with one of the cards, on a network that has a name server and leads to the guest's port 80. */
interface Bench {
  readonly card: Card;
  readonly guest: V86Guest;
  readonly network: ReturnType<typeof createNodeNetwork>;
  /** Where the guest's port 80 is on the host. */
  readonly web: string;
  /** What the network has said of its guest, and the cable of its errors. */
  readonly said: string[];
  close(): Promise<void>;
}

async function openBench(card: Card): Promise<Bench> {
  const names = createSocket('udp4').on('message', (query, from) => {
    names.send(answerTo(query, [192, 0, 2, 86]), from.port, from.address);
  });
  names.bind(0, '127.0.0.1');
  await once(names, 'listening');
  const guest = await V86Guest.restore(card);
  const network = createNodeNetwork({
    dns: { resolvers: [`127.0.0.1:${names.address().port}`] },
    forwards: [{ proto: 'tcp', host: '127.0.0.1:0', guest: '80' }],
  });
  const said: string[] = [];
  for (const name of ['guest-down', 'guest-up'] as const) network.on(name, () => void said.push(name));
  const [forward] = await network.start();
  const cable = attachV86(network, guest.machine, { onError: (error) => void said.push(error.message) });
  await guest.machine.run();
  const close = async (): Promise<void> => {
    await cable.close();
    await network.close();
    await guest.close();
    names.close();
  };
  return { card, guest, network, web: forward!.host, said, close };
}

function bulkTests(bench: () => Bench): void {
  test('a lease and a name', async () => {
    const { guest } = bench();
    const lease = await guest.lease();
    expect(lease).toMatchObject({ ip: '10.0.2.15', router: '10.0.2.2', dns: '10.0.2.3', mtu: '1500' });
    expect(await guest.run('nslookup -type=a www.example')).toContain('192.0.2.86');
  });

  test('wget of 16 MiB: every byte, as fast as the card or the guest can', async () => {
    const { card, guest, network } = bench();
    const transfers: Transfer[] = [];
    const file = [...bytes(BULK, SEED)];
    const server = await listen((socket) => serve(socket, file, guest, transfers));
    const get = (path: string) => guest.run(`wget -q -O ${path} http://10.0.2.2:${server.port}/`);
    await get('/tmp/file');
    expect(await guest.run('md5sum /tmp/file')).toContain(digest(BULK, SEED));
    for (let i = 0; i < WARM_UPS; i++) await get('/dev/null');
    await guest.bareRate(1000);
    const bare = await guest.bareRate(1500);
    await get('/dev/null');
    await poll(5000, 'the end of the last', () => (transfers.length === WARM_UPS + 2 ? true : undefined));
    const { rate, busy } = best(transfers.slice(-2));
    const ratio = rate / bare;
    tell(`${card}: download`, { rate, busy }, `, ${ratio.toFixed(2)} of what the card takes`);
    expect(ratio >= RATIO || busy >= BUSY).toBe(true);
    server.close();
    expect(network.stats().links[0]!.losses).toBe(undefined);
  });

  test('an upload of 16 MiB', async () => {
    const { card, guest } = bench();
    const transfers: Transfer[] = [];
    const got: Digest[] = [];
    const server = await listen(async (socket) => {
      const start = started(guest);
      got.push(await digestOf(socket));
      transfers.push(start(BULK));
      socket.end();
    });
    // `nc` itself writes a kilobyte at a time; the program that it runs has the connection for its output.
    for (let i = 0; i < WARM_UPS; i++) await guest.run(`nc 10.0.2.2 ${server.port} -e cat /tmp/file`);
    await poll(5000, 'the uploads', () => (transfers.length === WARM_UPS ? true : undefined));
    expect(got).toEqual(Array(WARM_UPS).fill({ digest: digest(BULK, SEED), length: BULK }));
    tell(`${card}: upload`, best(transfers));
    server.close();
    await guest.run('rm /tmp/file');
  });
}

function connectionTests(bench: () => Bench): void {
  test('a forward to its httpd: 100 connections', async () => {
    const { guest, web } = bench();
    await guest.run('mkdir -p /tmp/www; echo from the guest >/tmp/www/index.html; httpd -h /tmp/www');
    let left = 100;
    const fetchAll = async (): Promise<void> => {
      while (left-- > 0)
        expect(await fetchPage(web)).toMatch(/^HTTP\/1\.[01] 200 OK\r\n[\s\S]*from the guest\n$/);
    };
    await Promise.all(Array.from({ length: 10 }, fetchAll));
  });

  test('restore_state(): flows of before end on both sides, and the guest goes on', async () => {
    const { guest, network, said } = bench();
    const ends: string[] = [];
    const server = await listen((socket) => record(socket, ends));
    const talk = (name: string) =>
      guest.run(`mkfifo /tmp/${name}; nc 10.0.2.2 ${server.port} <>/tmp/${name} >/tmp/${name}.out 2>&1 &
        echo ${name} >/tmp/${name}`);
    await talk('old');
    await poll(5000, 'a connection', () => (ends.includes('old') ? true : undefined));
    const state = await guest.machine.save_state();
    await talk('new');
    await poll(5000, 'another', () => (ends.includes('new') ? true : undefined));
    said.length = 0;
    await guest.machine.restore_state(state);
    expect(said).toEqual(['guest-down', 'guest-up']);
    await poll(5000, 'both ends', () => (ends.length === 4 ? true : undefined));
    expect(ends.slice(2)).toEqual(['ECONNRESET', 'ECONNRESET']);
    expect(network.flows()).toEqual([]);
    // The guest has one of them still, and learns of it when it sends.
    expect(await guest.run('pidof nc | wc -w; ls /tmp/*.out')).toBe('1\n/tmp/old.out');
    await guest.run(
      'echo more >/tmp/old & n=0; while pidof nc; do usleep 20000; n=$((n+1)); test $n -lt 250 || exit 1; done',
    );
    expect(network.stats().leases.map((lease) => lease.address)).toEqual(['10.0.2.15']);
    expect(await guest.run('nslookup -type=a after.example')).toContain('192.0.2.86');
    server.close();
  });
}

/** Answers one request with `file`, and notes how that went. */
function serve(socket: Socket, file: readonly Buffer[], guest: V86Guest, transfers: Transfer[]): void {
  socket.once('data', () => {
    const start = started(guest);
    socket.write(`HTTP/1.0 200 OK\r\nContent-Length: ${BULK}\r\n\r\n`);
    for (const block of file) socket.write(block);
    socket.end();
    socket.once('close', () => transfers.push(start(BULK)));
  });
}

/** Begins to measure; returns what ends that. */
function started(guest: V86Guest): (bytes: number) => Transfer {
  const [at, busyMs] = [performance.now(), guest.busyMs];
  return (bytes) => {
    const ms = performance.now() - at;
    return { rate: (bytes / ms) * 1000, busy: (guest.busyMs - busyMs) / ms };
  };
}

function best(transfers: readonly Transfer[]): Transfer {
  return transfers.reduce((a, b) => (b.rate > a.rate ? b : a));
}

function tell(what: string, { rate, busy }: Transfer, more = ''): void {
  process.stderr.write(
    `\n${what}: ${(rate / MIB).toFixed(1)} MiB/s, v86 has ${busy.toFixed(2)} of the time${more}\n`,
  );
}

async function fetchPage(at: string): Promise<string> {
  const socket = connect(Number(at.split(':')[1]), '127.0.0.1');
  socket.write('GET / HTTP/1.0\r\n\r\n');
  let reply = '';
  for await (const chunk of socket) reply += `${chunk}`;
  return reply;
}

/** Notes what comes, and how it ends. */
function record(socket: Socket, ends: string[]): void {
  socket.on('data', (text) => void ends.push(`${text}`.trim()));
  socket.on('error', (error: NodeJS.ErrnoException) => void ends.push(error.code ?? error.message));
}
