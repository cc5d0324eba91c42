// The built command line without a guest: what it says, what it refuses, how it ends. Raw sockets stand for guests, and
// shell scripts for QEMU.

import { statSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NetworkStats } from '../../src/network/stats.ts';
import { stuckListener } from '../support/stuck-listener.ts';
import { Lab, type Process, poll, showLogsOfFailures } from './support/processes.ts';
import { program } from './support/requirements.ts';

const MS = 10_000;

let lab: Lab;
beforeAll(() => {
  lab = new Lab('cli');
});
afterAll(() => lab.close());
showLogsOfFailures(() => lab);

let copy = '';
function usernet(...args: string[]): Process {
  copy ||= lab.copy(program);
  return lab.spawn(`usernet ${args.join(' ')}`, [process.execPath, copy, ...args]);
}

async function ended(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const run = usernet(...args);
  const { code } = await run.exited;
  return { code, stdout: run.stdout, stderr: run.stderr };
}

/** A connection that never says a word. */
function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.on('error', reject);
  });
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

function documents(text: string): NetworkStats[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as NetworkStats);
}

describe('what makes no sense: one line that names it, exit status 2, nothing on standard output', () => {
  test.each([
    [['serve'], 'serve: no such command; see usernet --help'],
    [['run'], '--link: at least one is needed, such as unix:/tmp/net.sock'],
    [['run', '--lnk', 'x'], '--lnk: no such option; see usernet run --help'],
    [['run', '--link', 'vde:x'], '--link vde:x: begins with none of unix:, tcp:, ws: and tap:'],
    [['run', '--link', 'unix:x', '--stats', 'xml'], '--stats: "xml" is not text or json'],
    [['run', '--link', 'unix:x', '--net', 'user,smb=/srv'], '--net: smb: not supported yet'],
    [['run', '--link', 'unix:x', '--net', 'user,net=10.0.2.0/40'], '--net: net: /40 is not a prefix length'],
    [['run', '--link', 'unix:x', '--pcap', '/nowhere/x'], '--pcap: /nowhere/x: no such file or directory'],
    [
      ['run', '--link', 'unix:x', '--pcap', 'x,size=10'],
      '--pcap: size: 10 is not a whole number from 1024 to 1099511627776',
    ],
    [
      ['run', '--link', 'unix:x', '--pcap', 'x,y.pcap'],
      '--pcap: there is no option "y.pcap"; a comma in a path is doubled',
    ],
    [['run', '--link', 'unix:x', '--pcap', 'x', '--pcap', './x'], '--pcap: ./x: is written to twice'],
    [['qemu', '--pcap', 'x,files=2', '--', 'true'], '--pcap: files: needs size'],
    [['demo', '--pcap', 'x,format=ng'], '--pcap: format: "ng" is not pcap or pcapng'],
    [['qemu'], 'qemu: the command is missing: usernet qemu -- qemu-system-x86_64 ...'],
    [['qemu', '--', 'qemu', '-nic', 'user,tftp=/srv'], '-nic user,tftp=/srv: tftp: not supported yet'],
  ])('usernet %j', async (args, line) => {
    expect(await ended(...args)).toEqual({ code: 2, stdout: '', stderr: `usernet: ${line}\n` });
  });

  test('nothing said is a call for help', async () => {
    const { code, stdout, stderr } = await ended();
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe((await ended('--help')).stdout);
  });
});

test('help and version are on standard output', async () => {
  expect((await ended('--version')).stdout).toMatch(/^usernet \d+\.\d+\.\d+\n$/);
  const full = (await ended('--help')).stdout;
  for (const command of ['run', 'qemu']) {
    const part = (await ended(command, '--help')).stdout;
    expect(part).toMatch(new RegExp(`^Usage: usernet ${command} `));
    expect(full).toContain(part);
    expect((await ended('help', command)).stdout).toBe(part);
  }
});

