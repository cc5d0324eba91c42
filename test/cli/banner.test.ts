import { describe, expect, test } from 'vitest';
import { linkLines, networkLines, qemuLine } from '../../src/cli/banner.ts';
import { type NetworkConfig, parseConfig } from '../../src/network/config.ts';
import { parseLinkSpec } from '../../src/node/link-spec.ts';

describe('the network', () => {
  test('by default', () => {
    expect(networkLines(parseConfig({}))).toEqual([
      'network 10.0.2.0/24, gateway 10.0.2.2, name service 10.0.2.3, first lease 10.0.2.15',
      "the guest can reach this host's loopback through 10.0.2.2",
    ]);
  });

  test('behaviour 7: the line about the loopback is there only where it is so', () => {
    expect(networkLines(parseConfig({ hostLoopback: false, dns: false, dhcp: false, mtu: 9000 }))).toEqual([
      'network 10.0.2.0/24, gateway 10.0.2.2, MTU 9000',
    ]);
    expect(networkLines(parseConfig({ restrict: true }))).toEqual([
      'network 10.0.2.0/24, gateway 10.0.2.2, first lease 10.0.2.15',
      'the guest can reach nothing outside its network',
    ]);
  });

  test('forwards are told', () => {
    const forwards = [
      { proto: 'tcp', host: '2222', guest: '22' },
      { proto: 'udp', host: '[::]:0', guest: '10.0.2.20:53' },
    ] as const;
    expect(networkLines(parseConfig({ forwards })).slice(2)).toEqual([
      "forward tcp 127.0.0.1:2222 to the guest's 10.0.2.15:22",
      "forward udp [::]:0 (a port that the host chooses) to the guest's 10.0.2.20:53",
    ]);
  });
});

const settings = parseConfig({});

/** The commands for each device of these links. */
function tapCommands(links: readonly string[], config: NetworkConfig = {}, isolated = false): string[][] {
  const specs = links.map((text) => parseLinkSpec(text));
  const lines = linkLines(specs, parseConfig(config), isolated);
  return specs.flatMap((spec) => {
    if (spec.kind !== 'tap') return [];
    const at = lines.findIndex((line) => line.startsWith(`serving the device ${spec.name};`));
    return [lines.slice(at + 1, at + 3)];
  });
}

/** The static address of each device. */
function tapAddresses(...asked: Parameters<typeof tapCommands>): (string | undefined)[] {
  return tapCommands(...asked).map((lines) => /addr add (\S+) /.exec(lines[1]!)?.[1]);
}

describe('the other side of a TAP device', () => {
  test('a namespace, its address and its route', () => {
    expect(linkLines([{ kind: 'tap', name: 'tap0', faults: { loss: 0.5 } }], settings, false)).toEqual([
      'serving the device tap0; for a network namespace as the guest:',
      '  ip netns add guest-tap0 && ip link set tap0 netns guest-tap0 && ip -n guest-tap0 link set tap0 up',
      '  ip -n guest-tap0 addr add 10.0.2.15/24 dev tap0 && ip -n guest-tap0 route add default via 10.0.2.2',
      '  this link is bad on purpose: loss 50%, seed 1',
    ]);
  });

  test('several: a namespace each, and the address that DHCP would give to the first, the second, ...', () => {
    expect(tapCommands(['tap:a', 'tap:b']).map(([first]) => first)).toEqual([
      '  ip netns add guest-a && ip link set a netns guest-a && ip -n guest-a link set a up',
      '  ip netns add guest-b && ip link set b netns guest-b && ip -n guest-b link set b up',
    ]);
    expect(tapAddresses(['tap:a', 'tap:b', 'tap:c'])).toEqual([
      '10.0.2.15/24',
      '10.0.2.16/24',
      '10.0.2.17/24',
    ]);
    const dhcp = {
      first: '10.0.2.15',
      last: '10.0.2.17',
      staticLeases: { '52:54:00:00:00:01': '10.0.2.16' },
    };
    expect(tapAddresses(['tap:a', 'tap:b', 'tap:c'], { dhcp })).toEqual([
      '10.0.2.15/24',
      '10.0.2.17/24',
      'ADDRESS/24',
    ]);
  });

  test('isolated: each is the first and only one of its network', () => {
    expect(tapAddresses(['tap:a', 'unix:/a', 'tap:b'], {}, true)).toEqual(['10.0.2.15/24', '10.0.2.15/24']);
  });

  test('beside guests that ask DHCP: an address that it gives to nobody, if there is one', () => {
    const beside = (dhcp: NetworkConfig['dhcp'] & object): (string | undefined)[] =>
      tapAddresses(['unix:/a', 'tap:a', 'tap:b', 'tap:c'], { dhcp });
    expect(beside({})).toEqual(['10.0.2.14/24', '10.0.2.13/24', '10.0.2.12/24']);
    expect(beside({ staticLeases: { '52:54:00:00:00:01': '10.0.2.13' } })).toEqual([
      '10.0.2.14/24',
      '10.0.2.12/24',
      '10.0.2.11/24',
    ]);
    // Below the pool only .1 is nobody's: .2 and .3 are the gateway's.
    expect(beside({ first: '10.0.2.4', last: '10.0.2.253' })).toEqual([
      '10.0.2.1/24',
      '10.0.2.254/24',
      'ADDRESS/24',
    ]);
  });

  test('a network without DHCP leaves the address to the user, and a shell reads the name as it is', () => {
    expect(tapCommands(['tap:a&b'], { dhcp: false })[0]).toEqual([
      "  ip netns add 'guest-a&b' && ip link set 'a&b' netns 'guest-a&b' && ip -n 'guest-a&b' link set 'a&b' up",
      "  ip -n 'guest-a&b' addr add ADDRESS/24 dev 'a&b' && ip -n 'guest-a&b' route add default via 10.0.2.2",
    ]);
  });
});

describe("QEMU's side of a link", () => {
  test('unix and TCP, either end listening', () => {
    expect(linkLines([{ kind: 'unix', path: '/tmp/net.sock', server: true }], settings, false)).toEqual([
      'serving guests on /tmp/net.sock; for QEMU:',
      '  -netdev stream,id=net0,server=off,addr.type=unix,addr.path=/tmp/net.sock -device virtio-net-pci,netdev=net0',
    ]);
    expect(linkLines([{ kind: 'tcp', host: '::1', port: 4000, server: false }], settings, false)).toEqual([
      'connecting to the guest at [::1]:4000; for QEMU:',
      '  -netdev stream,id=net0,server=on,addr.type=inet,addr.host=::1,addr.port=4000 -device virtio-net-pci,netdev=net0',
    ]);
  });

  test('a link that is bad on purpose says so, with its figures', () => {
    const faults = { loss: 0.01, delay: 20, rate: 1e7, queue: 8 };
    expect(
      linkLines([{ kind: 'unix', path: '/tmp/net.sock', server: true, faults }], settings, false).slice(2),
    ).toEqual(['  this link is bad on purpose: loss 1%, delay 20ms, rate 10mbit, queue 8, seed 1']);
  });

  test('a path that QEMU or a shell would read otherwise is quoted', () => {
    expect(qemuLine({ kind: 'unix', path: "/tmp/it's a,b", server: true })).toContain(
      `'stream,id=net0,server=off,addr.type=unix,addr.path=/tmp/it'\\''s a,,b'`,
    );
  });
});
