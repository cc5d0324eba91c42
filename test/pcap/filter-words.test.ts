import { expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import { parseFilter } from '../../src/pcap/filter.ts';
import { FRAMES, hex } from '../support/frames.ts';
import { arp, echo, ethernet, ipv4, tcp, udp } from '../support/raw-frames.ts';

/** An IPv6 packet from fe80::1 to fd00::2 in a frame. */
function ipv6(nextHeader: number, payload: string, to = '52:55:0a:00:02:02'): Buffer {
  const addresses = 'fe800000000000000000000000000001 fd000000000000000000000000000002';
  const packet = Buffer.from(
    hex(`60000000 0000 ${nextHeader.toString(16).padStart(2, '0')} 40 ${addresses}${payload}`),
  );
  return ethernet(packet, { type: 0x86dd, to });
}

/** `frame` with tags behind its MAC addresses. */
function tagged(frame: Buffer, ...tags: string[]): Buffer {
  return Buffer.concat([frame.subarray(0, 12), Buffer.from(tags.join(''), 'hex'), frame.subarray(12)]);
}

const http = tcp({ dport: 80, sport: 40000 });
const SAMPLES: Readonly<Record<string, Uint8Array>> = {
  http,
  answer: tcp({ src: '10.0.2.2', dst: '10.0.2.15', sport: 80, dport: 40000 }),
  dns: udp('q', { dst: '10.0.2.3', dport: 53, sport: 5000 }),
  dhcp: udp('', { src: '0.0.0.0', dst: '255.255.255.255', sport: 68, dport: 67, to: 'ff:ff:ff:ff:ff:ff' }),
  mdns: udp('', { dst: '224.0.0.251', sport: 5353, dport: 5353, to: '01:00:5e:00:00:fb' }),
  ping: echo({ dst: '192.168.1.1' }),
  who: arp(1, '10.0.2.15', '10.0.2.2'),
  isAt: arp(2, '10.0.2.2', '10.0.2.15', { from: '52:55:0a:00:02:02', to: '52:54:00:12:34:56' }),
  tail: ipv4(Buffer.from(hex('0050 0050 00*8')), { proto: 6, offset: 1480, dst: '10.0.2.2' }),
  tcp6: ipv6(6, '9c40 0050 00*16'),
  fragment6: ipv6(44, '11 00 0001 00000001 0035 0035'),
  ping6: ipv6(58, '8000 0000', '33:33:00:00:00:01'),
  vlan: tagged(http, '8100e005'),
  lldp: FRAMES.lldp,
  spanningTree: ethernet(Buffer.from(hex('424203 00*43')), { type: 46, to: '01:80:c2:00:00:00' }),
};

/** Which of the frames the filter wants. */
function wanted(text: string): string[] {
  const filter = parseFilter(text);
  const isWanted = (bytes: Uint8Array): boolean => {
    // Neither at the beginning of the memory nor at its end: what is around it must not matter.
    const memory = memoryOver(Uint8Array.from([1, 2, 3, ...bytes, ...new Array<number>(80).fill(0x50)]));
    return filter.matches(memory, 3, bytes.length, bytes.length);
  };
  return Object.keys(SAMPLES).filter((name) => isWanted(SAMPLES[name]!));
}

const ALL = Object.keys(SAMPLES);

test('no word is every frame', () => {
  expect(wanted('')).toEqual(ALL);
  expect(wanted(' \t\r\n')).toEqual(ALL);
});

test('protocols alone', () => {
  expect(wanted('ip')).toEqual(['http', 'answer', 'dns', 'dhcp', 'mdns', 'ping', 'tail']);
  expect(wanted('ip6')).toEqual(['tcp6', 'fragment6', 'ping6']);
  expect(wanted('arp')).toEqual(['who', 'isAt']);
  expect(wanted('rarp')).toEqual([]);
  expect(wanted('tcp')).toEqual(['http', 'answer', 'tail', 'tcp6']);
  expect(wanted('icmp')).toEqual(['ping']);
  expect(wanted('icmp6')).toEqual(['ping6']);
});

test('pcap-filter(7): a protocol is looked for behind the fragment header of IPv6, ports are not', () => {
  expect(wanted('udp')).toEqual(['dns', 'dhcp', 'mdns', 'fragment6']);
  expect(wanted('udp port 53')).toEqual(['dns']);
});

test('protocols by number and by name', () => {
  expect(wanted('ip proto 17')).toEqual(['dns', 'dhcp', 'mdns']);
  expect(wanted('ip proto \\udp')).toEqual(['dns', 'dhcp', 'mdns']);
  expect(wanted('ip6 proto 0x3a')).toEqual(['ping6']);
  expect(wanted('proto 6')).toEqual(wanted('tcp'));
  expect(wanted('ether proto 0x88cc')).toEqual(['lldp']);
  expect(wanted('ether proto \\arp or \\ip6')).toEqual(['who', 'isAt', 'tcp6', 'fragment6', 'ping6']);
});

test('IEEE 802.3 3.2.6: up to 1500 the number of an EtherType is an access point behind a length', () => {
  expect(wanted('ether proto 0x42')).toEqual(['spanningTree']);
  expect(wanted('ether proto 46')).toEqual([]);
});

test('a host is in IPv4 and in ARP', () => {
  expect(wanted('host 10.0.2.2')).toEqual(['http', 'answer', 'who', 'isAt', 'tail']);
  expect(wanted('src host 10.0.2.2')).toEqual(['answer', 'isAt']);
  expect(wanted('dst 10.0.2.2')).toEqual(['http', 'who', 'tail']);
  expect(wanted('src or dst 10.0.2.2')).toEqual(wanted('host 10.0.2.2'));
  expect(wanted('src and dst host 10.0.2.2')).toEqual([]);
  expect(wanted('ip host 10.0.2.2')).toEqual(['http', 'answer', 'tail']);
  expect(wanted('arp host 10.0.2.2')).toEqual(['who', 'isAt']);
  expect(wanted('rarp host 10.0.2.2')).toEqual([]);
});

test('a host by a number, and by the front of its address', () => {
  expect(wanted('host 0x0a000202')).toEqual(wanted('host 10.0.2.2'));
  expect(wanted('host 10.0.2')).toEqual(wanted('net 10.0.2.0/24'));
  expect(wanted('host 10')).toEqual([]);
});

test('a host in IPv6', () => {
  expect(wanted('host fe80::1')).toEqual(['tcp6', 'fragment6', 'ping6']);
  expect(wanted('dst fe80::1')).toEqual([]);
  expect(wanted('ip6 src host fe80:0::1')).toEqual(['tcp6', 'fragment6', 'ping6']);
  expect(wanted('host ::ffff:10.0.2.2')).toEqual([]);
});

test('networks by length, by mask, by what is missing, and as a number', () => {
  const local = ['http', 'answer', 'dns', 'mdns', 'ping', 'who', 'isAt', 'tail'];
  for (const net of [
    '10.0.2.0/24',
    '10.0.2',
    '10.0.2/24',
    '10.0.2.0 mask 255.255.255.0',
    '10',
    '10.0',
    '0x0a',
  ]) {
    expect(wanted(`net ${net}`), net).toEqual(local);
  }
  expect(wanted('net 0.0.0.0/0')).toEqual(wanted('ip or arp or rarp'));
  expect(wanted('net 0')).toEqual(['dhcp']);
  expect(wanted('dst net 192.168.0.0/23')).toEqual(['ping']);
  expect(wanted('dst net 192.168.0.0/24')).toEqual([]);
  expect(wanted('net 10.0.0.2 mask 255.0.0.255')).toEqual(wanted('host 10.0.2.2'));
});

test('networks of IPv6', () => {
  expect(wanted('net fe80::/10')).toEqual(wanted('ip6'));
  expect(wanted('dst net fe80::/10')).toEqual([]);
  expect(wanted('ip6 dst net fd00::/127')).toEqual([]);
  expect(wanted('net fd00::/126')).toEqual(wanted('ip6'));
  expect(wanted('net ::/0')).toEqual(wanted('ip6'));
});

test('ports: TCP, UDP and SCTP, in first fragments only', () => {
  expect(wanted('port 80')).toEqual(['http', 'answer', 'tcp6']);
  expect(wanted('src port 80')).toEqual(['answer']);
  expect(wanted('tcp dst port 80')).toEqual(['http', 'tcp6']);
  expect(wanted('udp port 80')).toEqual([]);
  expect(wanted('sctp port 80')).toEqual([]);
  expect(wanted('src and dst port 5353')).toEqual(['mdns']);
  expect(wanted('portrange 67-80')).toEqual(['http', 'answer', 'dhcp', 'tcp6']);
  expect(wanted('udp portrange 80-67')).toEqual(['dhcp']);
  expect(wanted('portrange 53')).toEqual(['dns']);
  const sctp = ipv4(Buffer.from(hex('0050 0051')), { proto: 132 });
  expect(parseFilter('port 81').matches(memoryOver(sctp), 0, sctp.length, sctp.length)).toBe(true);
});

test('names of ports may say which protocol', () => {
  expect(wanted('port http')).toEqual(wanted('tcp port 80'));
  expect(wanted('port domain')).toEqual(['dns']);
  expect(wanted('udp dst port bootps')).toEqual(['dhcp']);
  expect(wanted('port \\bootpc')).toEqual(['dhcp']);
  expect(wanted('port tftp or ssh or https')).toEqual([]);
});

test('RFC 791 3.1: ports are behind the options of IPv4', () => {
  const options = Buffer.from(hex('94040000 9c40 0050 00*16'));
  const frame = ipv4(options, { proto: 6, headerLen: 24 });
  const matches = (text: string): boolean =>
    parseFilter(text).matches(memoryOver(frame), 0, frame.length, 99);
  expect(matches('dst port 80')).toBe(true);
  expect(matches('src port 40000')).toBe(true);
  expect(matches(`port ${0x9404}`)).toBe(false);
});

test('numbers are decimal, octal and hexadecimal', () => {
  expect(wanted('port 0x50')).toEqual(wanted('port 80'));
  expect(wanted('port 0120')).toEqual(wanted('port 80'));
});

test('MAC addresses in all their spellings', () => {
  const spellings = [
    '52:55:0a:00:02:02',
    '52-55-A-0-2-2',
    '52.55.0a.00.02.02',
    '5255.0a00.0202',
    '52550A000202',
  ];
  for (const mac of spellings) expect(wanted(`ether host ${mac} and arp`), mac).toEqual(['isAt']);
  expect(wanted('ether src 52:55:0a:00:02:02')).toEqual(['isAt']);
  expect(wanted('link dst host 52:54:00:12:34:56')).toEqual(['isAt']);
  expect(wanted('ether src and dst 52:55:0a:00:02:02')).toEqual([]);
});

test('broadcast and multicast', () => {
  const groups = ['dhcp', 'mdns', 'who', 'ping6', 'lldp', 'spanningTree'];
  expect(wanted('broadcast')).toEqual(['dhcp', 'who']);
  expect(wanted('ether broadcast')).toEqual(['dhcp', 'who']);
  expect(wanted('multicast')).toEqual(groups);
  expect(wanted('ether multicast')).toEqual(groups);
  expect(wanted('ip broadcast')).toEqual(['dhcp']);
  expect(wanted('ip multicast')).toEqual(['dhcp', 'mdns']);
  expect(wanted('ip6 multicast')).toEqual([]);
});

test('less and greater are about the length on the wire, and are met by it', () => {
  const frame = memoryOver(new Uint8Array(20));
  const matches = (text: string, wireLen: number): boolean =>
    parseFilter(text).matches(frame, 0, 20, wireLen);
  expect([99, 100, 101].map((len) => matches('less 100', len))).toEqual([true, true, false]);
  expect([99, 100, 101].map((len) => matches('greater 100', len))).toEqual([false, true, true]);
  expect([0, 0xfffffffe, 0xffffffff].map((len) => matches('greater 4294967295', len))).toEqual([
    false,
    false,
    true,
  ]);
  expect([0, 0x80000000, 0xffffffff].map((len) => matches('less 2147483648', len))).toEqual([
    true,
    true,
    false,
  ]);
});

test('pcap-filter(7): vlan moves what is behind it in the text by a tag', () => {
  expect(wanted('vlan')).toEqual(['vlan']);
  expect(wanted('vlan 5')).toEqual(['vlan']);
  expect(wanted('vlan 6')).toEqual([]);
  expect(wanted('tcp and vlan')).toEqual([]);
  expect(wanted('vlan and tcp port 80 and host 10.0.2.15 and ether src 52:54:00:12:34:56')).toEqual(['vlan']);
  // Also behind `or` and `not`: all of it is looked for behind a tag.
  expect(wanted('vlan 6 or arp')).toEqual([]);
  expect(wanted('not vlan and arp')).toEqual([]);
  const twice = tagged(http, '88a80001', '81000002');
  const matches = (text: string): boolean =>
    parseFilter(text).matches(memoryOver(twice), 0, twice.length, 99);
  expect(['vlan 1 and vlan 2 and tcp', 'vlan and ip', 'vlan and vlan and ip'].map(matches)).toEqual([
    true,
    false,
    true,
  ]);
});

test('BPF: a question about bytes that were not captured is no match, under `not` neither', () => {
  const cut = memoryOver(SAMPLES['http']!.subarray(0, 36));
  const matches = (text: string, len: number): boolean => parseFilter(text).matches(cut, 0, len, 54);
  expect(
    ['tcp', 'port 80', 'not port 80', 'dst port 80', 'src port 40000'].map((text) => matches(text, 36)),
  ).toEqual([...[true, false, false, false, true]]);
  expect(['ip', 'not ip', 'tcp', 'not tcp', 'not arp'].map((text) => matches(text, 14))).toEqual([
    ...[true, false, false, false, true],
  ]);
  expect(['ip', 'not ip', 'less 60'].map((text) => matches(text, 0))).toEqual([false, false, true]);
});

test('no bytes at all', () => {
  const nothing = memoryOver(new Uint8Array(0));
  expect(parseFilter('tcp').matches(nothing, 0, 0, 0)).toBe(false);
  expect(parseFilter('').matches(nothing, 0, 0, 0)).toBe(true);
});
