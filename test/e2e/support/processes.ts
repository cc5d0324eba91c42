// Processes of the end-to-end tests: a folder, what runs in it, and the end of both.
// Everything that a Lab starts runs as an ordinary user without privileges, also when the tests themselves are root, and
// sees nothing of the checkout: what it needs is copied into the Lab's folder. A Lab keeps what its processes print and
// shows it when a test fails, and kills what is left of them, whatever happens to the tests.

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach } from 'vitest';

/** Debian's `nobody`. */
const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;
const LOG_TAIL = 6000;

/** Rejects with `what` after `ms`. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks `probe` every 20 ms until it returns something other than undefined. For what gives no event: files, /proc. */
export async function poll<T>(
  ms: number,
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await pause(20);
  }
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One process, its output as text, and its end. */
export class Process {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  stdout = '';
  stderr = '';
  exit: Exit | null = null;
  private readonly child: ChildProcess;
  private readonly watchers = new Set<() => void>();

  constructor(name: string, child: ChildProcess) {
    if (child.pid === undefined) throw new Error(`${name} did not start`);
    this.name = name;
    this.pid = child.pid;
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.take('stdout', text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.take('stderr', text));
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.exit = { code, signal };
        for (const watcher of this.watchers) watcher();
        resolve(this.exit);
      });
    });
  }

  /** Resolves with the first match of `pattern` in standard output or error; rejects when the process ends without. */
  async output(pattern: RegExp, ms: number): Promise<RegExpExecArray> {
    const find = () => pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
    const seen = new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const match = find();
        if (match !== null) resolve(match);
        else if (this.exit !== null)
          reject(new Error(`${this.name} ended without ${pattern}\n${this.log()}`));
      };
      this.watchers.add(look);
      look();
    });
    return within(ms, `${this.name}: output ${pattern}`, seen);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Sends `signal` and waits for the end; returns it with the milliseconds that took. */
  async stop(signal: NodeJS.Signals, ms: number): Promise<Exit & { readonly tookMs: number }> {
    const start = performance.now();
    this.signal(signal);
    const exit = await within(ms, `${this.name}: end after ${signal}`, this.exited);
    return { ...exit, tookMs: performance.now() - start };
  }

  /** The whole process group, now. */
  killGroup(): void {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  log(): string {
    const end = this.exit === null ? 'running' : `exit ${this.exit.code ?? this.exit.signal}`;
    return `--- ${this.name} (pid ${this.pid}, ${end})\n${this.stdout.slice(-LOG_TAIL)}${this.stderr.slice(-LOG_TAIL)}`;
  }

  private take(stream: 'stdout' | 'stderr', text: string): void {
    this[stream] += text;
    for (const watcher of this.watchers) watcher();
  }
}

const labs = new Set<Lab>();
process.on('exit', () => {
  for (const lab of labs) lab.killAll();
});

export class Lab {
  /** Belongs to the user that the processes run as, and nobody else may enter. */
  readonly folder: string;
  private readonly processes: Process[] = [];
  private readonly logFiles: string[] = [];

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `usernet-${name}-`));
    this.giveAway(this.folder, 0o700);
    labs.add(this);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Copies `file` into the folder, once; returns the copy's path. */
  copy(file: string): string {
    const copy = this.path(basename(file));
    // Another guest may be reading it just now.
    if (existsSync(copy)) return copy;
    copyFileSync(file, copy);
    this.giveAway(copy, 0o600);
    return copy;
  }

  /** A file or socket that the test made: the processes may use it. */
  giveAway(path: string, mode: number): void {
    chmodSync(path, mode);
    if (isRoot) chownSync(path, NOBODY, NOBODY);
  }

  /** Shown with the logs when a test fails. */
  watchLog(file: string): void {
    this.logFiles.push(file);
  }

  /** Starts a program as the ordinary user, in a process group of its own. */
  spawn(name: string, argv: readonly string[]): Process {
    const [command, ...args] = [...unprivileged(), ...argv];
    const child = spawn(command!, args, {
      cwd: this.folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: this.folder, TMPDIR: this.folder, LANG: 'C.UTF-8' },
    });
    child.on('error', (error) => process.stderr.write(`${name}: ${error.message}\n`));
    const started = new Process(name, child);
    this.processes.push(started);
    return started;
  }

  /** What every process has printed, the last part of it. */
  log(): string {
    const files = this.logFiles.map((file) => {
      return `--- ${basename(file)}\n${readFileSync(file, { encoding: 'utf8', flag: 'a+' }).slice(-LOG_TAIL)}`;
    });
    return [...this.processes.map((each) => each.log()), ...files].join('\n');
  }

  killAll(): void {
    for (const each of this.processes) each.killGroup();
  }

  /** Kills what still runs and removes the folder. */
  async close(): Promise<void> {
    this.killAll();
    await Promise.all(this.processes.map((each) => within(5000, `${each.name}: end`, each.exited)));
    rmSync(this.folder, { recursive: true, force: true });
    labs.delete(this);
  }
}

/** Prints what the processes of the Lab have printed after each test that fails. */
export function showLogsOfFailures(lab: () => Lab | undefined): void {
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`\n${task.name}:\n${lab()?.log()}\n`);
  });
}

/** What to put in front of a command so that it runs as an ordinary user without privileges. */
function unprivileged(): string[] {
  if (!isRoot) return [];
  const drop = ['--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups', '--no-new-privs'];
  // Bounding set and inheritable capabilities too, and dead with us.
  return ['setpriv', ...drop, '--inh-caps=-all', '--pdeathsig', 'KILL', '--'];
}
