import { describe, expect, test } from 'vitest';
import { UsageError } from '../../src/cli/args.ts';
import { planQemu } from '../../src/cli/qemu-command.ts';
import { type QemuOption, splitOptions } from '../../src/network/qemu-options.ts';

const QEMU = 'qemu-system-x86_64';

function plan(args: readonly string[], base: readonly QemuOption[] = []) {
  return planQemu([QEMU, ...args], base, (i) => `/run/u/${i}.sock`);
}

/** The new command without its name, words joined by spaces. */
function rewritten(command: string): string {
  return plan(command === '' ? [] : command.split(' '))
    .argv.slice(1)
    .join(' ');
}

function wrong(args: readonly string[]): string {
  try {
    plan(args);
  } catch (e) {
    if (!(e instanceof UsageError)) throw e;
    return e.message;
  }
  return 'accepted';
}

/** `-netdev stream` as it comes out. */
const stream = (id: string, index = 0): string =>
  `-netdev stream,id=${id},server=off,addr.type=unix,addr.path=/run/u/${index}.sock`;

describe('each way to say user networking', () => {
  test.each([
    // -netdev user: the device stays as it is.
    [
      '-netdev user,id=n1 -device virtio-net-pci,netdev=n1',
      `${stream('n1')} -device virtio-net-pci,netdev=n1`,
    ],
    ['--netdev user,id=n1 --device e1000,netdev=n1', `${stream('n1')} --device e1000,netdev=n1`],
    ['-netdev id=n1,type=user -device e1000,netdev=n1', `${stream('n1')} -device e1000,netdev=n1`],
    ['-netdev user,id=n1 -net nic,netdev=n1', `${stream('n1')} -net nic,netdev=n1`],
    // -nic user: a netdev and the NIC.
    ['-nic user', `${stream('usernet0')} -net nic,netdev=usernet0`],
    ['--nic user', `${stream('usernet0')} -net nic,netdev=usernet0`],
    ['-nic user,model=virtio-net-pci', `${stream('usernet0')} -net nic,netdev=usernet0,model=virtio-net-pci`],
    ['-nic model=rtl8139', `${stream('usernet0')} -net nic,netdev=usernet0,model=rtl8139`],
    [
      '-nic user,id=n1,model=e1000,mac=52:54:00:98:76:54',
      `${stream('n1')} -net nic,netdev=n1,model=e1000,macaddr=52:54:00:98:76:54`,
    ],
    // -net user: QEMU's hub.
    [
      '-net nic,model=ne2k_pci -net user',
      `-net nic,model=ne2k_pci ${stream('usernet0')} -netdev hubport,id=usernet0-hub,hubid=0,netdev=usernet0`,
    ],
    ['-net user,id=u -net nic', `${stream('u')} -netdev hubport,id=u-hub,hubid=0,netdev=u -net nic`],
    // Nothing said: QEMU's default.
    ['', `${stream('usernet0')} -net nic,netdev=usernet0`],
    [
      '-m 512 -nographic disk.img',
      `-m 512 -nographic disk.img ${stream('usernet0')} -net nic,netdev=usernet0`,
    ],
    ['-M pc -kernel bzImage', `-M pc -kernel bzImage ${stream('usernet0')} -net nic,netdev=usernet0`],
  ])('%s', (command, expected) => {
    expect(rewritten(command)).toBe(expected);
    expect(plan(command === '' ? [] : command.split(' ')).networks).toHaveLength(1);
  });

  test('-netdev in JSON, as management programs write it', () => {
    const json = JSON.stringify({
      type: 'user',
      id: 'n1',
      restrict: true,
      net: '10.5.0.0/24',
      hostfwd: [{ str: 'tcp:127.0.0.1:2222-:22' }, { str: 'udp:127.0.0.1:5353-:53' }],
    });
    const { argv, networks } = plan(['-netdev', json, '-device', 'e1000,netdev=n1']);
    expect(argv.slice(1).join(' ')).toBe(`${stream('n1')} -device e1000,netdev=n1`);
    expect(networks[0]!.config).toEqual({
      subnet: '10.5.0.0/24',
      restrict: true,
      forwards: [
        { proto: 'tcp', host: '127.0.0.1:2222', guest: '22' },
        { proto: 'udp', host: '127.0.0.1:5353', guest: '53' },
      ],
    });
  });
});

