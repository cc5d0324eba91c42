// Where runs are kept: `latest` is the recorded one and belongs to the repository, `last-run` is whatever ran last. Those of
// the JavaScript kernel have files of their own.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PARTS } from './parts.ts';
import { chart } from './report/chart.ts';
import { replaceBetweenMarks } from './report/readme.ts';
import { captions, headLine, tables } from './report/text.ts';
import type { Run } from './row.ts';

export class Results {
  private readonly root: string;

  /** `root`: of the repository. */
  constructor(root: string) {
    this.root = root;
  }

  /** The recorded run with the kernel of `run`; null when there is none. */
  recorded(kernel: Run['kernel']): Run | null {
    let text: string;
    try {
      text = readFileSync(this.path('latest', kernel, 'json'), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    return JSON.parse(text) as Run;
  }

  /** Writes JSON and chart, beside `recorded`; their paths. */
  write(name: 'latest' | 'last-run', run: Run, recorded: Run | null): string[] {
    mkdirSync(join(this.root, 'bench/results'), { recursive: true });
    const parts = PARTS.map(({ name: part, title }) => ({
      title,
      rows: run.rows.filter((row) => row.part === part),
    }));
    const files = {
      json: `${JSON.stringify(run, null, 2)}\n`,
      svg: chart(parts, captions(run), recorded),
    };
    return Object.entries(files).map(([ending, content]) => {
      const path = this.path(name, run.kernel, ending);
      writeFileSync(path, content);
      return path;
    });
  }

  /** The README's tables are those of `run`. */
  writeReadme(run: Run): void {
    const path = join(this.root, 'bench/README.md');
    const body = `${headLine(run)}\n\n${tables(run, null, '###')}`;
    writeFileSync(path, replaceBetweenMarks(readFileSync(path, 'utf8'), `${run.kernel} kernel`, body));
  }

  private path(name: string, kernel: Run['kernel'], ending: string): string {
    return join(this.root, 'bench/results', `${name}${kernel === 'js' ? '-js' : ''}.${ending}`);
  }
}
