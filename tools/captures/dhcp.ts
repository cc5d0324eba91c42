// DHCP clients of Debian, as they come, on Linux's own network stack.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { poll } from '../../test/e2e/support/processes.ts';
import type { Stage } from './engines.ts';
import type { NamespaceGuest } from './guest.ts';
import { type Scene, tapScenes } from './scene.ts';
import type { World } from './world.ts';

const SECONDS = 1000;
const DHCP = ['dhcp'];

/** A file for the guests of a scene. */
function put(world: World, name: string, content: string, mode = 0o644): string {
  const path = join(world.lab.folder, name);
  writeFileSync(path, content, { mode });
  return path;
}

/** Waits for an address on the guest's device, or for its end. */
async function address(guest: NamespaceGuest, is = true): Promise<string | undefined> {
  const seen = await poll(30 * SECONDS, `an address ${is ? 'comes' : 'goes'}`, () => {
    const text = guest.ip('-4', '-o', 'addr', 'show', 'dev', guest.device);
    const found = /inet ([\d.]+)/.exec(text)?.[1];
    return is === (found !== undefined) ? [found] : undefined;
  });
  return seen[0];
}

/** What udhcpc runs at each event. */
const UDHCPC_EVENT = `#!/bin/sh
case $1 in
  deconfig) ip addr flush dev "$interface" ;;
  bound) ip addr add "$ip/$mask" dev "$interface"; ip route replace default via "$router" ;;
esac
echo "event $1 $ip"
`;

async function busybox(guest: NamespaceGuest, world: World): Promise<void> {
  const script = put(world, 'udhcpc-event', UDHCPC_EVENT, 0o755);
  const common = ['busybox', 'udhcpc', '-f', '-i', guest.device, '-s', script, '-a', '-x', 'hostname:guest'];
  const first = guest.spawn(...common);
  await first.output(/event bound/, 20 * SECONDS);
  first.signal('SIGUSR1');
  await first.output(/event renew/, 20 * SECONDS);
  first.signal('SIGUSR2');
  await address(guest, false);
  await first.stop('SIGTERM', 5 * SECONDS);
  // Asks for an address of its own choice, which is another network's.
  const second = guest.spawn(...common, '-r', '192.0.2.15', '-q', '-n');
  await second.output(/event bound/, 20 * SECONDS);
  await second.exited;
}

const DHCLIENT_CONF = `send host-name "guest";
request subnet-mask, broadcast-address, routers, domain-name, domain-name-servers, domain-search, interface-mtu;
supersede dhcp-renewal-time 2;
supersede dhcp-rebinding-time 20;
`;

const FOREIGN_LEASE = `lease {
  interface "net0";
  fixed-address 192.0.2.15;
  option dhcp-server-identifier 192.0.2.1;
  renew 5 2038/01/01 00:00:00;
  rebind 5 2038/01/01 00:00:00;
  expire 5 2038/01/01 00:00:00;
}
`;

async function dhclient(guest: NamespaceGuest, world: World): Promise<void> {
  const conf = put(world, 'dhclient.conf', DHCLIENT_CONF);
  const command = ['dhclient', '-4', '-v', '-cf', conf];
  const first = guest.spawn(...command, '-d', guest.device);
  await first.output(/bound to/, 30 * SECONDS);
  await first.output(/DHCPREQUEST[\s\S]*DHCPACK[\s\S]*DHCPREQUEST[\s\S]*DHCPACK/, 30 * SECONDS);
  await first.stop('SIGTERM', 5 * SECONDS);
  // It has the lease on file: INIT-REBOOT.
  await guest.sh(`${command.join(' ')} -1 ${guest.device}`);
  await guest.sh(`${command.join(' ')} -r ${guest.device}`);
  // And one on file that is another network's.
  put(world, 'foreign.leases', FOREIGN_LEASE);
  await guest.sh(`${command.join(' ')} -1 -lf ${world.lab.folder}/foreign.leases ${guest.device}`);
  await guest.sh(`${command.join(' ')} -x ${guest.device}`);
}

async function dhcpcd({ guest, engine }: Stage): Promise<void> {
  const running = guest.spawn('dhcpcd', '-4', '-B', '-d', guest.device);
  await running.output(/announcing [^ ]+ .2 of 2/, 30 * SECONDS);
  await guest.sh(`dhcpcd -4 -N ${guest.device}`);
  // libslirp answers with a broadcast, to which dhcpcd does not listen any more.
  const renewed = engine === 'usernet' ? /renewing[\s\S]*acknowledged/ : /renewing[\s\S]*sending REQUEST/;
  await running.output(renewed, 20 * SECONDS);
  // At once it may not end.
  await guest.sh(`sleep 1; dhcpcd -4 -k ${guest.device}`);
  await address(guest, false);
}

/** The second guest sits on the address that is offered first. Whoever gets the same offer twice will get no other. */
async function decline(guest: NamespaceGuest): Promise<void> {
  const running = guest.spawn('dhcpcd', '-4', '-B', guest.device);
  await running.output(/leased|DAD detected[\s\S]*DAD detected/, 40 * SECONDS);
  if (/leased/.test(running.stderr)) await address(guest);
}

