// The TAP link with Linux itself as the guest, in a network namespace: addresses, TCP and UDP at a small and a large MTU,
// the device going down and coming up, and its end; from the library, and from the command line.

import { type SpawnOptions, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, constants, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { TURN_WORK } from '../../src/base/turn.ts';
import { faultyLink } from '../../src/link/faults.ts';
import type { Link, LinkSink } from '../../src/link/link.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { loadLibc } from '../../src/node/libc.ts';
import { openLinkPort } from '../../src/node/link-port.ts';
import { createNodeNetwork } from '../../src/node/node-network.ts';
import { LinkNames } from '../../src/node/qemu-port.ts';
import { openTap } from '../../src/node/tap.ts';
import { newHost } from '../support/link-bench.ts';
import { byteStream, deferred, digest, digestOf, listen, udpEcho } from './support/host-servers.ts';
import { Process, poll, within } from './support/processes.ts';
import { describeWithTap, program } from './support/requirements.ts';
import { ip, TapGuest, type TapGuestOptions } from './support/tap-guest.ts';

const GATEWAY = '10.0.2.2';
const BULK = 64 << 20;
/** As what test/e2e/support/host-servers.ts calls a digest, of standard input. */
const MD5 = "md5sum | cut -d' ' -f1";

type Network = ReturnType<typeof createNodeNetwork>;
interface Bench {
  readonly network: Network;
  readonly guest: TapGuest;
  readonly downs: string[];
  /** Bytes of the arena in use without the guest. */
  readonly idle: number;
}

const open: { close(): Promise<void> }[] = [];

/** A network with a guest on it. */
async function newBench(mtu: number, options: Partial<TapGuestOptions> = {}): Promise<Bench> {
  const downs: string[] = [];
  const network = createNodeNetwork(
    { mtu },
    { on: { 'guest-down': ({ reason }) => void downs.push(reason) } },
  );
  open.push(network);
  await network.start();
  const idle = network.stats().arena.used;
  const guest = await TapGuest.open({ attach: (link) => network.attach(link), mtu, ...options });
  open.push(guest);
  return { network, guest, downs, idle };
}

async function closeAll(): Promise<void> {
  for (const each of open.splice(0).reverse()) await each.close();
}

describeWithTap('Linux behind a TAP link', ['socat', 'busybox', 'bash'], () => {
  describe.for([1500, 65520])('MTU %i', transferTests);
  describe('one guest', guestTests);
  describe('a link that its maker closes', closeTests);
  describe('a device that is there already', persistentTests);
  drainTests();
  refusalTests();
  commandLineTests();
});

function transferTests(mtu: number): void {
  let bench: Bench;
  beforeAll(async () => {
    bench = await newBench(mtu);
  });
  afterAll(closeAll);

  test('the device has the MTU of the network', () => {
    expect(bench.guest.ip('link', 'show', bench.guest.device)).toContain(` mtu ${mtu} `);
    expect(bench.guest.link.maxFrame).toBe(mtu + 18);
  });

  test('TCP from the host: 64 MiB', async () => {
    const server = await listen((socket) => void byteStream(BULK, 1).pipe(socket));
    const sum = await bench.guest.run(`socat -u TCP4:${GATEWAY}:${server.port} - | ${MD5}`);
    server.close();
    expect(sum).toBe(digest(BULK, 1));
  });

  test('TCP to the host: 64 MiB', async () => {
    const received = deferred<Awaited<ReturnType<typeof digestOf>>>();
    const server = await listen((socket) => {
      void digestOf(socket).then(received.resolve, received.reject);
      socket.on('end', () => socket.end());
    });
    const pipe = `head -c ${BULK} /dev/urandom | tee /proc/self/fd/2 | socat -u - TCP4:${GATEWAY}:${server.port}`;
    const sum = await bench.guest.run(`{ ${pipe}; } 2>&1 >/dev/null | ${MD5}`);
    const got = await within(5000, 'the end of the stream', received.promise);
    server.close();
    expect(got).toEqual({ digest: sum, length: BULK });
  });

  test('UDP echo, whole and in fragments', async () => {
    const lengths = [1, 1472, 1473, 60_000];
    const echo = await udpEcho();
    const echoes = lengths.map(async (length) => {
      const [file, datagram] = [
        join(tmpdir(), `usernet-datagram-${process.pid}-${length}`),
        'x'.repeat(length),
      ];
      writeFileSync(file, datagram);
      // One read is one datagram: a file is read whole, a pipe as far as it is filled. socat ends after 2 s of nothing.
      const socat = `socat -t 2 -b 65536 - UDP4:${GATEWAY}:${echo.port} <${file}`;
      expect(await bench.guest.run(`${socat} | ${MD5}`)).toBe(
        createHash('md5').update(datagram).digest('hex'),
      );
      rmSync(file);
    });
    await Promise.all(echoes);
    echo.close();
    expect([...echo.lengths].sort((a, b) => a - b)).toEqual(lengths);
  });

  test('and no frame was lost on the way, in either direction', () => {
    const { counters } = bench.guest.link;
    const [stats] = bench.network.stats().links;
    expect(counters).toMatchObject({ lostWhileDown: 0, refused: 0 });
    expect(stats).toMatchObject({ framesIn: counters.received, framesOut: counters.sent });
    expect(bench.guest.dropped()).toBe(0);
    expect(bench.network.stats().losses).toEqual({});
  });
}

function guestTests(): void {
  afterEach(closeAll);

  test('DHCP by busybox gives it the first lease', async () => {
    const { network, guest } = await newBench(1500, { address: null });
    const script = join(tmpdir(), `usernet-udhcpc-${process.pid}`);
    writeFileSync(script, '#!/bin/sh\n[ "$1" = bound ] && echo "$ip/$mask via $router"\nexit 0\n', {
      mode: 0o700,
    });
    const said = await guest.run(`busybox udhcpc -f -q -n -i ${guest.device} -s ${script}`);
    rmSync(script);
    expect(said).toContain('10.0.2.15/24 via 10.0.2.2');
    expect(network.stats().leases).toMatchObject([{ address: '10.0.2.15' }]);
  });

  test('down for a while: frames are lost and counted, and a connection goes on after it', async () => {
    const { guest, downs } = await newBench(1500);
    const accepted = deferred<import('node:net').Socket>();
    const server = await listen(accepted.resolve);
    const running = guest.spawn(['socat', '-u', `TCP4:${GATEWAY}:${server.port}`, '-']);
    const socket = await within(5000, 'a connection', accepted.promise);
    guest.ip('link', 'set', guest.device, 'down');
    socket.end('said while it was down');
    await poll(5000, 'a lost frame', () => guest.link.counters.lostWhileDown > 0 || undefined);
    expect(running.stdout).toBe('');
    guest.configure();
    await within(10_000, 'the end of the connection', running.exited);
    expect(running.stdout).toBe('said while it was down');
    expect(downs).toEqual([]);
    server.close();
  });

  test('deleted: the link is down once, with the reason, and its memory and descriptor are given back', async () => {
    const files = (): number => readdirSync('/proc/self/fd').length;
    const before = files();
    const { network, guest, downs, idle } = await newBench(1500);
    await guest.run('true');
    expect(network.stats().arena.used).toBeGreaterThan(idle);
    guest.ip('link', 'del', guest.device);
    await poll(5000, 'the end of the link', () => downs.length > 0 || undefined);
    expect(downs).toEqual(['the device was deleted']);
    expect(network.stats().arena.used).toBe(idle);
    await closeAll();
    expect(downs).toEqual(['the device was deleted']);
    expect(files()).toBe(before);
  });

  test('close() removes the device, attached or not', async () => {
    const name = `utc${process.pid}`;
    const link = await openTap({ name });
    expect(ip('link', 'show', name)).toContain(name);
    await link.close();
    expect(() => ip('link', 'show', name)).toThrow(/does not exist/);
    const { network, guest, idle } = await newBench(1500);
    await guest.link.close();
    expect(() => guest.ip('link', 'show', guest.device)).toThrow(/does not exist/);
    expect(network.stats().arena.used).toBe(idle);
  });
}

function closeTests(): void {
  afterEach(closeAll);

  test('close() of a link that is attached: the network hears of it, and its name is free', async () => {
    const { network, guest, downs } = await newBench(1500);
    await guest.link.close();
    expect(downs).toEqual(['closed']);
    expect(network.stats().links).toMatchObject([{ name: guest.device, up: false }]);
    const again = await openTap({ name: guest.device, mtu: 1500 });
    network.attach(faultyLink(again, { delay: 1 }));
    expect(() => network.attach(guest.link)).toThrow(`link ${guest.device}: another link is called that`);
    await network.close();
    expect(downs).toEqual(['closed', 'the network is closed']);
  });
}

/** <linux/if_tun.h>: TAP without a header before each frame; and what QEMU asks for, TUN_F_CSUM, TSO4 and TSO6. */
const [TUNSETIFF, TUNSETOFFLOAD] = [0x400454ca, 0x400454d0];
const [IFF_TAP_NO_PI, ALL_OFFLOADS] = [0x1002, 7];

/** As QEMU leaves a device that stays when its program ends. */
async function usedByQemu(device: string): Promise<void> {
  ip('tuntap', 'add', 'dev', device, 'mode', 'tap');
  const libc = await loadLibc();
  const fd = openSync('/dev/net/tun', constants.O_RDWR);
  const request = Buffer.alloc(40);
  request.write(device, 'latin1');
  request.writeUInt16LE(IFF_TAP_NO_PI, 16);
  expect(libc.ioctl(fd, TUNSETIFF, request)).toBe(0);
  expect(libc.ioctl(fd, TUNSETOFFLOAD, ALL_OFFLOADS)).toBe(0);
  closeSync(fd);
}

function persistentTests(): void {
  afterEach(closeAll);

  test('a device whose last user let Linux leave checksums and segments to it: they are Linux’s again', async () => {
    const device = `utq${process.pid}`;
    await usedByQemu(device);
    const { network, guest } = await newBench(1500, { device });
    const received = deferred<Awaited<ReturnType<typeof digestOf>>>();
    const server = await listen((socket) => {
      void digestOf(socket).then(received.resolve, received.reject);
    });
    const zeros = `head -c ${1 << 20} /dev/zero`;
    await guest.run(`${zeros} | socat -u - TCP4:${GATEWAY}:${server.port},connect-timeout=3`);
    expect(await within(5000, 'the end of the stream', received.promise)).toMatchObject({ length: 1 << 20 });
    server.close();
    // Not one frame with an unfinished checksum, or longer than the MTU allows.
    expect(network.stats().drops).toEqual({});
  });

  test('a device that a network refuses can be opened again', async () => {
    const name = `uto${process.pid}`;
    ip('tuntap', 'add', 'dev', name, 'mode', 'tap');
    try {
      const network = createNodeNetwork({ mtu: 9000 });
      open.push(network);
      const spec = { kind: 'tap', name } as const;
      const names = new LinkNames();
      const refused = openLinkPort(spec, (link) => network.attach(link), names);
      await expect(refused).rejects.toThrow('takes frames of 1518 bytes, mtu 9000 needs 9014');
      await openLinkPort(spec, (link) => network.attach(link), names, { mtu: 9000 });
      expect(network.stats().links).toMatchObject([{ name, up: true }]);
      await closeAll();
    } finally {
      ip('link', 'del', name);
    }
  });
}

/** Counts the frames of each turn. */
class TurnCounter implements LinkSink {
  readonly turns: number[] = [];
  private counting = false;

  onFrame(): Drop {
    if (!this.counting) {
      this.counting = true;
      this.turns.push(0);
      queueMicrotask(() => {
        this.counting = false;
      });
    }
    this.turns[this.turns.length - 1]! += 1;
    return Drop.None;
  }

  onLinkWritable(): void {}

  onLinkDown(): void {}
}

/** As many as a turn takes of a link that may not be alone. */
const BURST = TURN_WORK;

function drainTests(): void {
  test('what waits in the device is one turn; recall() shows the last of them', async () => {
    const host = newHost(new NodeClock());
    const sink = new TurnCounter();
    const attach = (link: Link): void => link.attach(sink, host);
    const guest = await TapGuest.open({ attach });
    try {
      guest.ip('neigh', 'add', GATEWAY, 'lladdr', '52:55:0a:00:02:02', 'dev', guest.device);
      // This process waits, and so do the frames.
      const burst = `for i in {1..${BURST}}; do echo frame $i >/dev/udp/${GATEWAY}/9; done`;
      ip('netns', 'exec', guest.ns, 'bash', '-c', burst);
      await poll(5000, 'the burst', () => guest.link.counters.received === BURST || undefined);
      expect(sink.turns).toEqual([BURST]);
      const shown: string[] = [];
      guest.link.recall((direction, memory, off, len) =>
        shown.push(
          `${direction} ${Buffer.from(memory.bytes.subarray(off + 42, off + len))
            .toString()
            .trim()}`,
        ),
      );
      expect(shown).toEqual(Array.from({ length: BURST }, (_, i) => `from-guest frame ${i + 1}`));
    } finally {
      await guest.close();
    }
    expect(host.arena.used).toBe(newHost(new NodeClock()).arena.used);
  });
}

function refusalTests(): void {
  test('what the system refuses is one line that names the device', async () => {
    const name = `ute${process.pid}`;
    const link = await openTap({ name });
    await expect(openTap({ name })).rejects.toThrow(`tap:${name}: the device is in use`);
    await link.close();
    // The range of MTUs that is documented is the kernel's.
    for (const mtu of [68, 65_521]) await (await openTap({ name, mtu })).close();
    await expect(openTap({ name, mtu: 65_522 })).rejects.toThrow(`tap:${name}: an MTU of 65522: is no`);
    expect(() => ip('link', 'show', name)).toThrow(/does not exist/);
    await expect(openTap({ name: 'lo' })).rejects.toThrow(
      'tap:lo: there is such a device, and it is no TAP of one queue',
    );
  });
}

function commandLineTests(): void {
  test('usernet run --link tap:NAME,FAULT: a guest, each frame twice, and the end when its device is deleted', async () => {
    const name = `utr${process.pid}`;
    const ns = `guest-${name}`;
    const link = `tap:${name},delay=5ms,duplicate=100%`;
    const command = [program, 'run', '--link', link, '--net', 'user,mtu=4000', '--stats', 'json'];
    const options: SpawnOptions = { detached: true, stdio: ['ignore', 'pipe', 'pipe'] };
    const run = new Process('usernet', spawn(process.execPath, command, options));
    const server = await listen((socket) => void byteStream(1 << 20, 3).pipe(socket));
    try {
      await run.output(/ready/, 10_000);
      // What the banner says, as it is.
      const said = run.stderr
        .match(/^usernet: {3}ip .*$/gm)!
        .join('\n')
        .replaceAll('usernet: ', '');
      const script = `${said}
      ip netns exec ${ns} socat -u TCP4:${GATEWAY}:${server.port} - | ${MD5}
      ip -n ${ns} link show ${name} | grep -o 'mtu [0-9]*'
      ip -n ${ns} link del ${name}`;
      const shell = new Process('guest', spawn('sh', ['-ec', script], options));
      expect(await within(20_000, 'the guest', shell.exited)).toMatchObject({ code: 0 });
      expect(shell.stdout).toBe(`${digest(1 << 20, 3)}\nmtu 4000\n`);
      expect(await within(5000, 'the end', run.exited)).toEqual({ code: 0, signal: null });
      expect(run.stderr).toContain(`${name}: down: the device was deleted`);
      const [{ faults }] = JSON.parse(run.stdout.trim().split('\n').at(-1)!).links;
      for (const { passed, duplicated, cutOff } of [faults.toGuest, faults.fromGuest]) {
        expect(duplicated).toBeGreaterThan(0);
        expect(passed + cutOff).toBe(2 * duplicated);
      }
    } finally {
      server.close();
      if (run.exit === null) run.killGroup();
      await once(spawn('ip', ['netns', 'del', ns]), 'close');
    }
  });

  test('its only device cannot be attached: one line says why, exit status 1', async () => {
    const preload = `data:text/javascript,${encodeURIComponent(NO_READING)}`;
    const command = ['--import', preload, program, 'run', '--link', `tap:utf${process.pid}`];
    const run = new Process('usernet', spawn(process.execPath, command, { detached: true }));
    expect(await within(10_000, 'the end', run.exited)).toEqual({ code: 1, signal: null });
    expect(run.stderr).toBe(`usernet: utf${process.pid}: no descriptor is left\n`);
    expect(run.stdout).toMatch(/^network: up /);
  });
}

/** Loaded before the program: no socket can be made of a descriptor, as when the process has too many. */
const NO_READING = `
  import net from 'node:net';
  import { syncBuiltinESMExports } from 'node:module';
  net.Socket = class extends net.Socket {
    constructor(options) {
      if (options?.onread !== undefined) throw new Error('no descriptor is left');
      super(options);
    }
  };
  syncBuiltinESMExports();
`;
