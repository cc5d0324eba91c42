import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatEndpoint,
  formatIp,
  formatIpv4Word,
  formatMac,
  ipv4Addr,
  isIpv4,
  parseIp,
  parseIpv4Word,
  parseMac,
  sameAddr,
  sameEndpoint,
} from '../../src/base/addr.ts';

/** Text to address to text. */
function normal(text: string): string | null {
  const addr = parseIp(text);
  return addr === null ? null : formatIp(addr);
}

describe('IPv4 text', () => {
  test('dotted text is a signed word and back', () => {
    expect(parseIpv4Word('10.0.2.15')).toBe(0x0a00020f);
    expect(parseIpv4Word('255.255.255.255')).toBe(-1);
    expect(parseIpv4Word('0.0.0.0')).toBe(0);
    expect(formatIpv4Word(-1)).toBe('255.255.255.255');
    expect(formatIpv4Word(0x0a000202)).toBe('10.0.2.2');
  });

  test('any word survives', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (word) => {
        expect(parseIpv4Word(formatIpv4Word(word))).toBe(word);
        expect(normal(formatIpv4Word(word))).toBe(formatIpv4Word(word));
      }),
    );
  });

  test.each([
    ...['', '1', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', ' 1.2.3.4', '1.2.3.-4', '1.2.3.'],
    ...['1..2.3', '0x1.2.3.4', '1.2.3.4/8', '1e1.2.3.4', '1.2.3.00', '١.2.3.4', '1.2.3.4\n'],
  ])('%j is refused', (text) => {
    expect(parseIpv4Word(text)).toBeNull();
    expect(parseIp(text)).toBeNull();
  });
});

describe('IPv6 text', () => {
  test.each([
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['fe80::1', 'fe80::1'],
    ['FE80::ABCD', 'fe80::abcd'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:0:3:0:4:0', '1:0:2:0:3:0:4:0'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['::1.2.3.4', '::102:304'],
  ])('RFC 5952: %s is written %s', (text, expected) => {
    expect(normal(text)).toBe(expected);
  });

  test('RFC 4291 2.5.5.2: a mapped address is IPv4', () => {
    expect(normal('::ffff:10.0.2.15')).toBe('10.0.2.15');
    expect(normal('::ffff:a00:20f')).toBe('10.0.2.15');
    expect(isIpv4(parseIp('::ffff:10.0.2.15')!)).toBe(true);
    expect(isIpv4(parseIp('::fffe:10.0.2.15')!)).toBe(false);
  });

  test.each([
    ...[':', ':::', '1:', ':1', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '::1:2:3:4:5:6:7:8'],
    ...['12345::', 'g::', '::1%eth0', '::1/64', '[::1]', '1:2:3:4:5:6:7:1.2.3.4', '::1.2.3', '::1.2.3.256'],
    ...['1.2.3.4::', '1.2.3.4::1', '::1.2.3.4:5', '1:::2', '::-1', ':: ', '1:2:3:4:5:6:7:8::'],
  ])('RFC 4291 2.2: %j is refused', (text) => {
    expect(parseIp(text)).toBeNull();
  });

  test('any address survives, and nothing makes the parser throw', () => {
    const word = fc.oneof(fc.constant(0), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.nat(0xffff));
    fc.assert(
      fc.property(fc.record({ w0: word, w1: word, w2: word, w3: word }), (addr) => {
        expect(parseIp(formatIp(addr))).toEqual(addr);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123f:.g% ') }), (text) => {
        const addr = parseIp(text);
        if (addr !== null) expect(parseIp(formatIp(addr))).toEqual(addr);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('endpoints and MACs', () => {
  test('an endpoint is written with brackets where the address has colons', () => {
    expect(formatEndpoint({ addr: ipv4Addr(0x0a00020f), port: 80 })).toBe('10.0.2.15:80');
    expect(formatEndpoint({ addr: parseIp('fe80::1')!, port: 80 })).toBe('[fe80::1]:80');
  });

  test('equality compares all four words and the port', () => {
    const a = parseIp('1:2:3:4:5:6:7:8')!;
    for (const other of ['9:2:3:4:5:6:7:8', '1:2:9:4:5:6:7:8', '1:2:3:4:9:6:7:8', '1:2:3:4:5:6:7:9']) {
      expect(sameAddr(a, parseIp(other)!)).toBe(false);
    }
    expect(sameEndpoint({ addr: a, port: 1 }, { addr: parseIp('1:2:3:4:5:6:7:8')!, port: 1 })).toBe(true);
    expect(sameEndpoint({ addr: a, port: 1 }, { addr: a, port: 2 })).toBe(false);
  });

  test('a MAC is six bytes with colons or dashes', () => {
    expect(parseMac('52:54:00:12:34:56')).toEqual({ hi: 0x5254, lo: 0x00123456 });
    expect(parseMac('FF-FF-FF-FF-FF-FF')).toEqual({ hi: 0xffff, lo: -1 });
    expect(formatMac(0xffff, -1)).toBe('ff:ff:ff:ff:ff:ff');
    expect(formatMac(0x5254, 0x00123456)).toBe('52:54:00:12:34:56');
    for (const text of [
      '',
      '52:54:00:12:34',
      '52:54:00:12:34:56:78',
      '5254.0012.3456',
      '52:54:00:12:34:5g',
    ]) {
      expect(parseMac(text)).toBeNull();
    }
  });
});
