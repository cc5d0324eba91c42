// The program under test as users run it: `usernet run` and `usernet qemu`, from its one file.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { NetworkStats } from '../../../src/network/stats.ts';
import { type Lab, type Process, poll } from './processes.ts';
import { program } from './requirements.ts';

const START_MS = 10_000;

export interface RunOptions {
  readonly name?: string;
  /** Paths of the links' sockets. */
  readonly links: readonly string[];
  readonly args?: readonly string[];
}

/** `usernet run`, ready for its guests. */
export class UsernetRun {
  readonly process: Process;

  private constructor(process: Process) {
    this.process = process;
  }

  static async start(lab: Lab, options: RunOptions): Promise<UsernetRun> {
    const links = options.links.flatMap((path) => ['--link', `unix:${path}`]);
    const argv = [
      process.execPath,
      lab.copy(program),
      'run',
      ...links,
      '--stats',
      'json',
      ...(options.args ?? []),
    ];
    const run = new UsernetRun(lab.spawn(options.name ?? 'usernet run', argv));
    await run.process.output(/ready$/m, START_MS);
    return run;
  }

  /** QEMU's option for a guest on this link. */
  static netdev(path: string, id = 'net0'): string {
    return `stream,id=${id},server=off,addr.type=unix,addr.path=${path}`;
  }

  /** Asks for statistics with SIGUSR1. */
  async stats(): Promise<NetworkStats> {
    const before = documents(this.process.stdout).length;
    this.process.signal('SIGUSR1');
    const all = await poll(5000, 'statistics after SIGUSR1', () => {
      const found = documents(this.process.stdout);
      return found.length > before ? found : undefined;
    });
    return all.at(-1)!;
  }

  /** SIGTERM; returns the last statistics, the exit code and the time it took. */
  async stop(): Promise<{
    readonly stats: NetworkStats;
    readonly code: number | null;
    readonly tookMs: number;
  }> {
    const { code, tookMs } = await this.process.stop('SIGTERM', 10_000);
    const stats = documents(this.process.stdout).at(-1);
    if (stats === undefined) throw new Error(`no statistics on standard output\n${this.process.log()}`);
    return { stats, code, tookMs };
  }
}

/** The command that goes in front of a QEMU command. */
export function usernetQemu(lab: Lab, args: readonly string[] = []): string[] {
  return [process.execPath, lab.copy(program), 'qemu', ...args, '--'];
}

/** The statistics in `text`: a line of JSON for each network, among other lines. */
function documents(text: string): NetworkStats[] {
  const lines = text.split('\n').slice(0, -1);
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as NetworkStats);
}

/** A field of /proc/PID/status. */
export function procStatus(pid: number, field: string): string {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  return Number.parseInt(procStatus(pid, 'VmRSS'), 10) * 1024;
}

/** The TCP and UDP sockets that a process holds, listening TCP sockets left out: lines of /proc/PID/net/*. */
export function openInetSockets(pid: number): string[] {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const sockets: string[] = [];
  for (const table of ['tcp', 'tcp6', 'udp', 'udp6']) {
    for (const line of readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const isListening = table.startsWith('tcp') && fields[3] === '0A';
      if (inodes.has(fields[9] ?? '') && !isListening) sockets.push(`${table} ${line.trim()}`);
    }
  }
  return sockets;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // The descriptor was closed since the folder was read.
    return '';
  }
}
