import { describe, expect, test } from 'vitest';
import { formatEndpoint, formatIp, formatIpv4Word, formatMac, parseIp } from '../../src/base/addr.ts';
import { ConfigError, type NetworkConfig, parseConfig } from '../../src/network/config.ts';

const dotted = formatIpv4Word;

function wrong(config: unknown): string {
  try {
    parseConfig(config as NetworkConfig);
  } catch (e) {
    if (!(e instanceof ConfigError)) throw e;
    expect(e.message.startsWith(`${e.path}: `)).toBe(true);
    expect(e.message).not.toContain('\n');
    return e.message;
  }
  return 'accepted';
}

describe('defaults', () => {
  test('an empty config is the network that QEMU users know', () => {
    const s = parseConfig({});
    expect(dotted(s.subnet)).toBe('10.0.2.0');
    expect(dotted(s.mask)).toBe('255.255.255.0');
    expect(s.prefix).toBe(24);
    expect(dotted(s.broadcast)).toBe('10.0.2.255');
    expect(dotted(s.gateway)).toBe('10.0.2.2');
    expect(dotted(s.dns!.address)).toBe('10.0.2.3');
    expect(s.dns!.resolvers).toBeNull();
    expect(dotted(s.dhcp!.first)).toBe('10.0.2.15');
    expect(dotted(s.dhcp!.last)).toBe('10.0.2.254');
    expect(s.dhcp!.leaseSeconds).toBe(86400);
    expect(s.dhcp).toMatchObject({ hostname: null, domainName: null, domainSearch: [], staticLeases: [] });
    expect(s.mtu).toBe(1500);
    expect([s.hostLoopback, s.linkLocal, s.restrict, s.udpFullCone]).toEqual([true, false, false, false]);
    expect([s.congestion, s.pacing]).toEqual(['cubic', true]);
    expect(s.forwards).toEqual([]);
    expect(s.limits).toEqual({
      tcpFlows: 16384,
      udpFlows: 4096,
      pendingConnects: 256,
      macs: 1024,
      leases: 1024,
      flowBytes: 1 << 20,
      arenaBytes: 128 << 20,
    });
    expect(s.timeouts).toEqual({ connect: 75000, udpIdle: 240000, timeWait: 10000 });
  });

  test('addresses are signed words, as base/addr.ts has them', () => {
    const s = parseConfig({ subnet: '192.168.7.0/24' });
    for (const w of [s.subnet, s.mask, s.broadcast, s.gateway, s.dns!.address, s.dhcp!.first]) {
      expect(w).toBe(w | 0);
      expect(w).toBeLessThan(0);
    }
  });

  test.each([
    ['10.0.0.0/8', '10.0.0.2', '10.0.0.3', '10.0.0.15', '10.255.255.254'],
    ['172.16.0.0/16', '172.16.0.2', '172.16.0.3', '172.16.0.15', '172.16.255.254'],
    ['10.1.2.128/25', '10.1.2.130', '10.1.2.131', '10.1.2.143', '10.1.2.254'],
    ['10.1.2.32/27', '10.1.2.34', '10.1.2.35', '10.1.2.47', '10.1.2.62'],
    ['10.1.2.16/28', '10.1.2.18', '10.1.2.19', '10.1.2.20', '10.1.2.30'],
    ['10.1.2.8/29', '10.1.2.10', '10.1.2.11', '10.1.2.12', '10.1.2.14'],
  ])('%s: gateway, name service and pool follow the subnet', (subnet, gateway, dns, first, last) => {
    const s = parseConfig({ subnet });
    expect([s.gateway, s.dns!.address, s.dhcp!.first, s.dhcp!.last].map(dotted)).toEqual([
      gateway,
      dns,
      first,
      last,
    ]);
  });

  test('a /30 has room for the gateway and one guest: no name service unless it is the guest that goes', () => {
    const s = parseConfig({ subnet: '10.9.9.4/30' });
    expect([s.gateway, s.dhcp!.first, s.dhcp!.last].map(dotted)).toEqual([
      '10.9.9.6',
      '10.9.9.5',
      '10.9.9.5',
    ]);
    expect(s.dns).toBeNull();
    expect(wrong({ subnet: '10.9.9.4/30', dns: {} })).toMatch(
      /^dns\.address: 10\.9\.9\.4\/30 has no third address/,
    );
    expect(wrong({ subnet: '10.9.9.4/30', dns: { address: '10.9.9.5' } })).toBe(
      'dhcp.first: no address of 10.9.9.4/30 is left for guests',
    );
  });

  test('the pool starts and ends beside the gateway and the name service, and they make room for each other', () => {
    const end = parseConfig({ gateway: '10.0.2.254', dns: { address: '10.0.2.253' } });
    expect(dotted(end.dhcp!.last)).toBe('10.0.2.252');
    const start = parseConfig({ gateway: '10.0.2.15', dns: { address: '10.0.2.16' } });
    expect(dotted(start.dhcp!.first)).toBe('10.0.2.17');
    expect(dotted(parseConfig({ gateway: '10.0.2.3' }).dns!.address)).toBe('10.0.2.4');
  });

  test('dhcp and dns can be off', () => {
    const s = parseConfig({
      dhcp: false,
      dns: false,
      forwards: [{ proto: 'tcp', host: '2222', guest: '22' }],
    });
    expect(s.dhcp).toBeNull();
    expect(s.dns).toBeNull();
    expect(dotted(s.forwards[0]!.guestAddress)).toBe('10.0.2.15');
  });

  test('settings are frozen, all the way down', () => {
    const s = parseConfig({
      forwards: [{ proto: 'tcp', host: '2222', guest: '22' }],
      dns: { resolvers: ['9.9.9.9'] },
    });
    const all: unknown[] = [
      s,
      s.dhcp,
      s.dns,
      s.dns!.resolvers,
      s.forwards,
      s.forwards[0],
      s.forwards[0]!.host.addr,
    ];
    for (const part of [...all, s.limits, s.timeouts, s.dhcp!.staticLeases])
      expect(Object.isFrozen(part)).toBe(true);
  });

  test('what the user gave is not frozen and not changed', () => {
    const config = { dhcp: { domainSearch: ['a.test'] } };
    parseConfig(config);
    config.dhcp.domainSearch.push('b.test');
    expect(config.dhcp.domainSearch).toHaveLength(2);
  });
});

