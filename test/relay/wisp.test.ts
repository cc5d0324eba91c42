// The packets, byte for byte as the specification has them.

import { expect, test } from 'vitest';
import { credentialsExtension, credentialsProblem, saysCredentials } from '../../src/relay/credentials.ts';
import { duplexCredit, duplexOffer } from '../../src/relay/duplex.ts';
import { ReceiveWindow } from '../../src/relay/receive-window.ts';
import * as wisp from '../../src/relay/wisp.ts';
import { viewOf } from '../../src/wire/bytes.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const view = (text: string): DataView => viewOf(Buffer.from(text, 'hex'));

test('each packet: type, stream and numbers are little-endian', () => {
  expect(hex(wisp.connect(0x01020304, { kind: 'tcp', port: 443, hostname: 'a.b' }))).toBe(
    '010403020101bb01612e62',
  );
  expect(hex(wisp.connect(1, { kind: 'udp', port: 53, hostname: '::1' }))).toBe('01010000000235003a3a31');
  expect(hex(wisp.data(2, Buffer.from('xabcx'), 1, 3))).toBe('0202000000616263');
  expect(hex(wisp.continuation(0, 128))).toBe('030000000080000000');
  expect(hex(wisp.close(3, wisp.CloseReason.Refused))).toBe('040300000044');
  expect(hex(wisp.info([{ id: 2, payload: Uint8Array.of(1) }]))).toBe('050000000002000201000000' + '01');
});

test('a message that is no packet has a reason', () => {
  const reasons: Record<string, wisp.Malformed | null> = {
    '': 'too-short',
    '02010000': 'too-short',
    '0001000000': 'unknown-type',
    '0601000000': 'unknown-type',
    '0101000000015000': 'bad-length',
    '010000000001500061': 'bad-stream',
    '010100000001500061': null,
    '0200000000': 'bad-stream',
    '0201000000': null,
    '0301000000800000': 'bad-length',
    '03010000008000000000': 'bad-length',
    '0401000000': 'bad-length',
    '040100000002ff': 'bad-length',
    '050000000002': 'bad-length',
    '05010000000200': 'bad-stream',
  };
  for (const [bytes, reason] of Object.entries(reasons))
    expect([bytes, wisp.check(view(bytes))]).toEqual([bytes, reason]);
});

test('CONNECT to what is none is told apart from what is no packet', () => {
  const target = (hostname: string, port = 80, kind = 1): wisp.ConnectTarget | null => {
    const bytes = wisp.connect(1, { kind: 'tcp', port, hostname });
    bytes[5] = kind;
    return wisp.connectTarget(viewOf(bytes));
  };
  expect(target('www.example.org')).toEqual({ kind: 'tcp', port: 80, hostname: 'www.example.org' });
  expect(target('[2001:db8::1]')?.hostname).toBe('2001:db8::1');
  for (const name of ['a b', 'a\n', 'a/b', 'user@host', '\u00e9', 'a%25', 'x'.repeat(254)])
    expect(target(name)).toBeNull();
  expect([target('a', 0), target('a', 80, 3)]).toEqual([null, null]);
});

test('extensions: their lengths add up, or there are none', () => {
  const list = [
    { id: 1, payload: new Uint8Array(0) },
    { id: 0x99, payload: Uint8Array.of(1, 2, 3) },
  ];
  const bytes = wisp.info(list);
  expect(wisp.extensions(bytes)?.map(({ id, payload }) => [id, hex(payload)])).toEqual([
    [1, ''],
    [0x99, '010203'],
  ]);
  for (let cut = 8; cut < bytes.length; cut++) {
    // Behind the first one it is a shorter list.
    const found = wisp.extensions(bytes.subarray(0, cut));
    expect(found?.length ?? null).toBe(cut === 12 ? 1 : null);
  }
  expect(wisp.extensions(Buffer.from('05000000000200' + '01ffffffff', 'hex'))).toBeNull();
  expect(wisp.extensions(wisp.info(Array(33).fill(list[0]!)))).toBeNull();
});

test('credentials are UTF-8, and compared as bytes', () => {
  const own = { username: 'j\u00f6', password: '\u20ac\u{1f600}' };
  const { payload } = credentialsExtension(own);
  expect(hex(payload)).toBe(`030700${Buffer.from('j\u00f6\u20ac\u{1f600}').toString('hex')}`);
  expect(saysCredentials(payload, own)).toBe(true);
  for (let i = 0; i < payload.length; i++) {
    const other = Uint8Array.from(payload);
    other[i]! ^= 1;
    expect(saysCredentials(other, own)).toBe(false);
    expect(saysCredentials(payload.subarray(0, i), own)).toBe(false);
  }
  expect(saysCredentials(Uint8Array.from([...payload, 0]), own)).toBe(false);
  expect(credentialsProblem({ username: 'x'.repeat(256), password: '' })).toContain('255');
  expect(credentialsProblem({ username: '', password: '\ud800' })).toContain('surrogate');
  expect(credentialsProblem(own)).toBeNull();
});

test('duplex: only with its tag, and never with more packets than make sense', () => {
  expect(duplexCredit([duplexOffer(64)])).toBe(64);
  expect(duplexCredit([duplexOffer(0xffffffff)])).toBe(65_536);
  expect(duplexCredit([{ id: 0x75, payload: new Uint8Array(8) }])).toBe(0);
  expect(duplexCredit([{ id: 0x75, payload: new Uint8Array(3) }])).toBe(0);
  expect(duplexCredit([])).toBe(0);
});

test('a receive window: what is on its way and untaken is never more than the buffer, and nobody waits for ever', () => {
  for (const size of [1, 2, 3, 8, 128]) {
    const random = new SeededRandom(size);
    const window = new ReceiveWindow(size);
    // Grants take a while, and the sender sends what it may.
    const grants: number[] = [];
    let [credit, sent, taken, ahead] = [size, 0, 0, 0];
    for (let i = 0; i < 20_000; i++) {
      if (credit > 0 && random.below(2) === 0) {
        credit--;
        sent++;
      } else if (sent > taken && random.below(2) === 0) {
        taken++;
        const grant = window.take();
        if (grant > 0) grants.push(grant);
      } else if (random.below(8) === 0) credit = grants.shift() ?? credit;
      ahead = Math.max(ahead, sent - taken);
    }
    expect(ahead).toBeLessThanOrEqual(size);
    expect(taken).toBeGreaterThan(1000);
  }
});
