import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseArgs, UsageError } from '../../src/cli/args.ts';
import { relay, relayLines, relayOptions, relayText } from '../../src/cli/relay.ts';
import { openRelay } from '../../src/node/relay-server.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'usernet-relay-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const options = (...words: string[]) => relayOptions(parseArgs(relay, words));

function fileOf(text: string): string {
  const path = join(dir, 'credentials');
  writeFileSync(path, text);
  return path;
}

describe('what the command line says', () => {
  test('nothing: the loopback and public addresses alone', () => {
    expect(options()).toEqual({ udp: false, hostLoopback: false });
  });

  test('everything', () => {
    const words = ['--listen=[::1]:5001', '--token=none', '--udp', '--host-loopback', '--clients=3'];
    const lists = ['--origin=*', '--origin=https://a.example', '--host=relay.example', '--deny=none'];
    expect(options(...words, ...lists, '--credentials', fileOf('joe:a:b\r\nmore'))).toEqual({
      ...{ host: '::1', port: 5001, token: null, udp: true, hostLoopback: true, clients: 3, deny: [] },
      ...{ origins: ['*', 'https://a.example'], hosts: ['relay.example'] },
      credentials: { username: 'joe', password: 'a:b' },
    });
  });

  test.each([
    [['--listen', 'nowhere'], '--listen nowhere: ends in no port'],
    [['--listen', '::1:80'], '--listen ::1:80: "::1" is no host'],
    [['--deny', 'private', '--deny', 'none'], '--deny=none: stands alone'],
    [['--credentials', '/nowhere/at-all'], '--credentials: /nowhere/at-all: no such file or directory'],
  ])('%j', (words, message) => {
    expect(() => options(...words)).toThrow(new UsageError(message));
  });

  test.each([
    ['joe\n', 'its first line is not USER:PASSWORD'],
    ['joe:\n', 'a name and a password are not empty'],
    [`${'j'.repeat(256)}:x`, 'a username has at most 255 bytes'],
  ])('a file of credentials with %j', (text, problem) => {
    const file = fileOf(text);
    expect(() => options('--credentials', file)).toThrow(
      new UsageError(`--credentials: ${file}: ${problem}`),
    );
  });
});

test.each([
  [{ origins: ['*'], token: null }, 'origin=* with token=none would let every page in'],
  [{ origins: ['nowhere'] }, 'origin=nowhere: is not like https://example.org, without a path'],
  [{ token: 'short' }, 'token= is not 16 to 128 letters, digits, - and _, and not none'],
  [{ hosts: ['a b'] }, 'host=a b: is no name without a port'],
  [{ deny: ['here'] }, 'deny="here" is no prefix and none of private, cgnat, link-local, metadata, loopback'],
  [{ limits: { packets: 0 } }, 'limits.packets= is no number from 1 on'],
  [{ port: 99_999 }, 'relay 127.0.0.1:99999: the port is not within 0 to 65535'],
  [{ clients: Number.NaN }, 'clients= is no number of clients'],
  [{ path: 'x' }, "path: 'x' does not begin and end with a slash"],
  [
    { credentials: { username: 'x'.repeat(256), password: '' } },
    'credentials: a username has at most 255 bytes',
  ],
])('a relay with %j', async (wrong, message) => {
  await expect(openRelay(wrong)).rejects.toThrow(new RangeError(message));
});

describe('what is said at the start', () => {
  const lines = (url: string, said: Parameters<typeof relayLines>[1]) =>
    relayLines({ url, port: 5001 } as never, said);

  test('the URL with its token, who may come in, and what they do not reach', () => {
    expect(lines('ws://127.0.0.1:5001/0123456789abcdef/', {})).toEqual([
      'serving engines in pages on 127.0.0.1:5001, TCP alone; the URL of this relay:',
      '  ws://127.0.0.1:5001/0123456789abcdef/',
      "  pages that may connect: those of this host's own servers",
      "  they do not reach: this host's loopback, private, cgnat, link-local, metadata",
    ]);
  });

  test('a password instead of a token: no page, until it is named', () => {
    const credentials = { username: 'joe', password: 'sesame' };
    expect(lines('ws://[::1]:5001/', { host: '::1', credentials, udp: true, hostLoopback: true })).toEqual([
      'serving engines in pages on [::1]:5001, TCP and UDP; the URL of this relay:',
      '  ws://[::1]:5001/',
      '  clients say the name joe and its password',
      '  pages that may connect: none, as no origin is said',
      '  they do not reach: private, cgnat, link-local, metadata',
    ]);
  });

  test('neither of them: that is said', () => {
    const said = { token: null, origins: ['https://a.example'], deny: [] };
    expect(lines('ws://127.0.0.1:5001/', said).slice(2)).toEqual([
      '  anyone who can connect there is a client: no token is needed',
      '  pages that may connect: https://a.example',
      "  they do not reach: this host's loopback, link-local, metadata",
    ]);
  });
});

test('statistics for people: what is not zero', async () => {
  const opened = await openRelay();
  const stats = opened.stats();
  await opened.close();
  expect(relayText(stats)).toBe('relay: nobody was here\n');
  const some = { ...stats, clients: 2, bytesToHost: 5, refused: { 'this Host is not served here': 3 } };
  expect(relayText(some)).toBe(
    'relay:\n  clients: 2\n  bytes to host: 5\n  turned away, this Host is not served here: 3\n',
  );
});
