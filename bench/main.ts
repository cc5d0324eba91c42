// The packet path in numbers: its stages, the path as a whole, and what a frame costs the heap; no socket and no guest. Prints
// tables beside the recorded run, and writes JSON and a chart into bench/results.   npm run bench -- --help

import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { measurePart, type Task, work } from './child.ts';
import { commit, machine } from './machine.ts';
import { HELP, type Options, parseOptions } from './options.ts';
import { PARTS } from './parts.ts';
import { Progress } from './report/progress.ts';
import { terminalText } from './report/text.ts';
import { Results } from './results.ts';
import type { Row, Run } from './row.ts';

const args = process.argv.slice(2);
if (args[0] === '--task') await work(JSON.parse(args[1]!) as Task);
else if (args.includes('--help')) process.stdout.write(HELP);
else await main();

async function main(): Promise<void> {
  let options: Options;
  try {
    options = parseOptions(
      args,
      PARTS.map(({ name }) => name),
    );
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exitCode = 2;
    return;
  }
  const run = await measure(options);
  // npm runs scripts in the folder of their package.json.
  const results = new Results(process.cwd());
  const recorded = results.recorded(run.kernel);
  process.stdout.write(terminalText(run, recorded));
  const paths = results.write(options.record ? 'latest' : 'last-run', run, recorded);
  if (options.record) results.writeReadme(run);
  process.stdout.write(`\nwritten: ${paths.map((path) => relative('.', path)).join(', ')}\n`);
}

async function measure({ quick, only, kernel }: Options): Promise<Run> {
  const about = { date: new Date().toISOString(), commit: commit(process.cwd()), machine: machine() };
  const parts = PARTS.filter(({ name, withJs }) =>
    only.length > 0 ? only.includes(name) : kernel === 'wasm' || withJs,
  );
  const progress = new Progress(process.stderr, parts.length);
  const rows: Row[] = [];
  for (const part of parts) {
    const since = performance.now();
    progress.step(part.name, 0, 1, '');
    // In a bundle this is the bundle, which runs as it is.
    const found = await measurePart(fileURLToPath(import.meta.url), part, kernel, quick, (...step) =>
      progress.step(part.name, ...step),
    );
    rows.push(...found);
    progress.endPart(part.name, found.length, performance.now() - since);
  }
  progress.end();
  return { ...about, kernel, quick, rows };
}
