// Conversations over UDP, pings, and guests among themselves, of programs on Linux's own network stack.

import { writeFileSync } from 'node:fs';
import type { Stage } from './engines.ts';
import { type Scene, tapScenes } from './scene.ts';
import { Port, text } from './servers.ts';
import { WEB } from './world.ts';

const GATEWAY = '10.0.2.2';
const NAMES = '10.0.2.3';

/** Names that are there and that are not, over UDP, and over TCP where the answer does not fit. */
async function dns({ guest }: Stage): Promise<void> {
  const dig = `dig @${NAMES} +tries=1 +time=5`;
  await guest.sh(`${dig} +noedns www.example A | grep -q ${WEB}`);
  await guest.sh(`${dig} www.example AAAA | grep -q 2001:db8::80`);
  await guest.sh(`${dig} web.example A | grep -q CNAME`);
  await guest.sh(`${dig} example MX | grep -q mail.example`);
  await guest.sh(`${dig} -x ${WEB} | grep -q www.example`);
  await guest.sh(`${dig} nobody.example A | grep -q NXDOMAIN`);
  await guest.sh(`${dig} +noedns long.example TXT | grep -q 'part 7'`);
}

/** Echoes of datagrams of these lengths. */
async function echoes({ guest }: Stage, lengths: readonly number[]): Promise<void> {
  for (const length of lengths) {
    const send = `head -c ${length} /run/datagram`;
    const echo = `socat -b 65536 -t 3 -T 3 - UDP4:${GATEWAY}:${Port.echo}`;
    await guest.sh(`yes 'a line that the guest says' | head -c 65507 >/run/datagram
      test $(${send} | timeout 4 ${echo} | head -c ${length} | wc -c) = ${length}`);
  }
}

async function udp(stage: Stage): Promise<void> {
  await echoes(stage, [1, 1472]);
  // Nobody is there.
  await stage.guest.sh(`echo hello | timeout 4 socat -t 2 - UDP4:${GATEWAY}:${Port.closed} || true`);
  await stage.guest.sh(`echo hello | timeout 4 socat -t 2 - UDP4:${WEB}:${Port.echo} | grep -q hello`);
}

async function ping({ guest, engine }: Stage): Promise<void> {
  // libslirp answers for the gateway; nobody of us answers a ping.
  await guest.sh(`busybox ping -c 2 -W 1 ${GATEWAY} || test ${engine} = usernet`);
  await guest.sh(`busybox ping -c 1 -W 1 ${WEB} || true`);
}

/** Guests that talk to each other, and to nobody else. */
async function twoGuests({ guest, guests }: Stage): Promise<void> {
  const other = guests[1]!;
  other.spawn('socat', 'TCP4-LISTEN:7,fork', 'EXEC:cat');
  other.spawn('socat', 'UDP4-LISTEN:7,fork', 'EXEC:cat');
  await other.sh(
    'until ss -Hlnt sport = 7 | grep -q . && ss -Hlnu sport = 7 | grep -q .; do sleep 0.05; done',
  );
  await guest.sh('busybox ping -c 1 -W 1 10.0.2.16');
  await guest.sh(`test $(yes | head -c 5000 | socat -t 3 - TCP4:10.0.2.16:7 | wc -c) = 5000`);
  await guest.sh(`echo hello | socat -t 1 - UDP4:10.0.2.16:7 | grep -q hello`);
  // Of each to the host, and to an address that nobody has.
  for (const each of guests)
    await each.sh(`echo hello | socat -t 3 - TCP4:${GATEWAY}:${Port.echo} | grep -q hello`);
  await guest.sh('busybox ping -c 1 -W 1 10.0.2.99 || true');
}

const TFTP = '/run/tftp';

function tftpFiles(): void {
  writeFileSync(`${TFTP}/boot.txt`, text(3000));
  writeFileSync(`${TFTP}/even.txt`, text(1024));
}

/** libslirp's own server; behind us one of the host, which answers from its one port. */
async function tftp({ guest }: Stage): Promise<void> {
  const get = (name: string, options = '') =>
    `cd /run && busybox tftp -g ${options} -r ${name} -l got ${GATEWAY} 69 && cat got | wc -c`;
  await guest.sh(`test $(${get('boot.txt')}) = 3000`);
  await guest.sh(`test $(${get('even.txt')}) = 1024`);
  await guest.sh(`test $(${get('boot.txt', '-b 1400')}) = 3000`);
  await guest.sh(
    `cd /run && tftp -m binary ${GATEWAY} -c get nothing.txt 2>&1 | grep -qi 'not found\\|access\\|error'`,
  );
}

export const udpScenes: readonly Scene[] = [
  ...tapScenes({
    name: 'dns',
    guest: '`dig`',
    packages: ['bind9-dnsutils'],
    shows:
      'A, AAAA, CNAME, MX, PTR, a name that does not exist; an answer that does not fit: truncated, then over TCP',
    play: dns,
  }),
  ...tapScenes({
    name: 'udp',
    guest: '`socat`',
    packages: ['socat'],
    shows: 'echoes of 1 and 1472 bytes, a closed port, an echo of 192.0.2.80',
    play: udp,
  }),
  ...tapScenes({
    name: 'udp-4000',
    guest: '`socat`',
    packages: ['socat'],
    shows: 'an echo of 4000 bytes, three fragments each way',
    format: 'pcapng',
    play: (stage) => echoes(stage, [4000]),
  }),
  ...tapScenes({
    name: 'udp-65507',
    guest: '`socat`',
    packages: ['socat'],
    shows: 'an echo of the longest datagram there is, 45 fragments each way',
    play: (stage) => echoes(stage, [65_507]),
  }),
  ...tapScenes({
    name: 'ping',
    guest: '`busybox ping`',
    packages: ['busybox-static'],
    shows:
      'pings to 10.0.2.2 and to 192.0.2.80: libslirp answers the first itself; we drop them by design, and say so in comments',
    format: 'pcapng',
    play: ping,
  }),
  ...tapScenes({
    name: 'two-guests',
    guest: 'two of them; `busybox ping`, `socat`',
    packages: ['busybox-static', 'socat'],
    shows:
      'ARP, a ping, TCP and UDP between the guests, and an echo of the host for each; links by name, frames between guests on both',
    addresses: ['10.0.2.15/24', '10.0.2.16/24'],
    // libslirp on a hub takes the guests' frames to each other for its own: it does not look at the destination's MAC.
    engines: ['usernet'],
    format: 'pcapng',
    play: twoGuests,
  }),
  ...tapScenes({
    name: 'tftp',
    guest: '`busybox tftp`, `tftp`',
    packages: ['busybox-static', 'tftp-hpa'],
    shows: 'files of 3000 and 1024 bytes, one with blocks of 1400, and one that is not there',
    net: `tftp=${TFTP}`,
    engines: ['libslirp'],
    play: async (stage) => {
      tftpFiles();
      await tftp(stage);
    },
  }),
  ...tapScenes({
    name: 'tftp',
    guest: '`busybox tftp`, `tftp`',
    packages: ['busybox-static', 'tftp-hpa', 'dnsmasq-base'],
    shows:
      'the same through NAT, from a server on the host that answers from one port (`dnsmasq --tftp-single-port`)',
    engines: ['usernet'],
    play: async (stage) => {
      tftpFiles();
      await tftp(stage);
    },
  }),
];
