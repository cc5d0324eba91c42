import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { parseArgs } from '../../src/cli/args.ts';
import { load, replay } from '../../src/cli/replay.ts';
import { readCapture } from '../../src/pcap/reader.ts';
import { OWN } from '../support/captures.ts';

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

  test('--pcap writes what passed, for its owner only, and the same each time', async () => {
    const [a, b] = [join(folder, 'a.pcap'), join(folder, 'b.pcap')];
    for (const path of [a, b]) expect((await run('--seed', '3', '--pcap', path, SESSION)).status).toBe(0);
    expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
    expect(statSync(a).mode & 0o777).toBe(0o600);
    expect(readCapture(readFileSync(a)).frames.length).toBeGreaterThan(50);
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
