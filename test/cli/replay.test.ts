import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { parseArgs } from '../../src/cli/args.ts';
import { load, replay } from '../../src/cli/replay.ts';
import { ConfigError } from '../../src/network/config.ts';
import { PcapFile } from '../../src/node/pcap-file.ts';
import { readCapture } from '../../src/pcap/reader.ts';
import { replay as replayCapture } from '../../src/replay/replay.ts';
import { bytes, Classic, FRAME, Ng } from '../pcap/reader-bytes.ts';
import { framesOf, OWN } from '../support/captures.ts';

const folder = mkdtempSync(join(tmpdir(), 'usernet-replay-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Exit status, standard output and standard error of `usernet replay`. */
async function run(...words: string[]): Promise<{ status: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const keep = (add: (text: string) => void) =>
    ((text: string | Uint8Array) => {
      add(String(text));
      return true;
    }) as typeof process.stdout.write;
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(keep((text) => (out += text))),
    vi.spyOn(process.stderr, 'write').mockImplementation(keep((text) => (err += text))),
  ];
  try {
    return { status: await replay.run(parseArgs(replay, words)), out, err };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const SESSION = join(OWN, 'http-download-libslirp.pcap');

describe('usernet replay', () => {
  test('says what was compared, what differs, and ends with 0 where nothing that matters does', async () => {
    const { status, out, err } = await run(SESSION);
    expect([status, err]).toEqual([0, '']);
    expect(out).toMatch(/^capture {3}.*http-download-libslirp\.pcap: \d+ frames, guest 52:54:00:12:34:56\n/);
    expect(out).toMatch(/\nreplayed {2}\d+ frames of guests and network, \d+ answers compared\n/);
    expect(out).toMatch(
      /\ndiffers {3}tcp\.sack: theirs no, ours yes \(ours offers more\): tcp 10\.0\.2\.15:/,
    );
    expect(out).toMatch(/\nresult {4}no difference that matters, 3 that do not matter\n$/);
  });

  test('ends with 1 where one matters', async () => {
    const { status, out } = await run('--net', 'user,restrict=on', SESSION);
    expect(status).toBe(1);
    expect(out).toMatch(/\nDIFFERS {3}tcp\.answer: theirs SYN-ACK, ours RST: tcp 10\.0\.2\.15:/);
    expect(out).toMatch(/\nresult {4}5 that matter\n$/);
  });

  test('ends with 2 for a capture that is damaged, and replays what could be read', async () => {
    const path = join(folder, 'cut.pcap');
    writeFileSync(path, readFileSync(SESSION).subarray(0, 9000));
    const { status, out, err } = await run(path);
    expect(status).toBe(2);
    expect(err).toMatch(/^usernet: .*cut\.pcap: damaged at byte \d+: the file ends inside a [^\n]*\n$/);
    expect(out).toMatch(/answers compared/);
  });

  test('what is no capture, and what is not Ethernet, is said', async () => {
    const path = join(folder, 'text.pcap');
    writeFileSync(path, 'this is no capture at all');
    expect(await run(path)).toMatchObject({ status: 2, err: expect.stringMatching(/not a capture/) });
    const raw = Buffer.from(readFileSync(SESSION).subarray(0, 24 + 16 + 42));
    raw.writeUInt32LE(101, 20);
    raw.writeUInt32LE(42, 24 + 8);
    writeFileSync(path, raw);
    expect(await run(path)).toMatchObject({
      status: 2,
      err: expect.stringMatching(/link type 101, not Ethernet/),
    });
    await expect(run(join(folder, 'none.pcap'))).rejects.toThrow(/none\.pcap: no such file/);
  });

  test('of a capture that is too large, what fits is replayed, and the rest is told', async () => {
    const problem = 'more than a replay takes, only the first 3 frames were replayed';
    expect(await load(SESSION, { bytes: 1e6, frames: 3 })).toMatchObject({ frames: { length: 3 }, problem });
    // Two frames of ARP and a SYN.
    expect(await load(SESSION, { bytes: 60 + 64 + 74, frames: 100 })).toMatchObject({ problem });
    expect(await load(SESSION, { bytes: 1e6, frames: 1e6 })).toMatchObject({ problem: null });
  });

  test('of frames that are kept comments are not', async () => {
    const ng = new Ng();
    const path = join(folder, 'comments.pcapng');
    const options = ng.text(1, 'y'.repeat(65_000));
    writeFileSync(path, bytes(ng.section(), ng.interface(), ng.packet(0, 0n, FRAME, { options })));
    expect((await load(path)).frames.map(({ comments }) => comments)).toEqual([[]]);
  });

  test('--json, also behind the file, is one line that says the same', async () => {
    const { status, out } = await run(SESSION, '--json');
    expect(status).toBe(0);
    expect(out.trim().split('\n').length).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ capture: SESSION, problem: null, matters: false, notes: [] });
  });

  test('a guest that is named is the one', async () => {
    const { out } = await run('--guest', '52:55:0A:00:02:02', SESSION);
    expect(out).toContain('guest 52:55:0a:00:02:02');
  });

  test('a guest that is named and sends nothing is a mistake, and a capture without a guest is no success', async () => {
    await expect(run('--guest', '52-54-00-00-00-99', SESSION)).rejects.toMatchObject({
      name: 'UsageError',
      message: `--guest: ${SESSION}: 52:54:00:00:00:99 sends no frame`,
    });
    const path = join(folder, 'header.pcap');
    writeFileSync(path, new Classic().header());
    const { status, out, err } = await run(path, '--json');
    expect([status, err]).toEqual([2, `usernet: ${path}: has no frame of a guest, nothing was replayed\n`]);
    expect(JSON.parse(out)).toMatchObject({ problem: 'has no frame of a guest, nothing was replayed' });
    // What cannot be read has no guest either, which is not what is wrong with it.
    writeFileSync(path, 'this is no capture at all');
    expect((await run(path)).err).toMatch(/header\.pcap: damaged at byte 0: not a capture/);
  });

  test('mistakes are named', async () => {
    await expect(run()).rejects.toThrow('replay: needs a capture, FILE');
    await expect(run(SESSION, SESSION)).rejects.toThrow(/replay: takes one capture, .* is another/);
    await expect(run('--seed', 'x', SESSION)).rejects.toThrow(
      /^--seed: "x" is not a number from 0 to 4294967295/,
    );
    await expect(run('--guest', 'me', SESSION)).rejects.toThrow(/^--guest: "me" is not a MAC address/);
    await expect(run('--net', 'user,net=1.2.3.4/40', SESSION)).rejects.toThrow(/^--net: /);
    await expect(run('--pcap', join(folder, 'no/where.pcap'), SESSION)).rejects.toThrow(
      /^--pcap: .*no such file/,
    );
  });
});

describe('--pcap', () => {
  test('writes what passed, for its owner only, and the same each time', async () => {
    const [a, b] = [join(folder, 'a.pcap'), join(folder, 'b.pcap')];
    for (const path of [a, b]) expect((await run('--seed', '3', '--pcap', path, SESSION)).status).toBe(0);
    expect(statSync(a).mode & 0o777).toBe(0o600);
    expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
    const { capture } = await replayCapture(framesOf(SESSION), {}, { seed: 3 });
    expect(Buffer.compare(readFileSync(a), capture)).toBe(0);
  });

  test('takes the words that it takes elsewhere', async () => {
    const [all, some] = [join(folder, 'all.pcapng'), join(folder, 'a,b.pcap')];
    const words = ['--pcap', all, '--pcap', `${some.replace(',', ',,')},filter=tcp,snaplen=60`];
    const { status, err } = await run(...words, join(OWN, 'ping-usernet.pcapng'));
    expect([status, err]).toEqual([0, '']);
    const { frames } = readCapture(readFileSync(all));
    expect(new Set(frames.map(({ source }) => source.name))).toEqual(new Set(['52:54:00:12:34:56']));
    expect(frames.flatMap(({ comments }) => comments)).toContain('dropped: IcmpByDesign');
    expect(readCapture(readFileSync(some)).frames).toEqual([]);
    expect((await run('--pcap', `${some},link=raw0`, SESSION).catch((error) => error)).message).toMatch(
      /^--pcap: there is no option "b\.pcap"; a comma in a path is doubled$/,
    );
  });

  test('is refused before anything is read or written', async () => {
    const none = join(folder, 'none.pcap');
    const fault = async (text: string): Promise<string> =>
      (await run('--pcap', text, none).catch((error) => error)).message;
    expect(await fault(`${folder}/x.pcap,snaplen=0`)).toMatch(/^--pcap: snaplen: 0 is not /);
    expect(await fault(folder)).toBe(`--pcap: ${folder}: is a directory, not a file`);
    mkdirSync(join(folder, 'ring.1.pcap'));
    expect(await fault(join(folder, 'ring.pcap,size=1M,files=3'))).toBe(
      `--pcap: ${join(folder, 'ring.1.pcap')}: is a directory, not a file`,
    );
    expect(await fault(join(folder, 'x.pcap'))).toBe(`${none}: no such file or directory`);
    expect(existsSync(join(folder, 'x.pcap'))).toBe(false);
  });

  test('does not overwrite the recording, by whatever name', async () => {
    const path = join(folder, 'recording.pcap');
    copyFileSync(SESSION, path);
    symlinkSync(path, join(folder, 'soft.pcap'));
    linkSync(path, join(folder, 'hard.1.pcap'));
    for (const [text, named] of [
      [path, path],
      [join(folder, '.', 'soft.pcap'), join(folder, 'soft.pcap')],
      [join(folder, 'hard.pcap,size=1M,files=2'), join(folder, 'hard.1.pcap')],
    ] as const)
      await expect(run(path, '--pcap', text)).rejects.toThrow(
        new ConfigError('--pcap', `${named}: is the capture that is replayed`),
      );
    await expect(run(join(folder, 'soft.pcap'), '--pcap', path)).rejects.toThrow(/is the capture that is/);
    expect(readFileSync(path).equals(readFileSync(SESSION))).toBe(true);
    expect(existsSync(join(folder, 'hard.pcap'))).toBe(false);
  });

  test('nor the one that comes by standard input', () => {
    const path = join(folder, 'input.pcap');
    copyFileSync(SESSION, path);
    const input = openSync(path, 'r');
    const program = [join('tools', 'run.mjs'), join('src', 'cli', 'main.ts'), 'replay', '-', '--pcap', path];
    const { status, stderr } = spawnSync(process.execPath, program, {
      ...{ cwd: resolve(import.meta.dirname, '../..'), encoding: 'utf8', timeout: 15_000 },
      stdio: [input, 'ignore', 'pipe'],
    });
    closeSync(input);
    expect([status, stderr]).toEqual([2, `usernet: --pcap: ${path}: is the capture that is replayed\n`]);
    expect(readFileSync(path).equals(readFileSync(SESSION))).toBe(true);
  });

  test('what cannot be written is no success', async () => {
    const lost = vi.spyOn(PcapFile.prototype, 'lost', 'get').mockReturnValue(3);
    const { status, out } = await run('--pcap', join(folder, 'lost.pcap'), SESSION);
    lost.mockRestore();
    expect(status).toBe(2);
    expect(out).toMatch(/no difference that matters/);
  });

  test('a link that no guest has is told', async () => {
    const path = join(folder, 'typo.pcap');
    const { status, out, err } = await run('--pcap', `${path},link=52:54:00:12:34:99`, SESSION);
    expect([status, err]).toEqual([0, `usernet: --pcap: ${path}: no link was called 52:54:00:12:34:99\n`]);
    expect(out).toMatch(/\nresult /);
  });
});
