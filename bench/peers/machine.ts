// What the end-to-end benchmarks run on: network namespaces of their own, iperf3, and processes that end with them.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';

const started: ChildProcess[] = [];

/** Runs a command to its end and returns what it printed; throws with what it said when it fails. */
export function run(command: string, args: readonly string[], timeoutMs = 60_000): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    timeout: timeoutMs,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Starts a command that is ended with the benchmark. */
export function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  return child;
}

/** Waits until `text` has been printed on standard output or error. */
export async function untilPrinted(child: ChildProcess, text: string, timeoutMs = 10_000): Promise<void> {
  let seen = '';
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${child.spawnfile} did not print "${text}": ${seen}`)),
      timeoutMs,
    );
    const onData = (chunk: Buffer): void => {
      seen += chunk.toString();
      if (!seen.includes(text)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout?.on('data', onData);
    child.stderr?.on('data', onData);
    child.once('exit', (code) => reject(new Error(`${child.spawnfile} ended with ${code}: ${seen}`)));
  });
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
  await once(child, 'exit');
  clearTimeout(timer);
}

export async function stopAll(): Promise<void> {
  for (const child of started.splice(0)) await stop(child);
}

/** CPU seconds, user and system, that a process has used. */
export function cpuSeconds(pid: number): number {
  const path = `/proc/${pid}/stat`;
  if (!existsSync(path)) return 0;
  const fields = readFileSync(path, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** One iperf3 run from namespace `ns` to `server`: Gbit/s received. */
export function iperf(
  ns: string,
  server: string,
  port: number,
  streams: number,
  reverse: boolean,
  seconds: number,
): number {
  const args = [
    '-c',
    server,
    '-p',
    String(port),
    '-J',
    '-t',
    String(seconds),
    '-O',
    '0.5',
    '-P',
    String(streams),
  ];
  if (reverse) args.push('-R');
  const text = run('ip', ['netns', 'exec', ns, 'iperf3', ...args], (seconds + 15) * 1000);
  const result = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
  return result.end.sum_received.bits_per_second / 1e9;
}
