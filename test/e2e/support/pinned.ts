// A TypeScript program of the tests in a process of its own, on one CPU where taskset is there, that answers questions
// over Node's channel. It ends when we do.

import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../..');

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** What a program may be asked, by name. */
export type Answers = Readonly<Record<string, (...args: never[]) => unknown>>;

export class Pinned<A extends Answers> {
  readonly pid: number;
  private readonly child: ChildProcess;
  private readonly asked = new Map<number, (answer: Answer) => void>();
  private nextId = 1;
  private readonly ended: Promise<void>;

  private constructor(child: ChildProcess) {
    this.child = child;
    this.pid = child.pid ?? 0;
    child.on('message', (answer: Answer) => {
      this.asked.get(answer.id)?.(answer);
      this.asked.delete(answer.id);
    });
    this.ended = new Promise((done) => {
      child.once('exit', (code, signal) => {
        for (const [id, tell] of this.asked) tell({ id, error: `the process ended: ${code ?? signal}` });
        done();
      });
    });
  }

  /** Starts `file`, a path from the root of the tree; `cpu` null: wherever there is room. */
  static start<A extends Answers>(file: string, args: readonly string[], cpu: number | null): Pinned<A> {
    const node = [process.execPath, '--expose-gc', 'tools/run.mjs', resolve(root, file), ...args];
    const argv = cpu === null ? node : ['taskset', '-c', `${cpu}`, ...node];
    const stdio: ('ignore' | 'inherit' | 'ipc')[] = ['ignore', 'inherit', 'inherit', 'ipc'];
    return new Pinned<A>(spawn(argv[0]!, argv.slice(1), { cwd: root, stdio }));
  }

  /** What the program answers; rejects with what it throws. */
  ask<K extends keyof A & string>(what: K, ...args: Parameters<A[K]>): Promise<Awaited<ReturnType<A[K]>>> {
    const id = this.nextId++;
    return new Promise((done, fail) => {
      this.asked.set(id, ({ value, error }) =>
        error === undefined ? done(value as Awaited<ReturnType<A[K]>>) : fail(new Error(`${what}: ${error}`)),
      );
      this.child.send({ id, what, args });
    });
  }

  async stop(): Promise<void> {
    if (this.child.connected) this.child.disconnect();
    await this.ended;
  }
}

/** In the program itself: answers until whoever has started it is gone. */
export function answer(answers: Answers): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', async ({ id, what, args }: { id: number; what: string; args: never[] }) => {
    try {
      process.send?.({ id, value: await answers[what]!(...args) });
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
}