describe('usernet run', () => {
  test('says what it serves and where; the socket is its owner’s alone, and gone at the end', async () => {
    const path = lab.path('net.sock');
    const run = usernet('run', '--link', `unix:${path}`, '--link', 'tcp:0', '--net', 'user,net=10.9.0.0/24');
    await run.output(/ready\n/, MS);
    const lines = run.stderr.split('\n');
    expect(lines[0]).toBe(
      'usernet: network 10.9.0.0/24, gateway 10.9.0.2, name service 10.9.0.3, first lease 10.9.0.15',
    );
    expect(lines[1]).toBe("usernet: the guest can reach this host's loopback through 10.9.0.2");
    expect(run.stderr).toContain(
      `-netdev stream,id=net0,server=off,addr.type=unix,addr.path=${path} -device`,
    );
    expect(run.stderr).toMatch(
      /server=off,addr\.type=inet,addr\.host=127\.0\.0\.1,addr\.port=[1-9]\d* -device/,
    );
    expect(run.stderr).toContain('needs a MAC of its own');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((await run.stop('SIGTERM', MS)).code).toBe(0);
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s: statistics, exit status 0 within a second',
    async (name) => {
      const path = lab.path(`${name}.sock`);
      const run = usernet('run', '--link', `unix:${path}`);
      await run.output(/ready\n/, MS);
      const guest = await connected(path);
      await run.output(/qemu0: up\n/, MS);
      const closed = new Promise((resolve) => guest.once('close', resolve).resume());
      const { code, tookMs } = await run.stop(name, MS);
      expect(code).toBe(0);
      expect(tookMs).toBeLessThan(1000);
      await closed;
      expect(run.stdout).toMatch(
        /^network: up [\d.]+ s\n {2}flows +tcp 0 open, 0 in all; udp 0 open, 0 in all\n/,
      );
      for (const word of ['leases', 'link     qemu0', 'dropped  none', 'lost     none'])
        expect(run.stdout).toContain(word);
    },
  );

  test('SIGUSR1 prints statistics and goes on; --stats json is a document a line', async () => {
    const path = lab.path('usr1.sock');
    const run = usernet('run', '--link', `unix:${path}`, '--stats=json');
    await run.output(/ready\n/, MS);
    run.signal('SIGUSR1');
    await run.output(/\}\n/, MS);
    const guest = await connected(path);
    await run.output(/qemu0: up\n/, MS);
    run.signal('SIGUSR1');
    await run.output(/\}\n.*\}\n/, MS);
    guest.destroy();
    await run.output(/qemu0: down: /, MS);
    await run.stop('SIGTERM', MS);
    const stats = documents(run.stdout);
    expect(stats.map((s) => s.links.map((l) => [l.name, l.up]))).toEqual([
      [],
      [['qemu0', true]],
      [['qemu0', false]],
    ]);
  });

  test('a forward that cannot be bound, or a place that is taken: one line, exit status 1', async () => {
    const taken = createServer();
    const port = await listening(taken);
    const forward = await ended(
      ...['run', '--link', `unix:${lab.path('f.sock')}`, '--net', `user,hostfwd=tcp:127.0.0.1:${port}-:22`],
    );
    expect(forward).toMatchObject({ code: 1, stdout: '' });
    expect(forward.stderr).toMatch(new RegExp(`^usernet: hostfwd: 127\\.0\\.0\\.1:${port}: .*\n$`));
    const link = await ended('run', '--link', `tcp:127.0.0.1:${port}`);
    expect(link).toMatchObject({ code: 1, stdout: '' });
    expect(link.stderr).toMatch(new RegExp(`^usernet: --link: tcp:127\\.0\\.0\\.1:${port}.*\n$`));
    taken.close();
  });

  test('--isolated: a network for each guest, the first has the forwards, and each ends with its guest', async () => {
    const path = lab.path('isolated.sock');
    const net = 'user,hostfwd=tcp:127.0.0.1:0-:22';
    const run = usernet('run', '--link', `unix:${path}`, '--isolated', '--stats', 'json', '--net', net);
    await run.output(/ready\n/, MS);
    const first = await connected(path);
    await run.output(/qemu0: forward tcp 127\.0\.0\.1:[1-9]\d* to the guest's 10\.0\.2\.15:22\n/, MS);
    await run.output(/qemu0: up\n/, MS);
    const second = await connected(path);
    await run.output(/qemu1: has no forwards, they lead to qemu0\n/, MS);
    await run.output(/qemu1: up\n/, MS);
    first.destroy();
    await run.output(/qemu0: down: .*\n/, MS);
    await poll(MS, 'statistics of the first', () => (documents(run.stdout).length === 1 ? true : undefined));
    second.on('close', () => second.destroy()).resume();
    expect((await run.stop('SIGTERM', MS)).code).toBe(0);
    expect(documents(run.stdout).map((s) => s.links.map((l) => l.name))).toEqual([['qemu0'], ['qemu1']]);
  });

  test('server=off: it ends with the guest that it connected to', async () => {
    const guest = createServer((socket) => setTimeout(() => socket.destroy(), 50));
    const port = await listening(guest);
    const { code, stdout, stderr } = await ended('run', '--link', `tcp:${port},server=off`);
    expect(code).toBe(0);
    expect(stdout).toContain('qemu0 down');
    expect(stderr).toContain(
      `-netdev stream,id=net0,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=${port} `,
    );
    guest.close();
  });

  test('server=off, refused: one line more, exit status 1', async () => {
    const taken = createServer();
    const port = await listening(taken);
    await new Promise((resolve) => taken.close(resolve));
    const { code, stderr } = await ended('run', '--link', `tcp:${port},server=off`);
    expect(code).toBe(1);
    expect(stderr.split('\n').at(-2)).toMatch(
      new RegExp(`^usernet: --link: tcp:127\\.0\\.0\\.1:${port}: .*REFUSED`),
    );
  });

  test.each(['', ',reconnect=1'])(
    'server=off%s, nobody answers: it is ready, and a signal ends it within a second',
    async (reconnect) => {
      const silent = await stuckListener();
      const run = usernet('run', '--link', `tcp:${silent.port},server=off${reconnect}`);
      await run.output(/ready\n/, MS);
      const { code, tookMs } = await run.stop('SIGTERM', MS);
      silent.close();
      expect(code).toBe(0);
      expect(tookMs).toBeLessThan(1000);
      expect(run.stdout).toMatch(/^network: up /);
    },
  );
});

