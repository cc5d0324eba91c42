// Denied ranges, from what a user writes to what a guest gets.

import { describe, expect, test } from 'vitest';
import { parseIpv4Word } from '../../src/base/addr.ts';
import { Policy } from '../../src/nat/policy.ts';
import { ConfigError, parseConfig } from '../../src/network/config.ts';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';

const word = (text: string): number => parseIpv4Word(text)!;
const judge = (deny: readonly string[], text: string) => new Policy(parseConfig({ deny })).judge(word(text));

describe('deny, as a user says it', () => {
  test.each([
    [['10.0.0.0/8'], ['10.1.2.3'], ['11.0.0.1']],
    [['192.0.2.7'], ['192.0.2.7'], ['192.0.2.8']],
    [['private', 'cgnat'], ['192.168.0.1', '172.16.0.1', '100.64.0.1'], ['192.0.2.1']],
    [['::ffff:c000:200/120'], ['192.0.2.200'], ['192.0.3.1']],
    [['0.0.0.0/0'], ['8.8.8.8'], []],
    [['fd00::/8', '2001:db8::1'], [], ['10.0.0.1']],
    [[], [], ['10.0.0.1', '192.168.1.1']],
  ])('%j', (deny, prohibited, allowed) => {
    for (const each of prohibited) expect([each, judge(deny, each)]).toEqual([each, 'prohibited']);
    for (const each of allowed) expect([each, judge(deny, each)]).toEqual([each, 'allow']);
  });

  test.each<[unknown, string]>([
    ['private', 'deny: is not a list'],
    [[7], 'deny[0]: is not text'],
    [
      ['private', 'privat'],
      'deny[1]: "privat" is no prefix and none of private, cgnat, link-local, metadata, loopback',
    ],
    [['toString'], 'deny[0]: "toString" is no prefix'],
    [['10.0.0.1/8'], 'deny[0]: 10.0.0.1/8 has host bits; the network is 10.0.0.0/8'],
    [['fd00::1/8'], 'deny[0]: fd00::1/8 has host bits; the network is fd00::/8'],
    [['10.0.0.0/33'], 'deny[0]: "10.0.0.0/33" is not a prefix like 10.0.0.0/8 or fd00::/8'],
    [['fd00::/129'], 'deny[0]: "fd00::/129" is not a prefix'],
    [['10.0.0/8'], 'deny[0]: "10.0.0/8" is not a prefix'],
    [['10.0.0.256'], 'deny[0]: "10.0.0.256" is not an IPv4 address'],
    [['fe80::%1'], 'deny[0]: "fe80::%1" is not an IP address'],
    [[''], 'deny[0]: "" is no prefix'],
  ])('%j is refused, in one line', (deny, message) => {
    const parse = () => parseConfig({ deny: deny as string[] });
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(message);
  });

  test('more than 1024 entries are refused', () => {
    const deny = new Array<string>(1024).fill('private');
    expect(parseConfig({ deny }).deny).toHaveLength(8 * 1024);
    expect(() => parseConfig({ deny: [...deny, 'cgnat'] })).toThrow('deny: has 1025 entries, at most 1024');
  });

  test('loopback takes the gateway, which stands for it; nothing else takes the gateway or the name service', () => {
    expect(judge(['loopback'], '10.0.2.2')).toBe('refused');
    expect(judge(['127.0.0.1'], '10.0.2.2')).toBe('refused');
    expect(judge(['private', 'link-local'], '10.0.2.2')).toBe('allow');
  });
});

describe('what a guest gets of a denied address', () => {
  test('TCP is reset, UDP is prohibited, each is counted, and the host is asked for nothing', async () => {
    const bench = new NetworkBench({ deny: ['private'] });
    const guest = await bench.boot();
    const record = new SocketRecord();
    guest.connectTcp(to('192.168.1.1', 80), record);
    bench.clock.advance(50);
    expect(record.events).toEqual(['refused']);
    guest.openUdp({}).send(to('10.9.9.9', 53), Buffer.from('hello'));
    bench.clock.advance(50);
    expect(bench.seen('ICMP').at(-1)).toContain('prohibited');
    expect(bench.network.stats().drops['PolicyDenied']).toBe(2);
    expect([bench.host.streams.length, bench.host.sockets.length]).toEqual([0, 0]);
    await bench.close();
  });
});
