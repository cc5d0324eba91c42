import { describe, expect, test } from 'vitest';
import { formatEndpoint, parseIp, parseIpv4Word } from '../../src/base/addr.ts';
import { Policy } from '../../src/nat/policy.ts';
import { parseConfig } from '../../src/network/config.ts';

const word = (text: string): number => parseIpv4Word(text) ?? Number.NaN;

describe('policy', () => {
  test('the gateway is the host: 10.0.2.2 leads to 127.0.0.1, everything else to itself', () => {
    const policy = new Policy(parseConfig({}));
    expect(policy.judge(word('10.0.2.2'))).toBe('allow');
    expect(formatEndpoint(policy.toHost(word('10.0.2.2'), 80))).toBe('127.0.0.1:80');
    expect(formatEndpoint(policy.toHost(word('192.0.2.7'), 80))).toBe('192.0.2.7:80');
  });

  test('hostLoopback false: nothing leads to a loopback listener', () => {
    const policy = new Policy(parseConfig({ hostLoopback: false }));
    expect(policy.judge(word('10.0.2.2'))).toBe('refused');
  });

  test.each(['169.254.169.254', '168.63.129.16', '100.100.100.200', '192.0.0.192'])(
    'cloud metadata at %s is denied, link-local allowed or not',
    (address) => {
      expect(new Policy(parseConfig({})).judge(word(address))).toBe('prohibited');
      expect(new Policy(parseConfig({ linkLocal: true })).judge(word(address))).toBe('prohibited');
    },
  );

  test('169.254.0.0/16 is denied unless it is allowed', () => {
    expect(new Policy(parseConfig({})).judge(word('169.254.1.1'))).toBe('prohibited');
    expect(new Policy(parseConfig({ linkLocal: true })).judge(word('169.254.1.1'))).toBe('allow');
    expect(new Policy(parseConfig({})).judge(word('169.255.1.1'))).toBe('allow');
  });

  test('restrict: no way out', () => {
    const policy = new Policy(parseConfig({ restrict: true }));
    expect(policy.judge(word('192.0.2.7'))).toBe('prohibited');
    expect(policy.judge(word('10.0.2.2'))).toBe('prohibited');
  });

  test('a client on loopback, over IPv6 or with an address of the guests is the gateway to them', () => {
    const policy = new Policy(parseConfig({}));
    const guestName = (text: string): number => policy.toGuest(parseIp(text)!);
    expect(guestName('127.0.0.1')).toBe(word('10.0.2.2'));
    expect(guestName('127.8.8.8')).toBe(word('10.0.2.2'));
    expect(guestName('::1')).toBe(word('10.0.2.2'));
    expect(guestName('10.0.2.77')).toBe(word('10.0.2.2'));
    expect(guestName('192.0.2.7')).toBe(word('192.0.2.7'));
  });
});
