import { describe, expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import { FilterError, parseFilter } from '../../src/pcap/filter.ts';
import { arp, tcp, udp } from '../support/raw-frames.ts';

const SAMPLES: Readonly<Record<string, Buffer>> = {
  http: tcp({ dst: '10.0.2.2', dport: 80 }),
  https: tcp({ dst: '10.0.2.3', dport: 443 }),
  dns: udp('', { dst: '10.0.2.3', dport: 53 }),
  who: arp(1, '10.0.2.15', '10.0.2.2'),
};

function wanted(text: string): string {
  const filter = parseFilter(text);
  expect(filter.text).toBe(text);
  const names = Object.keys(SAMPLES).filter((name) => {
    const bytes = SAMPLES[name]!;
    return filter.matches(memoryOver(bytes), 0, bytes.length, bytes.length);
  });
  return names.join(' ');
}

describe('pcap-filter(7)', () => {
  test('and, or bind alike and from left to right', () => {
    expect(wanted('arp or tcp and port 443')).toBe('https');
    expect(wanted('arp or (tcp and port 443)')).toBe('https who');
    expect(wanted('tcp and port 80 or arp')).toBe('http who');
    expect(wanted('udp or tcp and port 443 or arp and ip')).toBe('https');
  });

  test('not binds tightest', () => {
    expect(wanted('not arp and tcp')).toBe('http https');
    expect(wanted('not (arp and tcp)')).toBe('http https dns who');
    expect(wanted('tcp and not port 80 or arp')).toBe('https who');
    expect(wanted('not not ! ! arp')).toBe('who');
    expect(wanted('not ! not arp')).toBe('http https dns');
  });

  test('signs and words are the same', () => {
    expect(wanted('!arp&&!udp||port 53')).toBe('http https dns');
    expect(wanted('not arp and not udp or port 53')).toBe('http https dns');
    expect(wanted('src&&dst port 80||dst||src port 443')).toBe('https');
  });

  test('an id alone takes the qualifiers before it', () => {
    expect(wanted('tcp port 80 or 443')).toBe('http https');
    expect(wanted('tcp dst port 80 or 443 or 53')).toBe('http https');
    expect(wanted('src port 80 or 443')).toBe('');
    expect(wanted('host 10.0.2.2 or 10.0.2.3')).toBe('http https dns who');
    expect(wanted('ether host 52:55:0a:00:02:02 or ff:ff:ff:ff:ff:ff and not 1:2:3:4:5:6')).toBe(
      'http https dns who',
    );
    expect(wanted('ip proto 6 or 17')).toBe('http https dns');
    expect(wanted('arp or port 80 or 53')).toBe('http dns who');
  });

  test('not host vs and ace is short for not host vs and host ace', () => {
    expect(wanted('not host 10.0.2.2 and 10.0.2.15')).toBe('https dns');
    expect(wanted('not (host 10.0.2.2 or 10.0.2.3)')).toBe('');
    expect(wanted('host 10.0.2.15 and not 10.0.2.2')).toBe('https dns');
  });

  test('ids in groups', () => {
    expect(wanted('tcp port (80 or 443)')).toBe('http https');
    expect(wanted('dst host (10.0.2.2 or 10.0.2.3) and not port (443 or 53)')).toBe('http who');
    expect(wanted('host 10.0.2.15 and (10.0.2.2 or 10.0.2.3) and not (10.0.2.3)')).toBe('http who');
    expect(wanted('host not 10.0.2.2')).toBe('https dns');
    expect(wanted('port not (80 or not 80)')).toBe('');
    expect(wanted('port ((80))')).toBe('http');
  });

  test('after a group the qualifiers are those in front of it', () => {
    expect(wanted('host 10.0.2.2 and (port 80) or 10.0.2.3')).toBe('http https dns');
    expect(() => parseFilter('(port 80) or 443')).toThrow(FilterError);
  });

  test('words that could be ids are words of the language where it has them', () => {
    expect(wanted('src or dst port 80')).toBe('http');
    expect(() => parseFilter('port tcp')).toThrow(FilterError);
  });
});

/** What the error says. */
function said(text: string): string {
  try {
    parseFilter(text);
  } catch (error) {
    expect(error).toBeInstanceOf(FilterError);
    expect(error).toMatchObject({ name: 'FilterError' });
    return (error as FilterError).message;
  }
  return '(nothing)';
}

const A_WORD = 'expected a word such as host, net, port, tcp, arp, not or (';
const AN_ADDRESS = 'expected an IPv4 or IPv6 address; names of hosts are not looked up';
const A_NETWORK = 'expected a network such as 10.0.2, 10.0.2.0/24 or fe80::/10; names are not looked up';
const A_PORT = 'expected a port of 0 to 65535, or a name such as http or domain';
const A_PROTOCOL = 'expected a protocol by number, or by name behind a backslash such as \\tcp';
const AN_OPERATOR = 'expected and, or, or the end';
const NO_ARITHMETIC = 'expressions such as tcp[13] & 2 != 0 and len > 100 are not supported';

describe('the error shows the word at fault and says what was expected', () => {
  test.each([
    ['tpc port 80', `"tpc" at character 1: ${A_WORD}`],
    ['TCP', `"TCP" at character 1: ${A_WORD}`],
    ['and tcp', `"and" at character 1: ${A_WORD}`],
    ['()', `")" at character 2: ${A_WORD}`],
    ['not', `at the end: ${A_WORD}`],
    ['10.0.2.2', `"10.0.2.2" at character 1: ${A_WORD}`],
    ['tcp or 80', `"80" at character 8: ${A_WORD}`],
    ['port 80 or tcp or 443', `"443" at character 19: ${A_WORD}`],
    ['(tcp', 'at the end: expected and, or, or )'],
    ['tcp)', `")" at character 4: ${AN_OPERATOR}`],
    ['tcp udp', `"udp" at character 5: ${AN_OPERATOR}`],
    ['port 80 443', `"443" at character 9: ${AN_OPERATOR}`],
    ['vlan 0x', `"0x" at character 6: ${AN_OPERATOR}`],
  ])('structure: %s', (text, message) => expect(said(text)).toBe(message));

  test.each([
    ['host', `at the end: ${AN_ADDRESS}`],
    ['host 10.0.2.2 and', `at the end: ${AN_ADDRESS}`],
    ['host example.com', `"example.com" at character 6: ${AN_ADDRESS}`],
    ['host 10.0.2.2 or \\example', `"example" at character 18: ${AN_ADDRESS}`],
    ['host 300.1.1.1', `"300.1.1.1" at character 6: ${AN_ADDRESS}`],
    ['host 1.2.3.4.5', `"1.2.3.4.5" at character 6: ${AN_ADDRESS}`],
    ['host 1:2::3::4', `"1:2::3::4" at character 6: ${AN_ADDRESS}`],
    ['host (10.0.2.2 or tcp)', `"tcp" at character 19: ${AN_ADDRESS}`],
    ['host 10.0.2.0/24', '"10.0.2.0" at character 6: a network: expected net in front of it'],
    ['src fe80::/10', '"fe80::" at character 5: a network: expected net in front of it'],
    ['net local', `"local" at character 5: ${A_NETWORK}`],
    ['net 10/8', '"/" at character 7: expected an address with a dot in front of it, such as 10.0/8'],
    ['net 10.0.2.1/24', '"10.0.2.1" at character 5: expected no bits set beyond those of the network'],
    [
      'net 10.0.2.1 mask 255.255.255.0',
      '"10.0.2.1" at character 5: expected no bits set beyond those of the network',
    ],
    ['net fe80::1/64', '"fe80::1" at character 5: expected no bits set beyond the first 64'],
    ['net 10.0.0.0/33', '"33" at character 14: expected a length of 0 to 32 behind /'],
    ['net ::/129', '"129" at character 8: expected a length of 0 to 128 behind /'],
    ['net 10.0.0.0/', 'at the end: expected a length of 0 to 32 behind /'],
    ['net 10.0.0.0 mask tcp', '"tcp" at character 19: expected a mask such as 255.255.255.0'],
    ['ip host ::1', '"::1" at character 9: expected an IPv4 address behind ip'],
    ['arp net fe80::/10', '"fe80::" at character 9: expected an IPv4 address behind arp'],
    ['ip6 host 10.0.2.2', '"10.0.2.2" at character 10: expected an IPv6 address behind ip6'],
    [
      'host 1:2:3:4:5:6',
      '"1:2:3:4:5:6" at character 6: a MAC address: expected ether in front of src, dst or host',
    ],
    [
      'ether host 10.0.2.2',
      '"10.0.2.2" at character 12: expected a MAC address such as 52:54:00:12:34:56 behind ether',
    ],
  ])('addresses: %s', (text, message) => expect(said(text)).toBe(message));

  test.each([
    ['port 65536', `"65536" at character 6: ${A_PORT}`],
    ['port 08', `"08" at character 6: ${A_PORT}`],
    ['port gopher', `"gopher" at character 6: ${A_PORT}`],
    ['port \\80', `"80" at character 6: ${A_PORT}`],
    ['port 80-90', `"80-90" at character 6: ${A_PORT}`],
    ['udp port http', '"http" at character 10: a port of tcp: expected one of udp'],
    ['portrange 1-65536', '"1-65536" at character 11: expected two ports of 0 to 65535 such as 6000-6008'],
    [
      'portrange http-https',
      '"http-https" at character 11: expected two ports of 0 to 65535 such as 6000-6008',
    ],
    ['ip proto tcp', `"tcp" at character 10: ${A_PROTOCOL}`],
    ['ip proto \\teleport', `"teleport" at character 10: ${A_PROTOCOL}`],
    ['ether proto \\tcp', `"tcp" at character 13: ${A_PROTOCOL}`],
    ['less 4294967296', '"4294967296" at character 6: expected a number of bytes behind less'],
    ['greater', 'at the end: expected a number of bytes behind greater'],
    ['vlan 4096', '"4096" at character 6: expected a VLAN of 0 to 4095'],
  ])('numbers: %s', (text, message) => expect(said(text)).toBe(message));

  test.each([
    ['tcp host 10.0.2.2', '"host" at character 5: expected one of src, dst, port, portrange behind tcp'],
    [
      'tcp src 10.0.2.2',
      '"10.0.2.2" at character 9: expected port or portrange behind tcp and its direction',
    ],
    ['ip src port 80', '"port" at character 8: expected host or net behind ip and its direction'],
    [
      'ip port 80',
      '"port" at character 4: expected one of src, dst, host, net, proto, broadcast, multicast behind ip',
    ],
    ['icmp host 10.0.2.2', '"host" at character 6: expected no qualifier behind icmp'],
    ['ether', 'at the end: expected one of src, dst, host, proto, broadcast, multicast behind ether'],
    ['src or host 10.0.2.2', '"host" at character 8: expected dst, as in src or dst'],
    ['dst and', 'at the end: expected src, as in dst and src'],
    ['src proto 6', `"proto" at character 5: ${AN_ADDRESS}`],
  ])('qualifiers: %s', (text, message) => expect(said(text)).toBe(message));

  test.each([
    ['tcp[13] & 2 != 0', `"[" at character 4: ${NO_ARITHMETIC}`],
    ['greater 5 and 1 = 1', `"=" at character 17: ${NO_ARITHMETIC}`],
    ['gateway 10.0.2.2', '"gateway" at character 1: a word of tcpdump that is not supported here'],
    ['tcp and len', '"len" at character 9: a word of tcpdump that is not supported here'],
    ['host 10.0.2.2 or mpls', '"mpls" at character 18: a word of tcpdump that is not supported here'],
    ['"tcp"', '"\\"" at character 1: no such character in a filter'],
    ['host \u2028', '"U+2028" at character 6: no such character in a filter'],
    ['tcp \u{1f600}', '"U+1F600" at character 5: no such character in a filter'],
    ['port \\a\u0007\r\u00e9', `"a\\u0007\\rU+E9" at character 6: ${A_PORT}`],
    [`port ${'9'.repeat(99)}`, `"${'9'.repeat(50)}..." at character 6: ${A_PORT}`],
  ])('what is not there: %j', (text, message) => expect(said(text)).toBe(message));
});

describe('limits', () => {
  test('8192 characters', () => {
    expect(said(`tcp${' '.repeat(8189)}`)).toBe('(nothing)');
    expect(said(`tcp${' '.repeat(8190)}`)).toBe('8193 characters: expected at most 8192');
  });

  test('64 groups inside each other, and any number beside each other', () => {
    const groups = (n: number): string => `${'('.repeat(n)}arp${')'.repeat(n)}`;
    expect(wanted(groups(64))).toBe('who');
    expect(said(groups(65))).toBe('"(" at character 65: expected at most 64 groups inside each other');
    expect(said('('.repeat(8192))).toBe('"(" at character 65: expected at most 64 groups inside each other');
    expect(wanted(`${'(arp) and '.repeat(700)}arp`)).toBe('who');
  });

  test('what fits into a text is no burden for the stack', () => {
    expect(wanted(`${'!'.repeat(8000)}arp`)).toBe('who');
    expect(wanted(`arp${' or ip'.repeat(1300)}`)).toBe('http https dns who');
    expect(wanted(`port 80${' or 81'.repeat(1300)}`)).toBe('http');
    expect(wanted(`host (10.0.2.2${' and not 1.1'.repeat(650)})`)).toBe('http who');
    expect(wanted(`vlan${' or vlan'.repeat(1000)}`)).toBe('');
  });
});