describe('forwards', () => {
  const forward = (host: string, guest = '22'): string => {
    const f = parseConfig({ forwards: [{ proto: 'udp', host, guest }] }).forwards[0]!;
    return `${formatEndpoint(f.host)} ${dotted(f.guestAddress)}:${f.guestPort}`;
  };

  test('behaviour: forwards bind 127.0.0.1 unless told otherwise', () => {
    expect(forward('2222')).toBe('127.0.0.1:2222 10.0.2.15:22');
    expect(forward('0.0.0.0:2222')).toBe('0.0.0.0:2222 10.0.2.15:22');
    expect(forward('[::1]:2222')).toBe('[::1]:2222 10.0.2.15:22');
    expect(forward('[::]:0', '10.0.2.99:65535')).toBe('[::]:0 10.0.2.99:65535');
  });

  test('a port alone leads to the first address of the pool', () => {
    const s = parseConfig({
      dhcp: { first: '10.0.2.50' },
      forwards: [{ proto: 'tcp', host: '1', guest: '80' }],
    });
    expect(dotted(s.forwards[0]!.guestAddress)).toBe('10.0.2.50');
  });

  test('two of one kind on one port are refused, tcp beside udp and port 0 twice are not', () => {
    const at = (proto: string, host: string) => ({ proto, host, guest: '22' });
    expect(wrong({ forwards: [at('tcp', '2222'), at('tcp', '127.0.0.1:2222')] })).toBe(
      'forwards[1].host: tcp 127.0.0.1:2222 is forwarded twice',
    );
    expect(wrong({ forwards: [at('tcp', '2222'), at('udp', '2222')] })).toBe('accepted');
    expect(wrong({ forwards: [at('tcp', '0'), at('tcp', '0')] })).toBe('accepted');
  });
});

describe('dns.resolvers', () => {
  test('an address, or an address and a port; 53 without one', () => {
    const texts = ['192.0.2.53', '127.0.0.1:5353', '2001:db8::53', '[2001:db8::53]:54', '::1'];
    const resolvers = parseConfig({ dns: { resolvers: texts } }).dns!.resolvers!;
    expect(resolvers.map(formatEndpoint)).toEqual([
      '192.0.2.53:53',
      '127.0.0.1:5353',
      '[2001:db8::53]:53',
      '[2001:db8::53]:54',
      '[::1]:53',
    ]);
  });

  test('none at all is not the same as the host’s own', () => {
    expect(parseConfig({ dns: { resolvers: [] } }).dns!.resolvers).toEqual([]);
  });
});

