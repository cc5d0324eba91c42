// `--pcap` of the built command line, with raw sockets for guests: several captures of one run, each with its options.

import { readdirSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readShown, tsharkFields } from '../support/capture-story.ts';
import { arp, echo, ethernet } from '../support/raw-frames.ts';
import { testWith } from '../support/tools.ts';
import { Lab, poll, showLogsOfFailures } from './support/processes.ts';
import { program } from './support/requirements.ts';

const MS = 10_000;
const PINGS = 40;
const FIRST = '52:54:00:00:00:01';
const SECOND = '52:54:00:00:00:02';

let lab: Lab;
beforeAll(async () => {
  lab = new Lab('capture');
  await record();
});
afterAll(() => lab.close());
showLogsOfFailures(() => lab);

let stderr = '';

function guest(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket.resume()));
    socket.on('error', reject);
  });
}

function send(socket: Socket, ...frames: readonly Buffer[]): void {
  for (const frame of frames) {
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(frame.length);
    socket.write(Buffer.concat([prefix, frame]));
  }
}

/** Two guests: each asks for the gateway, the first says something to the second and pings in vain. */
async function record(): Promise<void> {
  const path = lab.path('net.sock');
  const captures = [
    'all.pcapng,precision=nano',
    'pings.pcap,filter=icmp and ether host 52:54:00:00:00:01,snaplen=34',
    'second,,guest.pcapng,link=qemu1',
    'ring.pcapng,size=2K,files=3',
    'short.pcap,size=1K',
  ];
  const args = ['run', '--link', `unix:${path}`, ...captures.flatMap((capture) => ['--pcap', capture])];
  const run = lab.spawn('usernet run', [process.execPath, lab.copy(program), ...args]);
  await run.output(/ready\n/, MS);
  const first = await guest(path);
  await run.output(/qemu0: up\n/, MS);
  const second = await guest(path);
  await run.output(/qemu1: up\n/, MS);
  send(second, arp(1, '10.0.2.16', '10.0.2.2', { from: SECOND }));
  // The answer says that the switch knows the second guest.
  await new Promise((resolve) => second.once('data', resolve));
  const pings = Array.from({ length: PINGS }, () => echo({ from: FIRST }));
  send(first, arp(1, '10.0.2.15', '10.0.2.2', { from: FIRST }));
  send(first, ethernet(Buffer.alloc(46), { from: FIRST, to: SECOND }), ...pings);
  await poll(MS, 'the last ping', async () => {
    run.signal('SIGUSR1');
    return new RegExp(`IcmpByDesign ${PINGS}`).test(run.stdout) ? true : undefined;
  });
  expect((await run.stop('SIGTERM', MS)).code).toBe(0);
  stderr = run.stderr;
}

const shownIn = (name: string) => readShown(lab.path(name));

/** A frame as readShown() tells it, in words: link, time, length, captured length and bytes. */
const wordsIn = (name: string): string[][] => shownIn(name).map(({ frame }) => frame.split(/[ :]/));

/** Lengths and bytes: what a frame has in common in captures of different precision. */
const contentsIn = (name: string): string[] => wordsIn(name).map((words) => words.slice(2).join(' '));

/** As long as the question of a guest is flooded, and answered, and one frame goes from guest to guest. */
const OTHERS = 2 * 3 + 2;

test('every frame of every link, with the reasons of drops', () => {
  const comments = shownIn('all.pcapng').map((frame) => frame.comments);
  expect(comments).toHaveLength(OTHERS + PINGS);
  expect(comments.filter((comment) => comment !== '')).toEqual(
    Array.from({ length: PINGS }, () => 'dropped: IcmpByDesign'),
  );
});

test('a filter and a snap length', () => {
  const lengths = wordsIn('pings.pcap').map((words) => words.slice(2, 4));
  expect(lengths).toEqual(Array.from({ length: PINGS }, () => [`${echo().length}`, '34']));
});

test('the frames of one link, those from another guest among them; a comma in the path', () => {
  expect(wordsIn('second,guest.pcapng').map(([link]) => link)).toEqual(['qemu1', 'qemu1', 'qemu1', 'qemu1']);
});

test('a ring: the last frames, in files that are whole', () => {
  const names = readdirSync(lab.folder).filter((name) => name.startsWith('ring.'));
  expect(names.sort()).toEqual(['ring.1.pcapng', 'ring.2.pcapng', 'ring.pcapng']);
  const beginning = (name: string): number => Number(wordsIn(name)[0]![1]);
  const last = names.sort((a, b) => beginning(a) - beginning(b)).flatMap(contentsIn);
  const all = contentsIn('all.pcapng');
  expect(last.length).toBeGreaterThan(20);
  expect(last.length).toBeLessThan(all.length);
  expect(last).toEqual(all.slice(-last.length));
});

test('a file with a limit: the first frames, and one line that says so', () => {
  expect(statSync(lab.path('short.pcap')).size).toBeLessThanOrEqual(1024);
  const first = contentsIn('short.pcap');
  expect(first.length).toBeGreaterThan(8);
  expect(first).toEqual(contentsIn('all.pcapng').slice(0, first.length));
  const lines = stderr.split('\n').filter((line) => line.includes('--pcap'));
  expect(lines).toEqual(['usernet: --pcap: short.pcap: has its 1024 bytes, nothing more is recorded']);
});

test('each file is for its owner alone', () => {
  const files = readdirSync(lab.folder).filter((name) => /\.pcap(ng)?$/.test(name));
  expect(files).toHaveLength(7);
  for (const name of files) expect([name, statSync(lab.path(name)).mode & 0o777]).toEqual([name, 0o600]);
});

testWith('tshark', 'tshark: a frame between guests came from the one and went to the other', () => {
  const fields = [
    'frame.interface_name',
    'frame.packet_flags_direction',
    'eth.src',
    'eth.dst',
    'frame.comment',
  ];
  const rows = tsharkFields(lab.path('all.pcapng'), fields);
  expect(rows.filter(([, , from, to]) => from === FIRST && to === SECOND)).toEqual([
    ['qemu0', '0x00000001', FIRST, SECOND, ''],
    ['qemu1', '0x00000002', FIRST, SECOND, ''],
  ]);
});
