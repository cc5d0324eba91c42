import { describe, expect, test } from 'vitest';
import { formatEndpoint, formatIpv4Word } from '../../src/base/addr.ts';
import { ConfigError, parseConfig } from '../../src/network/config.ts';
import { joinOptions, parseUserNet, splitOptions, userNetOptions } from '../../src/network/qemu-options.ts';

function wrong(text: string): string {
  try {
    parseUserNet(text);
  } catch (e) {
    if (!(e instanceof ConfigError)) throw e;
    return e.message;
  }
  return 'accepted';
}

/** Network, host, dns, dhcpstart: what QEMU's monitor would show. */
function addresses(text: string): string[] {
  const s = parseConfig(parseUserNet(text).config);
  return [
    `${formatIpv4Word(s.subnet)}/${s.prefix}`,
    ...[s.gateway, s.dns!.address, s.dhcp!.first].map(formatIpv4Word),
  ];
}

describe('splitOptions', () => {
  test('QEMU: a comma in a value is doubled, the first value needs no name', () => {
    expect(splitOptions('user,id=a,,b,hostname=x', 'type')).toEqual([
      ['type', 'user'],
      ['id', 'a,b'],
      ['hostname', 'x'],
    ]);
    expect(splitOptions('id=n,type=user', 'type')).toEqual([
      ['id', 'n'],
      ['type', 'user'],
    ]);
    expect(splitOptions('user,path=a,,,,b=c,x=', 'type')).toEqual([
      ['type', 'user'],
      ['path', 'a,,b=c'],
      ['x', ''],
    ]);
  });

  test('QEMU: a name without a value is a switch', () => {
    expect(splitOptions('user,restrict,noipv6', 'type')).toEqual([
      ['type', 'user'],
      ['restrict', 'on'],
      ['ipv6', 'off'],
    ]);
  });

  test('joinOptions is the inverse', () => {
    const options = splitOptions('stream,id=n0,addr.path=/tmp/a,,b', 'type');
    expect(joinOptions(options, 'type')).toBe('stream,id=n0,addr.path=/tmp/a,,b');
  });

  test('nothing said is no option', () => {
    expect(splitOptions('', 'type')).toEqual([]);
  });
});

describe('addresses', () => {
  test.each([
    ['user', '10.0.2.0/24', '10.0.2.2', '10.0.2.3', '10.0.2.15'],
    ['', '10.0.2.0/24', '10.0.2.2', '10.0.2.3', '10.0.2.15'],
    ['type=user', '10.0.2.0/24', '10.0.2.2', '10.0.2.3', '10.0.2.15'],
    ['net=192.168.76.0/24', '192.168.76.0/24', '192.168.76.2', '192.168.76.3', '192.168.76.15'],
    ['user,net=10.0.2.99/24', '10.0.2.0/24', '10.0.2.2', '10.0.2.3', '10.0.2.15'],
    ['user,net=10.0.2.0/255.255.255.0', '10.0.2.0/24', '10.0.2.2', '10.0.2.3', '10.0.2.15'],
    ['user,net=10.0.2.0/255.255.0.0', '10.0.0.0/16', '10.0.2.2', '10.0.2.3', '10.0.2.15'],
    ['user,net=10.0.2.0', '10.0.0.0/8', '10.0.2.2', '10.0.2.3', '10.0.2.15'],
    ['user,net=172.20.0.0', '172.16.0.0/12', '172.16.2.2', '172.16.2.3', '172.16.2.15'],
    ['user,net=172.32.0.0', '172.32.0.0/16', '172.32.2.2', '172.32.2.3', '172.32.2.15'],
    ['user,net=192.168.7.0', '192.168.0.0/16', '192.168.2.2', '192.168.2.3', '192.168.2.15'],
    ['user,net=198.19.0.0', '198.18.0.0/15', '198.18.2.2', '198.18.2.3', '198.18.2.15'],
    ['user,net=203.0.113.0', '203.0.113.0/24', '203.0.113.2', '203.0.113.3', '203.0.113.15'],
    ['user,net=10.8.4.0/22', '10.8.4.0/22', '10.8.6.2', '10.8.6.3', '10.8.6.15'],
    ['user,net=10.8.4.0/23', '10.8.4.0/23', '10.8.4.2', '10.8.4.3', '10.8.4.15'],
    ['user,net=10.8.4.16/28', '10.8.4.16/28', '10.8.4.18', '10.8.4.19', '10.8.4.20'],
    ['user,net=10.1.0.0/8,net=10.9.0.0/24', '10.9.0.0/24', '10.9.0.2', '10.9.0.3', '10.9.0.15'],
    [
      'user,host=10.0.2.100,dns=10.0.2.101,dhcpstart=10.0.2.50',
      '10.0.2.0/24',
      '10.0.2.100',
      '10.0.2.101',
      '10.0.2.50',
    ],
    ['user,dhcpstart=10.1.1.1,net=10.0.0.0/8', '10.0.0.0/8', '10.0.2.2', '10.0.2.3', '10.1.1.1'],
  ])('libslirp: %s', (text, ...expected) => {
    expect(addresses(text)).toEqual(expected);
  });
});

