import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseArgs } from '../../src/cli/args.ts';
import { show, showCapture } from '../../src/cli/show.ts';
import { parseFilter } from '../../src/pcap/filter.ts';
import { bytes, Classic, Ng, SECONDS } from '../pcap/reader-bytes.ts';
import { hasShared, SHARED } from '../support/captures.ts';
import { FRAMES } from '../support/frames.ts';

const SESSION = join(SHARED, 'qemu-slirp-session.pcap');

const classic = new Classic();
const ng = new Ng();
const NANOS = BigInt(SECONDS) * 1_000_000_000n + 123_456_789n;

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'usernet-show-'));
});
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(() => {
  vi.restoreAllMocks();
});

function fileOf(...parts: readonly Uint8Array[]): string {
  const path = join(dir, 'capture');
  writeFileSync(path, bytes(...parts));
  return path;
}

/** What is written for the capture at `path`: its lines. */
async function linesOf(path: string, json = false, filter: string | null = null): Promise<string[]> {
  let text = '';
  await showCapture(path, { json, filter: filter === null ? null : parseFilter(filter) }, async (piece) => {
    text += piece;
    return true;
  });
  expect(text === '' || text.endsWith('\n')).toBe(true);
  return text.split('\n').slice(0, -1);
}

const { arpRequest, arpReply, dnsQuery, udpEcho } = FRAMES;

describe('text', () => {
  test('a line for each frame: time in UTC, and what it is', async () => {
    const path = fileOf(
      classic.header(),
      classic.record(SECONDS, 123_456, arpRequest),
      classic.record(SECONDS, 999_999, arpReply),
      classic.record(SECONDS + 1, 0, dnsQuery),
      classic.record(0, 0, dnsQuery.slice(0, 30), dnsQuery.length),
    );
    expect(await linesOf(path)).toEqual([
      '2023-11-14 22:13:20.123456 ARP, Request who-has 10.0.2.2 tell 10.0.2.15, length 28',
      '2023-11-14 22:13:20.999999 ARP, Reply 10.0.2.2 is-at 52:55:0a:00:02:02, length 28',
      '2023-11-14 22:13:21.000000 10.0.2.15.50000 > 10.0.2.3.53: DNS query 4660 A? example.com, length 29',
      '1970-01-01 00:00:00.000000 IP, [|ip]',
    ]);
  });

  test('times beyond all dates are a number', async () => {
    const path = fileOf(
      ng.section(),
      ng.interface(ng.option(9, Uint8Array.of(0))),
      ng.packet(0, 8_640_000_000_001n, arpRequest),
      ng.packet(0, 253_402_300_800n, arpRequest),
    );
    expect((await linesOf(path)).map((line) => line.split(' ARP')[0])).toEqual([
      '@8640000000001.000000',
      '+010000-01-01 00:00:00.000000',
    ]);
  });

  test('the interface that has a name, and comments', async () => {
    const path = fileOf(
      ng.section(),
      ng.interface(ng.text(2, 'guest 1')),
      ng.interface(),
      ng.packet(0, 0n, arpRequest, {
        options: bytes(ng.text(1, 'dropped: ArpNotForUs'), ng.text(1, 'twice')),
      }),
      ng.packet(1, 0n, arpRequest),
    );
    const line = 'ARP, Request who-has 10.0.2.2 tell 10.0.2.15, length 28';
    expect(await linesOf(path)).toEqual([
      `1970-01-01 00:00:00.000000 [guest 1] ${line} # dropped: ArpNotForUs # twice`,
      `1970-01-01 00:00:00.000000 ${line}`,
    ]);
  });

  test('a capture does not steer the terminal', async () => {
    const evil = 'a\x1b]0;x\x07\n\x9b2J\u061c\u202e\x00';
    const path = fileOf(
      ng.section(),
      ng.interface(ng.text(2, evil)),
      ng.packet(0, 0n, udpEcho, { options: ng.text(1, evil) }),
    );
    const shown = 'a\\u001b]0;x\\u0007\\u000a\\u009b2J\\u061c\\u202e\\u0000';
    const [line = '', ...more] = await linesOf(path);
    expect(line).toContain(` [${shown}] `);
    expect(line).toContain(` # ${shown}`);
    expect(more).toEqual([]);
    const [json = ''] = await linesOf(path, true);
    expect(json).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(json)).toMatchObject({ link: evil, comments: [evil] });
  });

  test('a long name on many short frames makes no text without end', async () => {
    const frames = Array.from({ length: 60_000 }, () => ng.simplePacket(new Uint8Array()));
    const name = ng.option(2, new Uint8Array(65_532).fill(0x1b));
    const path = fileOf(ng.section(), ng.interface(name), ...frames);
    const pieces: number[] = [];
    let lines = 0;
    await showCapture(path, { json: false, filter: null }, async (piece) => {
      pieces.push(piece.length);
      lines += piece.split('\n').length - 1;
      return true;
    });
    expect(lines).toBe(60_000);
    expect(Math.max(...pieces)).toBeLessThan(8 << 20);
  });

  test('what is not Ethernet is not read as Ethernet', async () => {
    const path = fileOf(classic.header({ linkType: 101 }), classic.record(SECONDS, 0, arpRequest, 1500));
    expect(await linesOf(path)).toEqual(['2023-11-14 22:13:20.000000 LINKTYPE 101, length 1500']);
  });
});