describe('left alone', () => {
  test.each([
    '-nic none',
    '-net none',
    '-nodefaults',
    '-nic tap,ifname=tap0,script=no',
    '-nic bridge,br=br0,model=virtio-net-pci',
    '-netdev tap,id=t0 -device e1000,netdev=t0',
    '-netdev socket,id=s0,connect=127.0.0.1:1 -device e1000,netdev=s0',
    '-net nic -net tap',
    '-net nic',
    '-nic user,model=help',
    '-netdev help',
    '-M none',
    '-machine type=microvm,acpi=off',
    '-netdev {"type":"tap","id":"t0"}',
    '-nic hubport,hubid=1',
  ])('%s', (command) => {
    expect(rewritten(command)).toBe(command);
    expect(plan(command.split(' ')).networks).toEqual([]);
  });

  test('an option without its value is for QEMU to refuse', () => {
    expect(rewritten('-m 512 -netdev')).toBe('-m 512 -netdev');
  });

  test('the kernel command line is no option, whatever it looks like', () => {
    const { argv, networks } = plan(['-append', '-nic', '-nic', 'none']);
    expect(argv.slice(1)).toEqual(['-append', '-nic', '-nic', 'none']);
    expect(networks).toEqual([]);
  });

  test('the last machine counts, and another machine has its default NIC', () => {
    expect(plan(['-M', 'none', '-machine', 'accel=tcg']).networks).toHaveLength(0);
    expect(plan(['-M', 'none', '-M', 'q35']).networks).toHaveLength(1);
  });
});

describe('the guest sees the same NICs in the same order', () => {
  test('a -nic of another kind stays, and ours stays a -nic beside it', () => {
    expect(rewritten('-nic user,model=virtio-net-pci,mac=52:54:00:00:00:01 -nic tap,ifname=t0')).toBe(
      `${stream('usernet0')} -netdev hubport,id=usernet0-hub,hubid=7000,netdev=usernet0 ` +
        '-nic hubport,hubid=7000,model=virtio-net-pci,mac=52:54:00:00:00:01 -nic tap,ifname=t0',
    );
  });

  test('-nic none is no NIC', () => {
    expect(rewritten('-nic none -nic user')).toBe(`-nic none ${stream('usernet0')} -net nic,netdev=usernet0`);
  });
});

describe('several networks', () => {
  test('as in QEMU, each user netdev is a network of its own', () => {
    const { argv, networks } = plan([
      ...['-netdev', 'user,id=a,net=10.1.0.0/24', '-device', 'e1000,netdev=a'],
      ...['-netdev', 'user,id=b,net=10.2.0.0/24', '-device', 'e1000,netdev=b'],
      ...['-nic', 'user'],
    ]);
    expect(argv.slice(1).join(' ')).toBe(
      `${stream('a')} -device e1000,netdev=a ${stream('b', 1)} -device e1000,netdev=b ` +
        `${stream('usernet2', 2)} -net nic,netdev=usernet2`,
    );
    expect(networks.map((n) => [n.id, n.socket, n.config.subnet])).toEqual([
      ['a', '/run/u/0.sock', '10.1.0.0/24'],
      ['b', '/run/u/1.sock', '10.2.0.0/24'],
      ['usernet2', '/run/u/2.sock', undefined],
    ]);
  });

  test('an id that we make is not one that is there', () => {
    expect(plan(['-nic', 'user', '-netdev', 'user,id=usernet0']).networks.map((n) => n.id)).toEqual([
      'usernet1',
      'usernet0',
    ]);
  });
});

describe('options', () => {
  test('those of QEMU are taken over, with their notes', () => {
    const { networks } = plan(['-nic', 'user,model=e1000,hostname=vm,restrict=on,hostfwd=tcp::2222-:22']);
    expect(networks[0]!.config).toEqual({
      restrict: true,
      dhcp: { hostname: 'vm' },
      forwards: [{ proto: 'tcp', host: '2222', guest: '22' }],
    });
    expect(networks[0]!.notes).toHaveLength(1);
  });

  test('those of --net come first, and its forwards lead to the first network only', () => {
    const base = splitOptions('mtu=9000,hostname=base,hostfwd=tcp:127.0.0.1:1-:2', 'type');
    const { networks } = plan(['-nic', 'user,hostname=own', '-nic', 'user'], base);
    expect(networks.map((n) => n.config)).toEqual([
      { mtu: 9000, dhcp: { hostname: 'own' }, forwards: [{ proto: 'tcp', host: '127.0.0.1:1', guest: '2' }] },
      { mtu: 9000, dhcp: { hostname: 'base' } },
    ]);
  });

  test('a comma in the path of the socket is doubled', () => {
    const { argv } = planQemu([QEMU, '-nic', 'user'], [], () => '/tmp/a,b/0.sock');
    expect(argv[2]).toBe('stream,id=usernet0,server=off,addr.type=unix,addr.path=/tmp/a,,b/0.sock');
  });

  test('what is wrong is said with the option of the command', () => {
    expect(wrong(['-netdev', 'user,id=n,smb=/srv'])).toBe(
      '-netdev user,id=n,smb=/srv: smb: not supported yet',
    );
    expect(wrong(['-nic', 'user,ipv6=on'])).toBe('-nic user,ipv6=on: ipv6: =on is not supported yet');
    expect(wrong(['-netdev', 'user'])).toBe('-netdev user: id is missing');
    expect(wrong(['-net', 'user,foo=1'])).toBe('-net user,foo=1: foo: no such option');
  });

  test('-daemonize is noticed', () => {
    expect(plan(['-daemonize']).daemonize).toBe(true);
    expect(plan(['-m', '1']).daemonize).toBe(false);
  });
});