describe('the other options', () => {
  test('what the manual of QEMU shows', () => {
    const text =
      'user,id=n1,ipv4=on,ipv6=off,restrict=y,hostname=vm,domainname=example.org,dnssearch=a.test,dnssearch=b.test,' +
      'tftp-server-name=10.0.2.2,bootfile=/pxelinux.0,mtu=9000';
    const { config, notes } = parseUserNet(text);
    expect(notes).toEqual([]);
    expect(config).toEqual({
      restrict: true,
      mtu: 9000,
      dhcp: {
        hostname: 'vm',
        domainName: 'example.org',
        domainSearch: ['a.test', 'b.test'],
        tftpServerName: '10.0.2.2',
        bootfile: '/pxelinux.0',
      },
    });
  });

  test.each(['on', 'yes', 'true', 'y'])('restrict=%s', (value) => {
    expect(parseUserNet(`user,restrict=${value}`).config.restrict).toBe(true);
  });
  test.each(['off', 'no', 'false', 'n'])('restrict=%s', (value) => {
    expect(parseUserNet(`user,restrict=${value}`).config.restrict).toBe(false);
  });

  test('each option is read: none of the list is unknown', () => {
    for (const name of userNetOptions) expect(wrong(`user,${name}=`)).not.toContain('no such option');
  });
});

describe('hostfwd', () => {
  const forwards = (text: string): string[] =>
    parseConfig(parseUserNet(text).config).forwards.map(
      (f) => `${f.proto} ${formatEndpoint(f.host)} ${formatIpv4Word(f.guestAddress)}:${f.guestPort}`,
    );

  test.each([
    ['tcp:127.0.0.1:2222-:22', 'tcp 127.0.0.1:2222 10.0.2.15:22'],
    ['udp:0.0.0.0:5353-10.0.2.20:53', 'udp 0.0.0.0:5353 10.0.2.20:53'],
    [':127.0.0.1:4022-:22', 'tcp 127.0.0.1:4022 10.0.2.15:22'],
    ['tcp:127.0.0.1:0-:22', 'tcp 127.0.0.1:0 10.0.2.15:22'],
    ['tcp:[::1]:2222-:22', 'tcp [::1]:2222 10.0.2.15:22'],
  ])('%s', (rule, expected) => {
    expect(forwards(`user,hostfwd=${rule}`)).toEqual([expected]);
    expect(parseUserNet(`user,hostfwd=${rule}`).notes).toEqual([]);
  });

  test('our one deviation: without a host address it binds 127.0.0.1, and that is said', () => {
    expect(forwards('user,hostfwd=tcp::2222-:22,hostfwd=udp::5353-:53')).toEqual([
      'tcp 127.0.0.1:2222 10.0.2.15:22',
      'udp 127.0.0.1:5353 10.0.2.15:53',
    ]);
    expect(parseUserNet('user,hostfwd=tcp::2222-:22').notes).toEqual([
      'hostfwd=tcp::2222-:22 binds 127.0.0.1, not every address as in QEMU; to be reached from outside, say 0.0.0.0',
    ]);
  });

  test('the guest of a forward follows dhcpstart, wherever it stands', () => {
    expect(forwards('user,hostfwd=tcp:127.0.0.1:1-:2,dhcpstart=10.0.2.40')).toEqual([
      'tcp 127.0.0.1:1 10.0.2.40:2',
    ]);
  });

  test.each(['', 'tcp', 'tcp:2222-:22', 'sctp::1-:2', 'tcp::1:2', 'tcp::x-:2', 'tcp::1-:', 'tcp::1-2'])(
    'refused: %j',
    (rule) => {
      expect(wrong(`user,hostfwd=${rule}`)).toBe(
        `hostfwd: ${JSON.stringify(rule)} is not [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`,
      );
    },
  );
});

