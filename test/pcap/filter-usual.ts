// Expressions as people write them: one of each kind, and ones about the addresses and ports that frames hold.

import { formatIp, formatIpv4Word, formatMac } from '../../src/base/addr.ts';
import { memoryOver } from '../../src/base/memory.ts';
import { parseFilter } from '../../src/pcap/filter.ts';
import { macHi, macLo } from '../../src/wire/bytes.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import { pick } from './filter-frames.ts';
import type { Sample } from './filter-judge.ts';

/** Expressions from text with commas or line ends between them. */
function listed(text: string): string[] {
  return text.split(/[,\n]/).flatMap((line) => line.trim() || []);
}

export const USUAL: readonly string[] = listed(`
  ip, ip6, arp, rarp, tcp, udp, icmp, icmp6, sctp, igmp, ah, esp, pim, vrrp, not ip, not arp, ip or arp
  not ip and not ip6 and not arp, tcp or udp, ip and not tcp and not udp, broadcast, multicast
  ether broadcast, ether multicast, not multicast, ip multicast, ip broadcast, ip6 multicast
  multicast and not broadcast, ether multicast and ip6, ip and ip multicast and udp, less 60, less 64
  greater 1000, less 0, greater 0, greater 64 and less 200, greater 0xffff, proto 89, ip proto 2, ip proto 46
  ip6 proto 0, ip6 proto 44, ip6 proto 58, proto 6 or 17, ether proto 0x800, ether proto 0x86dd
  ether proto 0x88cc, ether proto 0x8863, ether proto 0x8864, ether proto 0x42, ether proto 0xfe
  ether proto 6, ether proto 0xf0, ether proto 0xe0, ether proto 0, ether proto 0x809b, ether proto 0x80f3
  ether proto 0xaa, ether proto 1500, ether proto 1501, vlan, vlan 1, not vlan, vlan and ip, vlan and arp
  vlan and vlan, vlan and ip6 and udp, vlan 100, vlan and tcp port 80, vlan and host 10.0.2.15
  vlan and ether proto 0xfe, not vlan and multicast, port 80, port 53, tcp port 80, udp port 53
  tcp port 80 or 443, src port 67, dst port 68, port 0, udp src port 67 and dst port 68, src and dst port 123
  tcp dst port (80 or 443 or 8080), port 67 or 68, portrange 0-1023, tcp portrange 1024-65535
  udp dst portrange 33434-33534, not port 22 and not port 53, port 67 or port 68 or arp
  udp and (port 67 or port 68), icmp or icmp6, tcp and not port 80 or arp, host 10.0.2.15, host 10.0.2.2
  src host 10.0.2.15, dst 10.0.2.2, host 127.0.0.1, host 0.0.0.0, arp host 10.0.2.15, arp src 10.0.2.15
  ip host 10.0.2.2, not host 10.0.2.15, host 255.255.255.255, host 10.0.2.15 and (10.0.2.2 or 10.0.2.3)
  host 10.0.2.15 and not 10.0.2.2, src 10.0.2.15 and tcp, net 10, net 10.0.2, net 10.0.2.0/24, net 192.168
  net 172.16.0.0/12, net 10.0.0.0 mask 255.0.0.0, src net 10, dst net 224.0.0.0/4, net 0.0.0.0/0
  src net 10 and not dst net 10, net 127, not net 10, host ::1, host fe80::1, net fe80::/10, net 2001::/16
  net ff00::/8, dst net ff02::/16, net ::/0, ip6 and not icmp6, ip6 net fd00::/8, ip6 host ff02::1
  src net 2001:db8::/32, dst host ff02::16, ether host 52:54:00:12:34:56, ether src 52:54:00:12:34:56
  ether dst ff:ff:ff:ff:ff:ff, not ether dst 0:0:0:0:0:0, ether host 52:55:0a:00:02:02 and tcp
  ether dst 01:80:c2:00:00:00, ether dst 01-80-c2-00-00-0e
`);

/** With names of /etc/services and /etc/protocols. */
export const USUAL_NAMES: readonly string[] = listed(String.raw`
  port domain, port http, port https, tcp port ssh, udp port tftp, port bootps or bootpc, port ntp
  ip proto \tcp, proto \udp, ip proto \icmp or \igmp, ip6 proto \ipv6-icmp, ether proto \arp
  port ftp or ftp-data or domain, port telnet or smtp or snmp or mdns, ip proto \esp or \ah or \gre or \pim
`);

/** `count` expressions about addresses and ports of frames that are picked at random. */
export function aboutFrames(samples: readonly Sample[], count: number, random: SeededRandom): string[] {
  const whole = samples.filter(({ bytes }) => bytes.length >= 60);
  return Array.from({ length: count }, () => {
    const [a, b] = [factAbout(pick(random, whole), random), factAbout(pick(random, whole), random)];
    return pick(random, [
      a,
      a,
      `not ${a}`,
      `${a} or ${b}`,
      `${a} and not ${b}`,
      `not (${a} or ${b})`,
      `${a} and ip or ${b}`,
    ]);
  });
}

/** Something that is true of the frame. */
function factAbout({ bytes }: Sample, random: SeededRandom): string {
  const memory = memoryOver(bytes);
  const { view } = memory;
  const is = (text: string): boolean => parseFilter(text).matches(memory, 0, bytes.length, bytes.length);
  const facts = [
    `ether dst ${formatMac(macHi(view, 0), macLo(view, 0))}`,
    `ether src ${formatMac(macHi(view, 6), macLo(view, 6))}`,
    `ether proto ${view.getUint16(12)}`,
    `less ${bytes.length}`,
  ];
  const ipv4 = (at: number): string => formatIpv4Word(view.getInt32(at));
  const port = (at: number): number => (at + 2 <= bytes.length ? view.getUint16(at) : 0);
  if (is('ip')) {
    const ports = 14 + 4 * (view.getUint8(14) & 15);
    facts.push(`src ${ipv4(26)}`, `host ${ipv4(30)}`, `net ${ipv4(30).replace(/\.\d+$/, '')}`);
    facts.push(`ip proto ${view.getUint8(23)}`, `src port ${port(ports)}`, `port ${port(ports + 2)}`);
    facts.push(`ip and portrange ${port(ports)}-${port(ports + 2)}`, `ip src net ${view.getUint8(26)}`);
  } else if (is('arp')) facts.push(`arp src ${ipv4(28)}`, `arp host ${ipv4(38)}`, `host ${ipv4(38)}`);
  else if (is('ip6')) {
    const ipv6 = (at: number): string => {
      const [w0, w1, w2, w3] = [0, 4, 8, 12].map((i) => view.getInt32(at + i)) as [
        number,
        number,
        number,
        number,
      ];
      return formatIp({ w0, w1, w2, w3 });
    };
    facts.push(`src host ${ipv6(22)}`, `ip6 proto ${view.getUint8(20)}`, `dst port ${port(56)}`);
    if (bytes.length >= 54) facts.push(`host ${ipv6(38)}`, `net ${ipv6(38)}/128`);
  }
  return pick(random, facts);
}