const NETWORK = `[Match]
Name=net0
[Network]
DHCP=ipv4
LinkLocalAddressing=ipv6
[DHCPv4]
SendDecline=yes
`;

/** Without a udev that would have to tell it of the device: in a container, which it knows by /sys, it needs none. */
async function networkd(guest: NamespaceGuest, world: World): Promise<void> {
  put(world, 'net0.network', NETWORK);
  const script = `
    mount -o remount,ro,bind /sys
    mkdir -p /run/systemd/netif /run/systemd/network
    cp ${world.lab.folder}/net0.network /run/systemd/network/
    exec /lib/systemd/systemd-networkd`;
  const running = guest.spawn('sh', '-ec', script);
  await address(guest);
  await running.stop('SIGTERM', 5 * SECONDS);
}

/**
 * dnsmasq's tools are for the machine that dnsmasq runs on: one asks 127.0.0.1, the other the address of its own device.
 * socat sits there and hands their messages on to the gateway, byte by byte.
 */
async function dnsmasqTools(guest: NamespaceGuest): Promise<void> {
  const gateway = 'UDP4-DATAGRAM:10.0.2.2:67,bind=10.0.2.15:68';
  const relay = async (address: string, command: string) => {
    const running = guest.spawn('socat', `UDP4-LISTEN:67,bind=${address}`, gateway);
    await guest.sh(`until ss -Hlnu src ${address}:67 | grep -q .; do sleep 0.05; done; ${command}`);
    await running.stop('SIGTERM', 5 * SECONDS);
  };
  await relay('127.0.0.1', 'timeout 3 dhcp_lease_time 10.0.2.15 || true');
  await relay('10.0.2.15', `dhcp_release ${guest.device} 10.0.2.15 52:54:00:12:34:56; sleep 0.5`);
}

async function dhcping({ guest, engine }: Stage): Promise<void> {
  const ask = `dhcping -v -t 3 -c 10.0.2.15 -s 10.0.2.2 -h 52:54:00:12:34:56`;
  await guest.sh(`${ask} -i || test ${engine} = libslirp`);
  await guest.sh(`${ask} || true`);
}

export const dhcpScenes: readonly Scene[] = [
  ...tapScenes({
    name: 'dhcp-busybox',
    guest: '`busybox udhcpc -a`',
    packages: ['busybox-static'],
    shows:
      'DISCOVER, OFFER, ARP probe of the offer, REQUEST, ACK; a renewal by unicast; RELEASE; then a DISCOVER that asks for 192.0.2.15',
    addresses: DHCP,
    play: ({ guest }, world) => busybox(guest, world),
  }),
  ...tapScenes({
    name: 'dhcp-dhclient',
    guest: '`dhclient`',
    packages: ['isc-dhcp-client'],
    shows:
      'DISCOVER to ACK; a renewal after 2 s; started again with the lease on file: REQUEST without DISCOVER (INIT-REBOOT), ACK; RELEASE; the same with 192.0.2.15 on file: NAK, DISCOVER to ACK',
    addresses: DHCP,
    play: ({ guest }, world) => dhclient(guest, world),
  }),
  ...tapScenes({
    name: 'dhcp-dhcpcd',
    guest: '`dhcpcd`',
    packages: ['dhcpcd-base'],
    shows:
      'DISCOVER to ACK with client identifier, ARP probes and announcements, a renewal (libslirp answers it with a broadcast, which dhcpcd does not hear), RELEASE',
    addresses: DHCP,
    play: dhcpcd,
  }),
  ...tapScenes({
    name: 'dhcp-decline',
    guest: '`dhcpcd`, and a second one that has 10.0.2.15 without a lease',
    packages: ['dhcpcd-base'],
    shows: 'duplicate address detection finds the offered address taken: DECLINE, and another address',
    addresses: ['dhcp', '10.0.2.15/24'],
    by: 'guest',
    play: ({ guest }) => decline(guest),
  }),
  ...tapScenes({
    name: 'dhcp-networkd',
    guest: '`systemd-networkd`, IPv6 on',
    packages: ['systemd'],
    shows: 'DISCOVER to ACK with client identifier, ARP probes, router solicitations and MLD',
    addresses: DHCP,
    ipv6: true,
    play: ({ guest }, world) => networkd(guest, world),
  }),
  ...tapScenes({
    name: 'dhcp-dnsmasq',
    guest: "dnsmasq's `dhcp_lease_time` and `dhcp_release`, by way of `socat`",
    packages: ['dnsmasq-utils'],
    shows:
      'INFORM without a hardware address, which nobody answers; RELEASE of an address that was not leased',
    play: ({ guest }) => dnsmasqTools(guest),
  }),
  ...tapScenes({
    name: 'dhcp-dhcping',
    guest: '`dhcping`',
    packages: ['dhcping'],
    shows:
      'INFORM and, we alone, ACK; then a REQUEST for 10.0.2.15 without a DISCOVER before it, and RELEASE if it was had',
    play: dhcping,
  }),
];