describe('refused, each by its own name', () => {
  test.each(['tftp', 'smb', 'smbserver', 'guestfwd', 'ipv6-net', 'ipv6-prefix', 'ipv6-host', 'ipv6-dns'])(
    '%s= comes later',
    (name) => {
      expect(wrong(`user,${name}=x`)).toBe(`${name}: not supported yet`);
    },
  );

  test.each([
    ['user,ipv6=on', 'ipv6: =on is not supported yet'],
    ['user,ipv6', 'ipv6: =on is not supported yet'],
    ['user,ipv4=off', 'ipv4: =off is not supported'],
    ['user,foo=1', 'foo: no such option'],
    ['user,toString=1', 'toString: no such option'],
    ['user,restrict=maybe', 'restrict: "maybe" is neither on nor off'],
    ['tap,ifname=t0', 'type: "tap" is not user'],
    ['user,net=10.0.2.0/3', 'net: /3 is not within /8 to /30'],
    ['user,net=10.0.2.0/33', 'net: /33 is not a prefix length'],
    ['user,net=10.0.2.0/255.0.255.0', 'net: "255.0.255.0" is not a mask like 255.255.255.0'],
    ['user,net=10.0.2.0/24/8', 'net: "10.0.2.0/24/8" is not a prefix'],
    ['user,net=example', 'net: "example" is not an IPv4 address'],
    ['user,net=127.0.0.0/8', 'net: 127.0.0.0/8 cannot hold guests'],
    ['user,host=10.0.3.2', 'host: 10.0.3.2 is not in 10.0.2.0/24'],
    ['user,dns=10.0.2.2', 'dns: 10.0.2.2 is the gateway'],
    ['user,dhcpstart=10.0.2.2', 'dhcpstart: 10.0.2.2 is the gateway'],
    ['user,dhcpstart=10.0.2.255', 'dhcpstart: 10.0.2.255 is the broadcast address of 10.0.2.0/24'],
    ['user,domainname=', 'domainname: is empty'],
    ['user,dnssearch=a..b', 'dnssearch: "a..b" is not a domain name'],
    ['user,mtu=9000x', 'mtu: "9000x" is not a whole number'],
    ['user,mtu=67', 'mtu: 67 is below 68'],
    ['user,hostfwd=tcp:127.0.0.1:99999-:22', 'hostfwd: port 99999 is not within 0 to 65535'],
    ['user,hostfwd=tcp:127.0.0.1:1-10.9.9.9:22', 'hostfwd: 10.9.9.9 is not in 10.0.2.0/24'],
    ['user,hostfwd=tcp:127.0.0.1:1-:2,hostfwd=tcp::1-:3', 'hostfwd: tcp 127.0.0.1:1 is forwarded twice'],
  ])('%s', (text, message) => {
    expect(wrong(text)).toBe(message);
  });
});
