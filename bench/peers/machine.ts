// What the end-to-end benchmarks run on: processes that end with them, and network namespaces of their own.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

const KEPT_TEXT = 4000;
const started = new Set<Started>();
const namespaces = new Set<string>();
let ending: Promise<void> | null = null;

/** Runs a short command to its end and returns what it printed; throws with what it said when it fails. */
export function run(command: string, args: readonly string[], timeoutMs = 60_000): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    timeout: timeoutMs,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** `argv` on one CPU, or as it is. taskset and `ip netns exec` become the command, so the process is the same. */
export function pinned(cpu: number | null, argv: readonly string[]): string[] {
  return cpu === null ? [...argv] : ['taskset', '-c', String(cpu), ...argv];
}

export function inNamespace(ns: string, argv: readonly string[]): string[] {
  return ['ip', 'netns', 'exec', ns, ...argv];
}

/** A process that ends with the benchmark. */
export class Started {
  readonly pid: number;
  readonly process: ChildProcess;
  /** What it last printed, on either stream. */
  said = '';
  private readonly exited: Promise<unknown>;
  private waiting: (() => void) | null = null;

  constructor(argv: readonly string[]) {
    this.process = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    this.pid = this.process.pid ?? 0;
    started.add(this);
    const onData = (chunk: Buffer): void => {
      this.said = (this.said + chunk.toString()).slice(-KEPT_TEXT);
      this.waiting?.();
    };
    this.process.stdout?.on('data', onData);
    this.process.stderr?.on('data', onData);
    // Whoever has ended does not read what hold() is told.
    this.process.stdin?.on('error', () => {});
    // 'close', not 'exit': only then everything that it said has been read.
    this.exited = once(this.process, 'close').finally(() => {
      started.delete(this);
      this.waiting?.();
    });
    this.exited.catch(() => {});
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Until `text` was printed; throws when the process ends before that, or after `timeoutMs`. */
  async untilSays(text: string, timeoutMs = 15_000): Promise<void> {
    await this.until(() => this.said.includes(text), `print "${text}"`, timeoutMs);
  }

  /** Until it has ended well: what it said. */
  async result(timeoutMs: number): Promise<string> {
    const timer = setTimeout(() => this.process.kill('SIGKILL'), timeoutMs);
    await this.exited.finally(() => clearTimeout(timer));
    if (this.process.exitCode !== 0)
      throw new Error(
        `${this.process.spawnargs.join(' ')}: ${this.process.signalCode ?? this.process.exitCode}: ${this.said}`,
      );
    return this.said;
  }

  async stop(): Promise<void> {
    if (!this.hasEnded) this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), 3000);
    await this.exited.catch(() => {});
    clearTimeout(timer);
  }

  private async until(isMet: () => boolean, what: string, timeoutMs: number): Promise<void> {
    const command = this.process.spawnargs.join(' ');
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${command} did not ${what}: ${this.said}`)),
        timeoutMs,
      );
      this.waiting = () => {
        if (!isMet() && !this.hasEnded) return;
        clearTimeout(timer);
        this.waiting = null;
        if (isMet()) resolve();
        else reject(new Error(`${command} ended: ${this.said}`));
      };
      this.waiting();
    });
  }
}

/** Makes a network namespace, which is removed with the benchmark at the latest. */
export function addNamespace(ns: string): void {
  run('ip', ['netns', 'add', ns]);
  namespaces.add(ns);
}

export function deleteNamespace(ns: string): void {
  if (namespaces.delete(ns)) run('ip', ['netns', 'del', ns]);
}

/** Ends what was started and removes the namespaces; the second caller waits for the first. */
export function cleanUp(): Promise<void> {
  ending ??= endAll();
  return ending;
}

async function endAll(): Promise<void> {
  await Promise.all([...started].map((child) => child.stop()));
  for (const ns of [...namespaces]) deleteNamespace(ns);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
