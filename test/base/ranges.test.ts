import { describe, expect, test } from 'vitest';
import { parseIp } from '../../src/base/addr.ts';
import { type AddrRange, HostJudge, NAMED_RANGES, Ranges, rangeNames } from '../../src/base/ranges.ts';

const addr = (text: string) => parseIp(text)!;

/** A range of an IPv6 prefix, or of an IPv4 one. */
function range(text: string): AddrRange {
  const [first = '', bits = ''] = text.split('/');
  return { addr: addr(first), prefix: Number(bits) + (first.includes(':') ? 0 : 96) };
}

const has = (ranges: Ranges, text: string): boolean => ranges.has(addr(text));

describe('a range', () => {
  test.each([
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0', 'a00::']],
    ['172.16.0.0/12', ['172.16.0.0', '172.31.255.255'], ['172.15.255.255', '172.32.0.0']],
    ['192.0.2.7/32', ['192.0.2.7'], ['192.0.2.6', '192.0.2.8']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255', '::ffff:1.2.3.4'], ['2001:db8::1']],
    ['::/0', ['2001:db8::1', '::', '10.0.0.1'], []],
    ['fc00::/7', ['fc00::', 'fdff:ffff::1'], ['fbff::', 'fe00::']],
    ['2001:db8:1:2::/63', ['2001:db8:1:2::', '2001:db8:1:3:ffff::'], ['2001:db8:1:4::', '2001:db8:1:1::']],
    ['2001:db8::1/128', ['2001:db8::1'], ['2001:db8::', '2001:db8::2', '2001:db8:0:1::1']],
    ['2001:db8::8000:0/97', ['2001:db8::8000:0', '2001:db8::ffff:ffff'], ['2001:db8::7fff:ffff']],
  ])('%s', (text, inside, outside) => {
    const ranges = new Ranges([range(text)]);
    for (const each of inside) expect([each, has(ranges, each)]).toEqual([each, true]);
    for (const each of outside) expect([each, has(ranges, each)]).toEqual([each, false]);
  });

  test('none has nothing, several have what each has', () => {
    expect(has(new Ranges(), '10.0.0.1')).toBe(false);
    const ranges = new Ranges([range('10.0.0.0/8')], [], [range('fd00::/8'), range('192.0.2.0/24')]);
    expect(['10.1.1.1', 'fd12::1', '192.0.2.1', '192.0.3.1'].map((a) => has(ranges, a))).toEqual([
      ...[true, true, true, false],
    ]);
  });
});

describe('an IPv4 address in the form of an IPv6 one is the IPv4 address', () => {
  const ranges = new Ranges(NAMED_RANGES.private, NAMED_RANGES.metadata);
  test.each([
    ['mapped, RFC 4291 2.5.5.2', '::ffff:10.0.0.1', '::ffff:9.0.0.1'],
    ['compatible, RFC 4291 2.5.5.1', '::10.0.0.1', '::9.0.0.1'],
    ['6to4, RFC 3056', '2002:a00:1::1', '2002:900:1::1'],
    ['NAT64, RFC 6052', '64:ff9b::10.0.0.1', '64:ff9b::9.0.0.1'],
    ['Teredo, RFC 4380', '2001:0:1:1:0:0:f5ff:fffe', '2001:0:a00:1:0:0:f6ff:fffe'],
    ['ISATAP, RFC 5214', '2001:db8::5efe:10.0.0.1', '2001:db8::5eff:10.0.0.1'],
    ['ISATAP with a global address', '2001:db8::200:5efe:10.0.0.1', '2001:db8::300:5efe:10.0.0.1'],
    ['translated, RFC 2765', '::ffff:0:10.0.0.1', '::fffe:0:10.0.0.1'],
    ['a metadata service by NAT64', '64:ff9b::169.254.169.254', '64:ff9b::169.254.169.253'],
    ['6to4 with bits set behind', '2002:c0a8:101:ffff:ffff:ffff:ffff:ffff', '2002:c0a9:101::'],
  ])('%s', (_, denied, free) => {
    expect([has(ranges, denied), has(ranges, free)]).toEqual([true, false]);
  });

  test(':: and ::1 are no IPv4-compatible addresses', () => {
    const zeros = new Ranges([range('0.0.0.0/8')]);
    expect([has(zeros, '::'), has(zeros, '::1'), has(zeros, '::2')]).toEqual([false, false, true]);
  });
});

describe('sets by name', () => {
  test.each([
    [
      'private',
      [
        '10.9.8.7',
        '172.20.0.1',
        '192.168.1.1',
        'fd00::1',
        'fc00::1',
        'fec0::1',
        '198.19.0.1',
        '192.0.0.8',
        '100::1',
      ],
      ['8.8.8.8', '100.64.0.1'],
    ],
    ['cgnat', ['100.64.0.0', '100.127.255.255'], ['100.63.255.255', '100.128.0.0']],
    ['link-local', ['169.254.1.1', 'fe80::1', 'febf::1'], ['169.255.0.1', 'fec0::1']],
    ['metadata', ['169.254.169.254', '168.63.129.16', '100.100.100.200', '192.0.0.192'], ['169.254.169.253']],
    ['loopback', ['127.0.0.1', '127.255.0.1', '0.0.0.0', '::1', '::'], ['128.0.0.1', '1::1']],
  ] as const)('%s', (name, inside, outside) => {
    const ranges = new Ranges(NAMED_RANGES[name]);
    for (const each of inside) expect([each, has(ranges, each)]).toEqual([each, true]);
    for (const each of outside) expect([each, has(ranges, each)]).toEqual([each, false]);
  });

  test('there are no others', () => {
    expect(rangeNames).toEqual(['private', 'cgnat', 'link-local', 'metadata', 'loopback']);
  });
});

describe('what the host may connect to', () => {
  const open = { deny: [], hostLoopback: true, linkLocal: true };
  const allows = (rules: Partial<typeof open>, text: string): boolean =>
    new HostJudge({ ...open, ...rules }).allows(addr(text));

  test('metadata services, groups and what is reserved: never', () => {
    for (const each of [
      '169.254.169.254',
      'fd00:ec2::254',
      '64:ff9b:1:a00:0:100::',
      '64:ff9b:1::8.8.8.8',
      '224.0.0.1',
      '240.0.0.1',
      '255.255.255.255',
      'ff02::1',
    ])
      expect([each, allows({}, each)]).toEqual([each, false]);
  });

  test('loopback and link-local only where the settings say so', () => {
    for (const each of ['127.0.0.1', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1', '64:ff9b::127.0.0.1']) {
      expect([each, allows({}, each), allows({ hostLoopback: false }, each)]).toEqual([each, true, false]);
    }
    for (const each of ['169.254.1.1', 'fe80::1', '2002:a9fe:101::']) {
      expect([each, allows({}, each), allows({ linkLocal: false }, each)]).toEqual([each, true, false]);
    }
  });

  test('everything else, but for what is denied', () => {
    expect([allows({}, '192.168.1.1'), allows({}, '2001:db8::1'), allows({}, '8.8.8.8')]).toEqual([
      ...[true, true, true],
    ]);
    const denying = new HostJudge({ ...open, deny: NAMED_RANGES.private });
    expect(
      ['192.168.1.1', 'fd00::1', '::ffff:10.0.0.1', '8.8.8.8'].map((a) => denying.allows(addr(a))),
    ).toEqual([...[false, false, false, true]]);
  });
});