describe('--json', () => {
  test('an object a line, with everything there is', async () => {
    const path = fileOf(
      ng.section(),
      ng.interface(bytes(ng.text(2, 'guest 1'), ng.option(9, Uint8Array.of(9)))),
      ng.interface(new Uint8Array(), 101),
      ng.packet(0, NANOS, arpRequest, { wireLen: 60, options: ng.text(1, 'a comment') }),
      ng.packet(1, 1n, arpRequest),
    );
    const lines = await linesOf(path, true);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        number: 1,
        time: '1700000000123456789',
        capturedLength: 42,
        originalLength: 60,
        link: 'guest 1',
        linkType: 1,
        layers: [
          expect.objectContaining({ layer: 'ethernet', etherType: 0x0806 }),
          expect.objectContaining({ layer: 'arp', opcode: 1, targetProtocolAddress: '10.0.2.2' }),
        ],
        comments: ['a comment'],
      },
      {
        number: 2,
        time: '1000',
        capturedLength: 42,
        originalLength: 42,
        link: 1,
        linkType: 101,
        layers: [],
        comments: [],
      },
    ]);
  });

  test('times are exact, before 1970 too', async () => {
    const path = fileOf(
      ng.section(),
      ng.interface(bytes(ng.option(9, Uint8Array.of(9)), ng.option(14, ng.i64(-2n)))),
      ng.packet(0, 500_000_001n, arpRequest),
      ng.packet(0, 0xffff_ffff_ffff_ffffn, arpRequest),
    );
    const times = (await linesOf(path, true)).map((line) => (JSON.parse(line) as { time: string }).time);
    expect(times).toEqual(['-1499999999', '18446744071709551615']);
  });
});

test('--filter leaves out what does not match, and keeps the numbers', async () => {
  const path = fileOf(
    classic.header(),
    ...[arpRequest, dnsQuery, udpEcho].map((frame) => classic.record(0, 0, frame)),
  );
  const lines = await linesOf(path, true, 'udp port 7 or arp');
  expect(lines.map((line) => (JSON.parse(line) as { number: number }).number)).toEqual([1, 3]);
});

test('nobody reads any more: nothing more is read', async () => {
  const records = Array.from({ length: 40 }, () => classic.record(0, 0, new Uint8Array(200_000)));
  const path = fileOf(classic.header(), ...records);
  let calls = 0;
  const { damage } = await showCapture(path, { json: false, filter: null }, async () => {
    calls++;
    return false;
  });
  expect([calls, damage]).toEqual([1, null]);
});

describe('the command', () => {
  /** What the words after `usernet show` print, and the exit status. */
  async function run(
    ...words: readonly string[]
  ): Promise<{ status: number; stdout: string; stderr: string }> {
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      vi.spyOn(process[stream], 'write').mockImplementation((text, ...rest) => {
        said[stream] += String(text);
        const done = rest.at(-1);
        if (typeof done === 'function') (done as () => void)();
        return true;
      });
    }
    return { status: await show.run(parseArgs(show, words)), ...said };
  }

  const record = classic.record(SECONDS, 0, arpRequest);
  const line = '2023-11-14 22:13:20.000000 ARP, Request who-has 10.0.2.2 tell 10.0.2.15, length 28\n';

  test('a whole capture: exit status 0', async () => {
    const path = fileOf(classic.header(), record, record);
    expect(await run(path)).toEqual({ status: 0, stdout: line + line, stderr: '' });
  });

  test('damage: what could be read, then one line with file, offset and reason, exit status 2', async () => {
    const path = fileOf(classic.header(), record, record.slice(0, 20));
    expect(await run(path)).toEqual({
      status: 2,
      stdout: line,
      stderr: `usernet: ${path}: byte 82: the file ends inside a record, 20 bytes behind its beginning\n`,
    });
    const text = fileOf(Buffer.from('no capture'));
    expect(await run(text)).toEqual({
      status: 2,
      stdout: '',
      stderr: `usernet: ${text}: byte 0: not a capture: it begins with 0x6e6f2063\n`,
    });
  });

  test('frames that a filter cannot judge are told', async () => {
    const path = fileOf(classic.header({ linkType: 101 }), record, record);
    expect(await run('--filter', 'arp', path)).toEqual({
      status: 0,
      stdout: '',
      stderr: 'usernet: --filter: left out 2 frames that are not Ethernet\n',
    });
  });

  test.each([
    [[], 'show: needs a FILE; see usernet show --help'],
    [['a', 'b'], 'b: show takes one FILE'],
    [['a', '--', '--json'], '--json: show takes one FILE'],
    [['/nowhere/a.pcap'], '/nowhere/a.pcap: no such file or directory'],
    [['/'], '/: is a directory, not a capture'],
  ])('%j makes no sense', async (words, message) => {
    await expect(run(...words)).rejects.toMatchObject({ message });
  });

  test('a filter that makes no sense names its option', async () => {
    await expect(run('--filter', 'host', 'a.pcap')).rejects.toThrow(/^--filter: /);
  });
});

test.skipIf(!hasShared)('a session of QEMU', async () => {
  const text = await linesOf(SESSION);
  const json = (await linesOf(SESSION, true)).map(
    (line) => JSON.parse(line) as { layers: { layer: string }[] },
  );
  expect(json.length).toBe(text.length);
  expect(text[0]).toBe(
    '2026-11-23 11:33:43.092670 0.0.0.0.68 > 255.255.255.255.67: DHCP, Discover, xid 0x5af54745, length 300',
  );
  const stacks = new Set(json.map(({ layers }) => layers.map(({ layer }) => layer).join(' ')));
  for (const stack of [
    'arp',
    'ipv4 tcp',
    'ipv4 udp',
    'ipv4 udp dhcp',
    'ipv4 udp dns',
    'ipv4 icmp',
    'ipv6',
    'ipv4',
  ]) {
    expect([...stacks]).toContain(`ethernet ${stack}`);
  }
  // What the line says is of the frame whose object it is.
  const tcp = json.filter(({ layers }) => layers.some(({ layer }) => layer === 'tcp')).length;
  expect(text.filter((each) => each.includes(': Flags [')).length).toBe(tcp);
});