/** Loaded before the program: a bug that the first frame of EtherType 0x88b5 (for experiments) trips over. */
const BUG = `
  const { getUint16 } = DataView.prototype;
  let tripped = false;
  DataView.prototype.getUint16 = function (...args) {
    const value = getUint16.apply(this, args);
    if (value !== 0x88b5 || tripped) return value;
    tripped = true;
    throw new TypeError('tripped');
  };
`;

test('a bug of ours: it is called one, the last frames of the link are told, the capture is whole, exit status 1', async () => {
  const [path, pcap] = [lab.path('bug.sock'), lab.path('bug.pcap')];
  copy ||= lab.copy(program);
  const preload = `data:text/javascript,${encodeURIComponent(BUG)}`;
  const args = ['--import', preload, copy, 'run', '--link', `unix:${path}`, '--pcap', pcap];
  const run = lab.spawn('usernet with a bug', [process.execPath, ...args]);
  await run.output(/ready\n/, MS);
  const guest = await connected(path);
  await run.output(/qemu0: up\n/, MS);
  const request = 'ffffffffffff525400123456080600010800060400015254001234560a00020f0000000000000a000202';
  const experiment = 'ffffffffffff52540012345688b50000';
  guest.write(Buffer.from(`0000002a${request}00000010${experiment}`, 'hex'));
  expect((await run.exited).code).toBe(1);
  const told = run.stderr.slice(run.stderr.indexOf('qemu0: up\n') + 'qemu0: up\n'.length).split('\n');
  expect(told.slice(0, 5)).toEqual([
    'usernet: this is a bug of usernet, please report it with all that follows: TypeError: tripped',
    'usernet: qemu0: from guest: ARP, Request who-has 10.0.2.2 tell 10.0.2.15, length 28',
    'usernet: qemu0: from guest: 52:54:00:12:34:56 > ff:ff:ff:ff:ff:ff, ethertype 0x88b5, length 16',
    expect.stringMatching(/^usernet: qemu0: to guest: ARP, Reply 10\.0\.2\.2 is-at /),
    'usernet: TypeError: tripped',
  ]);
  expect(told[5]).toMatch(/^ {4}at /);
  // The header, then three records: the question, its answer, the frame that was too much.
  expect(statSync(pcap).size).toBe(24 + 3 * 16 + 42 + 60 + 16);
});

describe('usernet qemu', () => {
  const script = (text: string, ...args: string[]): string[] => [
    'qemu',
    '--',
    'sh',
    '-c',
    text,
    'qemu',
    ...args,
  ];

  test('the socket is there before QEMU is, in a folder of our own, and all of it is gone afterwards', async () => {
    const look = 'echo $2; socket=$(echo $2 | sed s/.*addr.path=//); stat -c %a $socket $(dirname $socket)';
    const { code, stdout, stderr } = await ended(...script(look, '-netdev', 'user,id=n1,net=10.7.0.0/24'));
    expect(code).toBe(0);
    const [netdev = '', ...modes] = stdout.trim().split('\n');
    expect(netdev).toMatch(/^stream,id=n1,server=off,addr\.type=unix,addr\.path=\//);
    expect(modes).toEqual(['600', '700']);
    expect(stderr).toContain("n1: the guest can reach this host's loopback through 10.7.0.2");
    const path = netdev.replace(/.*addr\.path=/, '').replace(/\/[^/]*$/, '');
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  test('QEMU’s exit status is ours, a signal’s included; 127 when it is not there', async () => {
    expect((await ended(...script('exit 7'))).code).toBe(7);
    expect((await ended(...script('kill -KILL $$'))).code).toBe(137);
    const missing = await ended('qemu', '--', 'no-such-qemu', '-nic', 'none');
    expect(missing).toEqual({ code: 127, stdout: '', stderr: 'usernet: no-such-qemu: not found\n' });
  });

  test('SIGTERM goes to QEMU, which ends as it likes', async () => {
    const run = usernet(...script("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"));
    await run.output(/up\n/, MS);
    expect((await run.stop('SIGTERM', MS)).code).toBe(3);
    expect(run.stdout).toContain('bye\n');
  });

  test('--stats prints a document for each network when QEMU has ended', async () => {
    const { stdout } = await ended(
      'qemu',
      '--stats=json',
      'sh',
      '-c',
      'true',
      'qemu',
      '-nic',
      'user',
      '-nic',
      'user',
    );
    expect(documents(stdout)).toHaveLength(2);
    expect((await ended(...script('true'))).stdout).toBe('');
  });
});
