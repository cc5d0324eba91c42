// A process that measures one part, or one run of it, and says over its channel to the parent how far it is and what it
// has found; and the parent's side of that.

import { fork } from 'node:child_process';
import type { Kernel } from './engine.ts';
import { type Effort, type OnStep, PARTS, type Part, QUICK, WHOLE } from './parts.ts';
import type { Row } from './row.ts';

/** What the parent says in the child's arguments. */
export interface Task {
  readonly part: string;
  readonly run: string;
  readonly kernel: Kernel;
  readonly quick: boolean;
}

function effortOf({ quick }: Task): Effort {
  return quick ? QUICK : WHOLE;
}

type Message = { readonly step: Parameters<OnStep> } | { readonly rows: readonly Row[] };

/** In the child. */
export async function work(task: Task): Promise<void> {
  const part = PARTS.find(({ name }) => name === task.part)!;
  const tell = (message: Message): void => {
    process.send?.(message);
  };
  const rows = await part.measure(task.run, task.kernel, effortOf(task), (...step) => tell({ step }));
  tell({ rows });
  process.disconnect?.();
}

/** In the parent: all rows of `part`. `program` is the file that a child runs. */
export async function measurePart(
  program: string,
  part: Part,
  kernel: Kernel,
  quick: boolean,
  onStep: OnStep,
): Promise<Row[]> {
  const rows: Row[] = [];
  const runs = quick ? part.quickRuns : part.runs;
  for (const [i, run] of runs.entries()) {
    const task = { part: part.name, run, kernel, quick };
    rows.push(...(await runChild(program, part, task, onStep)));
    onStep(i + 1, runs.length, run);
  }
  return rows;
}

function runChild(program: string, part: Part, task: Task, onStep: OnStep): Promise<Row[]> {
  const child = fork(program, ['--task', JSON.stringify(task)], {
    execArgv: [...part.flags],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  let output = '';
  let rows: readonly Row[] | null = null;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.on('message', (message: Message) => {
    if ('rows' in message) rows = message.rows;
    else if (part.runs.length === 1) onStep(...message.step);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0 && rows !== null)
        resolve([...rows, ...(part.fromOutput?.(task.run, output, effortOf(task)) ?? [])]);
      else reject(new Error(`${part.name} ${task.run} ended with ${signal ?? code}`));
    });
  });
}
