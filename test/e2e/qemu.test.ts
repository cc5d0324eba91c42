// Guests with each NIC, on `usernet qemu`: each way to write user networking in a QEMU command becomes ours.

import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { echoReplies, expectCleanCapture, icmpFramesFrom, refusalMs } from './support/capture.ts';
import { coreTests } from './support/core-tests.ts';
import { Guest, type Nic } from './support/guest.ts';
import { digestOf, freePort } from './support/host-servers.ts';
import { Lab, poll, showLogsOfFailures } from './support/processes.ts';
import { describeWithGuest } from './support/requirements.ts';
import { procStatus, usernetQemu } from './support/usernet.ts';

interface Case {
  readonly nic: Nic;
  readonly how: string;
  /** QEMU's own options; `hostfwd` is the forward to put in. */
  readonly network: (hostfwd: string) => string[];
  /** False where the options have no room for one: it comes by --net. */
  readonly takesForward: boolean;
  readonly datagrams: readonly number[];
  readonly transferMiB: number;
  readonly halfCloseMiB: number;
}

const ALL = [1, 1472, 4000, 65507];
const CASES: readonly Case[] = [
  {
    nic: 'virtio-net-pci',
    how: '-netdev user',
    network: (hostfwd) => ['-netdev', `user,id=mine,${hostfwd}`, '-device', 'virtio-net-pci,netdev=mine'],
    takesForward: true,
    datagrams: ALL,
    transferMiB: 32,
    halfCloseMiB: 10,
  },
  {
    nic: 'e1000',
    how: 'no option',
    network: () => [],
    takesForward: false,
    datagrams: ALL,
    transferMiB: 32,
    halfCloseMiB: 10,
  },
  {
    nic: 'rtl8139',
    how: '-nic user',
    network: (hostfwd) => ['-nic', `user,model=rtl8139,${hostfwd}`],
    takesForward: true,
    datagrams: ALL,
    transferMiB: 32,
    halfCloseMiB: 10,
  },
  {
    nic: 'ne2k_pci',
    how: '-net nic -net user',
    network: (hostfwd) => ['-net', 'nic,model=ne2k_pci', '-net', `user,${hostfwd}`],
    takesForward: true,
    // QEMU's NE2000 keeps the first frames of a burst, eight full ones, and drops the others: to this guest TCP goes at
    // the pace of its repairs, and a datagram of 45 fragments never gets through.
    datagrams: [1, 1472, 4000],
    transferMiB: 32,
    halfCloseMiB: 10,
  },
];

describeWithGuest('usernet qemu', ['tcpdump', 'tshark'], () => {
  describe.for(CASES)(
    '$how, $nic',
    ({ nic, network, takesForward, datagrams, transferMiB, halfCloseMiB }) => {
      let lab: Lab;
      let guest: Guest;
      let port: number;
      let refusedPort = 0;
      const pcap = () => lab.path('session.pcap');

      beforeAll(async () => {
        lab = new Lab('qemu');
        port = await freePort();
        const hostfwd = `hostfwd=tcp:127.0.0.1:${port}-:7`;
        const net = takesForward ? [] : ['--net', `user,${hostfwd}`];
        const wrapper = usernetQemu(lab, [...net, '--pcap', pcap()]);
        guest = await Guest.boot(lab, { name: 'guest', nic, network: network(hostfwd), wrapper });
      });
      afterAll(() => lab?.close());
      showLogsOfFailures(() => lab);

      test('runs without privileges', () => {
        expect(procStatus(guest.process.pid, 'CapEff')).toBe('0000000000000000');
        expect(procStatus(guest.process.pid, 'Uid')).not.toMatch(/\b0\b/);
      });

      coreTests(() => guest, {
        transferMiB,
        halfCloseMiB,
        datagrams,
        onRefused: (refused) => {
          refusedPort = refused;
        },
      });

      test('a forward leads to a server in the guest', async () => {
        await guest.startEcho();
        const client = connect(port, '127.0.0.1');
        client.end('there and back');
        expect(await digestOf(client)).toMatchObject({ length: 14 });
      });

      test('it ends when QEMU ends, with its status', async () => {
        const mac = (await guest.run('cat /sys/class/net/eth0/address')).trim();
        await guest.powerOff();
        expect(guest.process.exit).toEqual({ code: 0, signal: null });
        await poll(1000, 'the end of the process group', () =>
          groupIsGone(guest.process.pid) ? true : undefined,
        );
        expect(icmpFramesFrom(pcap(), mac)).toBeGreaterThanOrEqual(6);
      });

      test('the capture has no malformed packet and no bad checksum', () => {
        expectCleanCapture(pcap());
      });

      test('no ping was answered', () => {
        expect(echoReplies(pcap())).toEqual([]);
      });

      test('the refusal reached the guest within 50 ms', () => {
        expect(refusalMs(pcap(), refusedPort)).toBeLessThan(50);
      });
    },
  );
});

function groupIsGone(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