describe('dhcp', () => {
  test('static leases by MAC, in the pool or beside it', () => {
    const s = parseConfig({
      dhcp: { staticLeases: { '52:54:00:12:34:56': '10.0.2.77', '52-54-00-12-34-57': '10.0.2.5' } },
    });
    const leases = s.dhcp!.staticLeases.map((l) => `${formatMac(l.mac.hi, l.mac.lo)} ${dotted(l.address)}`);
    expect(leases).toEqual(['52:54:00:12:34:56 10.0.2.77', '52:54:00:12:34:57 10.0.2.5']);
  });

  test('names for options 12, 15, 66, 67 and 119', () => {
    const dhcp = {
      hostname: 'vm',
      domainName: 'lan',
      domainSearch: ['a.test', 'b.test.'],
      bootfile: 'pxe.0',
    };
    expect(parseConfig({ dhcp: { ...dhcp, tftpServerName: '10.0.2.2' } }).dhcp).toMatchObject({
      ...dhcp,
      domainSearch: ['a.test', 'b.test'],
      tftpServerName: '10.0.2.2',
    });
  });
});

describe('every wrong setting is one ConfigError that names it', () => {
  const cases: [unknown, string][] = [
    [null, 'config: is not an object'],
    [[], 'config: is not an object'],
    [{ subnett: '10.0.2.0/24' }, 'subnett: no such setting'],
    [{ dhcp: { frist: '10.0.2.9' } }, 'dhcp.frist: no such setting'],
    [{ dns: { adress: '10.0.2.9' } }, 'dns.adress: no such setting'],
    [{ limits: { tcpflows: 1 } }, 'limits.tcpflows: no such setting'],
    [{ timeouts: { conect: 1 } }, 'timeouts.conect: no such setting'],
    [{ forwards: [{ proto: 'tcp', host: '1', guest: '1', gust: 1 }] }, 'forwards[0].gust: no such setting'],
    [{ toString: 1 }, 'toString: no such setting'],
    [{ subnet: '10.0.2.0' }, 'subnet: "10.0.2.0" is not a prefix like 10.0.2.0/24'],
    [{ subnet: '10.0.2.0/33' }, 'subnet: "10.0.2.0/33" is not a prefix like 10.0.2.0/24'],
    [{ subnet: '10.0.2.256/24' }, 'subnet: "10.0.2.256/24" is not a prefix like 10.0.2.0/24'],
    [{ subnet: 24 }, 'subnet: 24 is not a prefix like 10.0.2.0/24'],
    [{ subnet: '10.0.2.0/31' }, 'subnet: /31 is not within /8 to /30'],
    [{ subnet: '8.0.0.0/7' }, 'subnet: /7 is not within /8 to /30'],
    [{ subnet: '10.0.2.7/24' }, 'subnet: 10.0.2.7/24 has host bits; the network is 10.0.2.0/24'],
    [{ subnet: '127.0.0.0/8' }, 'subnet: 127.0.0.0/8 cannot hold guests'],
    [{ subnet: '0.0.0.0/8' }, 'subnet: 0.0.0.0/8 cannot hold guests'],
    [{ subnet: '224.0.0.0/24' }, 'subnet: 224.0.0.0/24 cannot hold guests'],
    [{ subnet: '255.255.255.0/24' }, 'subnet: 255.255.255.0/24 cannot hold guests'],
    [{ gateway: '10.0.3.2' }, 'gateway: 10.0.3.2 is not in 10.0.2.0/24'],
    [{ gateway: '10.0.2.0' }, 'gateway: 10.0.2.0 is the address of the network 10.0.2.0/24'],
    [{ gateway: '10.0.2.255' }, 'gateway: 10.0.2.255 is the broadcast address of 10.0.2.0/24'],
    [{ gateway: '10.0.02.2' }, 'gateway: "10.0.02.2" is not an IPv4 address'],
    [{ gateway: '10.0.2' }, 'gateway: "10.0.2" is not an IPv4 address'],
    [{ gateway: 'fe80::1' }, 'gateway: "fe80::1" is not an IPv4 address'],
    [{ mtu: 67 }, 'mtu: 67 is below 68'],
    [{ mtu: 70000 }, 'mtu: 70000 is above 65521'],
    [{ mtu: 1500.5 }, 'mtu: 1500.5 is not a whole number'],
    [{ mtu: '1500' }, 'mtu: "1500" is not a whole number'],
    [{ dhcp: true }, 'dhcp: is not an object'],
    [{ dns: true }, 'dns: is not an object'],
    [{ dns: { address: '10.0.2.2' } }, 'dns.address: 10.0.2.2 is the gateway'],
    [{ dns: { address: '10.0.3.3' } }, 'dns.address: 10.0.3.3 is not in 10.0.2.0/24'],
    [{ dns: { resolvers: '9.9.9.9' } }, 'dns.resolvers: is not a list'],
    [
      { dns: { resolvers: ['9.9.9.9', 'resolver.test'] } },
      'dns.resolvers[1]: "resolver.test" is not an IPv4 address',
    ],
    [{ dns: { resolvers: ['fe80::1%eth0'] } }, 'dns.resolvers[0]: "fe80::1%eth0" is not an IP address'],
    [{ dns: { resolvers: ['9.9.9.9:0'] } }, 'dns.resolvers[0]: port 0 is not within 1 to 65535'],
    [
      { dns: { resolvers: ['10.0.2.3'] } },
      "dns.resolvers[0]: 10.0.2.3 is in the guests' network 10.0.2.0/24, not in the host's world",
    ],
    [{ dhcp: { first: '10.0.2.2' } }, 'dhcp.first: 10.0.2.2 is the gateway'],
    [{ dhcp: { first: '10.0.2.3' } }, 'dhcp.first: 10.0.2.3 is the name service'],
    [{ dhcp: { first: '10.0.3.9' } }, 'dhcp.first: 10.0.3.9 is not in 10.0.2.0/24'],
    [{ dhcp: { last: '10.0.2.255' } }, 'dhcp.last: 10.0.2.255 is the broadcast address of 10.0.2.0/24'],
    [
      { dhcp: { first: '10.0.2.20', last: '10.0.2.19' } },
      'dhcp.last: 10.0.2.19 is below the first, 10.0.2.20',
    ],
    [{ dhcp: { leaseSeconds: 59 } }, 'dhcp.leaseSeconds: 59 is below 60'],
    [{ dhcp: { leaseSeconds: 31536001 } }, 'dhcp.leaseSeconds: 31536001 is above 31536000'],
    [{ dhcp: { hostname: '' } }, 'dhcp.hostname: is empty'],
    [{ dhcp: { hostname: 'a b' } }, 'dhcp.hostname: "a b" is not plain ASCII'],
    [{ dhcp: { hostname: 7 } }, 'dhcp.hostname: is not text'],
    [{ dhcp: { domainName: 'x'.repeat(256) } }, 'dhcp.domainName: is 256 characters long, at most 255'],
    [{ dhcp: { bootfile: 'x'.repeat(128) } }, 'dhcp.bootfile: is 128 characters long, at most 127'],
    [{ dhcp: { tftpServerName: 'x'.repeat(64) } }, 'dhcp.tftpServerName: is 64 characters long, at most 63'],
    [{ dhcp: { domainSearch: ['a..b'] } }, 'dhcp.domainSearch[0]: "a..b" is not a domain name'],
    [
      { dhcp: { domainSearch: ['a', 'b', 'c', 'd'].map((c) => `${c.repeat(63)}.test`) } },
      'dhcp.domainSearch: needs 280 bytes, at most 255',
    ],
    [
      { dhcp: { staticLeases: { '52:54:00': '10.0.2.9' } } },
      'dhcp.staticLeases["52:54:00"]: is not a MAC address',
    ],
    [
      { dhcp: { staticLeases: { '01:00:5e:00:00:01': '10.0.2.9' } } },
      'dhcp.staticLeases["01:00:5e:00:00:01"]: is a group address',
    ],
    [
      { dhcp: { staticLeases: { '52:54:00:12:34:AA': '10.0.2.9', '52:54:00:12:34:aa': '10.0.2.10' } } },
      'dhcp.staticLeases["52:54:00:12:34:aa"]: is there twice',
    ],
    [
      { dhcp: { staticLeases: { '52:54:00:12:34:56': '10.0.2.9', '52:54:00:12:34:57': '10.0.2.9' } } },
      'dhcp.staticLeases["52:54:00:12:34:57"]: 10.0.2.9 is the lease of 52:54:00:12:34:56',
    ],
    [
      { dhcp: { staticLeases: { '52:54:00:12:34:56': '10.0.2.2' } } },
      'dhcp.staticLeases["52:54:00:12:34:56"]: 10.0.2.2 is the gateway',
    ],
    [{ restrict: 'on' }, 'restrict: is neither true nor false'],
    [{ congestion: 'vegas' }, 'congestion: "vegas" is neither cubic nor newreno'],
    [{ pacing: 1 }, 'pacing: is neither true nor false'],
    [{ hostLoopback: 0 }, 'hostLoopback: is neither true nor false'],
    [{ forwards: {} }, 'forwards: is not a list'],
    [{ forwards: [7] }, 'forwards[0]: is not an object'],
    [{ forwards: [{ host: '1', guest: '1' }] }, 'forwards[0].proto: undefined is neither tcp nor udp'],
    [
      { forwards: [{ proto: 'tcp', guest: '1' }] },
      'forwards[0].host: undefined is neither ADDRESS:PORT nor PORT',
    ],
    [
      { forwards: [{ proto: 'tcp', host: ':1', guest: '1' }] },
      'forwards[0].host: ":1" is neither ADDRESS:PORT nor PORT',
    ],
    [
      { forwards: [{ proto: 'tcp', host: '::1:22', guest: '1' }] },
      'forwards[0].host: "::1:22" is neither ADDRESS:PORT nor PORT',
    ],
    [
      { forwards: [{ proto: 'tcp', host: 'localhost:22', guest: '1' }] },
      'forwards[0].host: "localhost" is not an IPv4 address',
    ],
    [
      { forwards: [{ proto: 'tcp', host: '65536', guest: '1' }] },
      'forwards[0].host: port 65536 is not within 0 to 65535',
    ],
    [
      { forwards: [{ proto: 'tcp', host: '1', guest: '0' }] },
      'forwards[0].guest: port 0 is not within 1 to 65535',
    ],
    [
      { forwards: [{ proto: 'tcp', host: '1', guest: '10.0.3.15:22' }] },
      'forwards[0].guest: 10.0.3.15 is not in 10.0.2.0/24',
    ],
    [
      { forwards: [{ proto: 'tcp', host: '1', guest: '10.0.2.2:22' }] },
      'forwards[0].guest: 10.0.2.2 is the gateway',
    ],
    [{ limits: { tcpFlows: 0 } }, 'limits.tcpFlows: 0 is below 1'],
    [{ limits: { macs: 65537 } }, 'limits.macs: 65537 is above 65536'],
    [{ limits: { flowBytes: 2048 } }, 'limits.flowBytes: 2048 is below 4096'],
    [{ limits: { flowBytes: 5000 } }, 'limits.flowBytes: 5000 is not a power of two'],
    [{ limits: { arenaBytes: 4 << 20 } }, 'limits.arenaBytes: 4194304 is below 8388608'],
    [{ limits: { arenaBytes: 2 ** 31 } }, 'limits.arenaBytes: 2147483648 is above 1073741824'],
    [
      { limits: { arenaBytes: 8 << 20, flowBytes: 4 << 20 } },
      'limits.flowBytes: 4194304 is more than a quarter of arenaBytes, 8388608',
    ],
    [{ timeouts: { connect: 0 } }, 'timeouts.connect: 0 is below 1'],
    [{ timeouts: { timeWait: 86400001 } }, 'timeouts.timeWait: 86400001 is above 86400000'],
  ];
  test.each(cases)('%j', (config, message) => {
    expect(wrong(config)).toBe(message);
  });
});

test('ip-num and base/addr.ts read IPv6 alike', () => {
  const texts = [
    '::',
    '::1',
    '2001:db8::1',
    '1:2:3:4:5:6:7:8',
    '::ffff:192.0.2.1',
    'ffff:ffff::ffff',
    'FE80::A',
  ];
  for (const text of texts) {
    const host = parseConfig({ forwards: [{ proto: 'tcp', host: `[${text}]:80`, guest: '80' }] }).forwards[0]!
      .host;
    expect(formatIp(host.addr)).toBe(formatIp(parseIp(text)!));
  }
  for (const text of ['1::2::3', ':::', '12345::', '1:2:3:4:5:6:7', '::1.2.3.400', 'g::']) {
    expect(parseIp(text)).toBeNull();
    expect(wrong({ forwards: [{ proto: 'tcp', host: `[${text}]:80`, guest: '80' }] })).toMatch(
      /^forwards\[0\]\.host: /,
    );
  }
});
