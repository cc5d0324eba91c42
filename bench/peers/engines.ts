// The engines that are compared, each as a command. All of them are given the same guest: 10.0.2.15 with the gateway
// 10.0.2.2, which is the host's 127.0.0.1. One that listens on a unix socket gets its guest by tap-pump.c, a hop more
// than one that owns the TAP has.

import { packageVersion, usernetVersion } from './versions.ts';

/** What an engine is told. */
export interface Setup {
  readonly ns: string;
  readonly mtu: number;
  /** Where to listen, for those that do. */
  readonly socket: string;
  /** The copy of dist/usernet.mjs that is measured. */
  readonly cli: string;
}

export interface Engine {
  readonly name: string;
  readonly guestBy: 'socket' | 'tap';
  /** The greatest MTU that it can be told. */
  readonly maxMtu: number;
  /** It carries loads and has nothing else: no DHCP, no end to what it keeps. */
  readonly onlyLoads?: true;
  command(setup: Setup): string[];
  /** Version and date, for the tables. */
  version(): string;
}

const usernet: Engine = {
  name: 'usernet',
  guestBy: 'socket',
  maxMtu: 65520,
  command: ({ cli, socket, mtu }) => [
    process.execPath,
    cli,
    'run',
    '--link',
    `unix:${socket}`,
    '--net',
    `user,mtu=${mtu}`,
  ],
  version: usernetVersion,
};

const slirp4netns: Engine = {
  name: 'slirp4netns',
  guestBy: 'tap',
  maxMtu: 65520,
  command: ({ ns, mtu }) => [
    'slirp4netns',
    '--netns-type=path',
    `--mtu=${mtu}`,
    `/var/run/netns/${ns}`,
    'tap0',
  ],
  version: () => packageVersion('slirp4netns', 'libslirp0'),
};

/** What passt and pasta share; `--runas 0` keeps them from becoming a user who may not open what is ours. */
function passtOptions(mtu: number): string[] {
  const address = ['-a', '10.0.2.15', '-n', '24', '-g', '10.0.2.2'];
  return ['-f', '-4', '-m', String(mtu), ...address, '-t', 'none', '-u', 'none', '--runas', '0'];
}

const passt: Engine = {
  name: 'passt',
  guestBy: 'socket',
  maxMtu: 65520,
  command: ({ socket, mtu }) => ['passt', ...passtOptions(mtu), '-s', socket],
  version: () => packageVersion('passt'),
};

const pasta: Engine = {
  name: 'pasta',
  guestBy: 'tap',
  maxMtu: 65520,
  command: ({ ns, mtu }) => [
    'pasta',
    ...passtOptions(mtu),
    ...['-I', 'tap0', '-T', 'none', '-U', 'none', '--netns', `/var/run/netns/${ns}`],
  ],
  version: () => packageVersion('passt'),
};

/** libslirp as QEMU's users have it. QEMU only carries it: a machine of none, the network joined to a socket. */
const libslirp: Engine = {
  name: 'libslirp',
  guestBy: 'socket',
  maxMtu: 1500,
  command: ({ socket }) => [
    ...['qemu-system-x86_64', '-machine', 'none', '-display', 'none', '-monitor', 'none', '-serial', 'none'],
    ...['-netdev', 'user,id=user'],
    ...['-netdev', `stream,id=link,server=on,addr.type=unix,addr.path=${socket}`],
    ...['-netdev', 'hubport,id=port0,hubid=0,netdev=user'],
    ...['-netdev', 'hubport,id=port1,hubid=0,netdev=link'],
  ],
  version: () => packageVersion('qemu-system-x86', 'libslirp0'),
};

/** No engine, but the least that any could do in Node: see floor.ts. */
const floor: Engine = {
  name: 'floor',
  guestBy: 'socket',
  maxMtu: 65520,
  onlyLoads: true,
  command: ({ socket, mtu }) => [
    process.execPath,
    'tools/run.mjs',
    'bench/peers/floor.ts',
    socket,
    String(mtu),
  ],
  version: () => 'no engine: a relay in Node that is no more than that, bench/peers/floor.ts',
};

/** Ours first: the others are compared with it. */
export const ENGINES: readonly Engine[] = [usernet, slirp4netns, passt, pasta, libslirp, floor];
