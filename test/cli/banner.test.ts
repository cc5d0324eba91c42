import { describe, expect, test } from 'vitest';
import { linkLines, networkLines, qemuLine } from '../../src/cli/banner.ts';
import { parseConfig } from '../../src/network/config.ts';

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

describe('the other side of a TAP device', () => {
  test('a namespace, its address and its route', () => {
    expect(linkLines({ kind: 'tap', name: 'tap0', faults: { loss: 0.5 } }, settings)).toEqual([
      'serving the device tap0; for a network namespace as the guest:',
      '  ip netns add guest && ip link set tap0 netns guest && ip -n guest link set tap0 up',
      '  ip -n guest addr add 10.0.2.15/24 dev tap0 && ip -n guest route add default via 10.0.2.2',
      '  this link is bad on purpose: loss 50%, seed 1',
    ]);
  });

  test('a network without DHCP leaves the address to the user, and a shell reads the name as it is', () => {
    const lines = linkLines({ kind: 'tap', name: 'a&b' }, parseConfig({ dhcp: false }));
    expect(lines[2]).toBe(
      "  ip -n guest addr add ADDRESS/24 dev 'a&b' && ip -n guest route add default via 10.0.2.2",
    );
  });
});

describe("QEMU's side of a link", () => {
  test('unix and TCP, either end listening', () => {
    expect(linkLines({ kind: 'unix', path: '/tmp/net.sock', server: true }, settings)).toEqual([
      'serving guests on /tmp/net.sock; for QEMU:',
      '  -netdev stream,id=net0,server=off,addr.type=unix,addr.path=/tmp/net.sock -device virtio-net-pci,netdev=net0',
    ]);
    expect(linkLines({ kind: 'tcp', host: '::1', port: 4000, server: false }, settings)).toEqual([
      'connecting to the guest at [::1]:4000; for QEMU:',
      '  -netdev stream,id=net0,server=on,addr.type=inet,addr.host=::1,addr.port=4000 -device virtio-net-pci,netdev=net0',
    ]);
  });

  test('a link that is bad on purpose says so, with its figures', () => {
    const faults = { loss: 0.01, delay: 20, rate: 1e7, queue: 8 };
    expect(
      linkLines({ kind: 'unix', path: '/tmp/net.sock', server: true, faults }, settings).slice(2),
    ).toEqual(['  this link is bad on purpose: loss 1%, delay 20ms, rate 10mbit, queue 8, seed 1']);
  });

  test('a path that QEMU or a shell would read otherwise is quoted', () => {
    expect(qemuLine({ kind: 'unix', path: "/tmp/it's a,b", server: true })).toContain(
      `'stream,id=net0,server=off,addr.type=unix,addr.path=/tmp/it'\\''s a,,b'`,
    );
  });
});
