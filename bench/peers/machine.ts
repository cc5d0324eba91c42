// What the end-to-end benchmarks run on: network namespaces of their own, iperf3, and processes that end with them.

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const started: ChildProcess[] = [];
const namespaces = new Set<string>();
let ending: Promise<void> | null = null;

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

/** Makes a network namespace, which is removed with the benchmark at the latest. */
export function addNamespace(ns: string): void {
  run('ip', ['netns', 'add', ns]);
  namespaces.add(ns);
}

export function deleteNamespace(ns: string): void {
  if (namespaces.delete(ns)) run('ip', ['netns', 'del', ns]);
}

/** Ends what start() began and removes the namespaces; the second caller waits for the first. */
export function cleanUp(): Promise<void> {
  ending ??= endAll();
  return ending;
}

async function endAll(): Promise<void> {
  await Promise.all(started.map(stop));
  for (const ns of namespaces) deleteNamespace(ns);
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
export async function iperf(
  ns: string,
  server: string,
  port: number,
  streams: number,
  reverse: boolean,
  seconds: number,
): Promise<number> {
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
  // Not run(): the server's output has to be read meanwhile, and a signal must be able to end it.
  const running = promisify(execFile)('ip', ['netns', 'exec', ns, 'iperf3', ...args], {
    timeout: (seconds + 15) * 1000,
    maxBuffer: 1 << 26,
  });
  started.push(running.child);
  const { stdout } = await running;
  const result = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
  return result.end.sum_received.bits_per_second / 1e9;
}
