import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { LAYERS } from '../../tools/tidy/layers.ts';
import { formatFinding, tidy } from '../../tools/tidy.ts';

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function treeOf(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'usernet-tidy-'));
  folders.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

/** What tidy says about a tree of one file. */
function says(path: string, text: string): string[] {
  return tidy(treeOf({ [path]: text })).map(formatFinding);
}

/** A function of `lines` lines. */
function longFunction(lines: number): string {
  return ['export function long(): void {', ...new Array<string>(lines - 2).fill('  f();'), '}', ''].join(
    '\n',
  );
}

describe('the dependency table', () => {
  test('an import upwards or sideways is named with file, line and both folders', () => {
    expect(says('src/tcp/bad.ts', "// why\nimport { x } from '../nat/flow.ts';\n")).toEqual([
      'src/tcp/bad.ts:2: tcp/ must not import nat/',
    ]);
    expect(says('src/switch/bad.ts', "import '../ip/input.ts';\n")).toEqual([
      'src/switch/bad.ts:1: switch/ must not import ip/',
    ]);
  });

  test('type imports, re-exports, import types and dynamic imports count', () => {
    const lines = [
      "import type { A } from '../tcp/a.ts';",
      "export { b } from '../tcp/b.ts';",
      "export * from '../tcp/c.ts';",
      "export type D = import('../tcp/d.ts').D;",
      "const e = await import('../tcp/e.ts');",
      'const f = await import(e.name);',
    ];
    const found = says('src/wire/bad.ts', `${lines.join('\n')}\n`);
    expect(found.slice(0, 5)).toEqual(
      [1, 2, 3, 4, 5].map((line) => `src/wire/bad.ts:${line}: wire/ must not import tcp/`),
    );
    expect(found.slice(5)).toEqual(['src/wire/bad.ts:6: wire/ must not import the package (computed)']);
  });

  test('what the table allows passes, the own folder included, and strings and comments are no imports', () => {
    const text = [
      "import { a } from '../base/a.ts';",
      "import { b } from './b.ts';",
      "// import { c } from '../nat/c.ts';",
      'export const text = "import { d } from \'../nat/d.ts\'";',
      '',
    ].join('\n');
    expect(says('src/tcp/good.ts', text)).toEqual([]);
  });

  test('every folder may import each folder of its row and no other', () => {
    for (const [folder, may] of Object.entries(LAYERS)) {
      const others = Object.keys(LAYERS).filter((other) => other !== folder);
      const imports = others.map((other) => `import '../${other}/x.ts';\n`).join('');
      const expected = others
        .filter((other) => !may.includes(other))
        .map((other) => `${folder}/ must not import ${other}/`);
      const found = says(`src/${folder}/x.ts`, imports).map((line) => line.replace(/^\S+ /, ''));
      expect(found.sort()).toEqual(expected.sort());
    }
  });

  test('index.ts may import the core but not node/, node.ts both', () => {
    const imports = "import './network/x.ts';\nimport './node/x.ts';\n";
    expect(says('src/index.ts', imports)).toEqual(['src/index.ts:2: src/index.ts must not import node/']);
    expect(says('src/node.ts', imports)).toEqual([]);
  });

  test('only node/, cli/ and node.ts import node:*', () => {
    const text = "import { readFileSync } from 'node:fs';\n";
    expect(says('src/base/x.ts', text)).toEqual([
      'src/base/x.ts:1: base/ must not import node:fs: only node/ and cli/ may',
    ]);
    for (const path of ['src/node/x.ts', 'src/cli/x.ts', 'src/node.ts']) expect(says(path, text)).toEqual([]);
  });

  test('packages are allowed one by one, and nothing outside src/', () => {
    expect(says('src/network/x.ts', "import { IPv4 } from 'ip-num';\n")).toEqual([]);
    expect(says('src/tcp/x.ts', "import { IPv4 } from 'ip-num';\n")).toEqual([
      'src/tcp/x.ts:1: tcp/ must not import the package ip-num',
    ]);
    expect(says('src/network/x.ts', "import '../../test/support/x.ts';\n")).toEqual([
      'src/network/x.ts:1: network/ must not import test/support/x.ts: it is outside src/',
    ]);
  });

  test('a folder that the table does not know is refused, the kernel is not looked at', () => {
    expect(says('src/util/x.ts', 'export const x = 1;\n')).toEqual([
      'src/util/x.ts:1: src/util is not in the dependency table of tools/tidy',
    ]);
    expect(says('src/kernel/x.ts', '@inline function x(): v128 {}\n')).toEqual([]);
  });
});

describe('what the core must not use', () => {
  test.each([
    ['Date.now()', 'Date'],
    ['new Date()', 'Date'],
    ['setTimeout(() => {}, 1)', 'setTimeout'],
    ['setInterval(() => {}, 1)', 'setInterval'],
    ['setImmediate(() => {})', 'setImmediate'],
    ["console.log('x')", 'console'],
    ["Buffer.from('x')", 'Buffer'],
    ['process.exit()', 'process'],
    ['performance.now()', 'performance'],
    ['Math.random()', 'Math.random'],
    ['{ x: Buffer }', 'Buffer'],
    ['({ process })', 'process'],
  ])('%s', (code, name) => {
    const found = says('src/base/x.ts', `\nexport const x = (y = ${code}) => y;\n`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(`src/base/x.ts:2: ${name} is banned in the core: `);
    expect(says('src/node/x.ts', `\nexport const x = (y = ${code}) => y;\n`)).toEqual([]);
  });

  test('a type counts, a property, a string, a comment and a name of ones own do not', () => {
    expect(says('src/base/x.ts', 'export let x: Buffer | null = null;\n')).toHaveLength(1);
    const fine = [
      '// setTimeout, Date.now() and console.log are banned',
      "export const x = { console: 1, Date: 'Date.now()', text: `process` };",
      'export const y = x.console + x.Date.length;',
      'export class A { process(): void {} }',
      'export function f(process: number, { performance }: A): number { return process + performance; }',
      '',
    ].join('\n');
    expect(says('src/base/x.ts', fine)).toEqual([]);
  });

  test('slice() where bytes are handled', () => {
    const text = 'export const x = (b: Uint8Array) => b.slice(1);\n';
    expect(says('src/wire/x.ts', text)).toEqual([
      'src/wire/x.ts:1: .slice() is banned in wire/: subarray() for bytes, substring() for text',
    ]);
    expect(says('src/services/x.ts', text)).toEqual([]);
  });
});

describe('sizes', () => {
  test('a file has 400 lines, a test 600', () => {
    const lines = (n: number): string => 'f();\n'.repeat(n);
    for (const path of ['src/base/x.ts', 'bench/x.ts', 'tools/x.mjs']) {
      expect(says(path, lines(400))).toEqual([]);
      expect(says(path, lines(401))).toEqual([`${path}:1: 401 lines, 400 are the limit of a file`]);
    }
    expect(says('test/x.test.ts', lines(600))).toEqual([]);
    expect(says('test/x.test.ts', lines(601))).toHaveLength(1);
  });

  test('a function has 70 lines, whatever kind it is of', () => {
    expect(says('src/base/x.ts', longFunction(70))).toEqual([]);
    expect(says('src/base/x.ts', longFunction(71))).toEqual([
      'src/base/x.ts:1: long has 71 lines, 70 are the limit of a function',
    ]);
    const body = '\n'.repeat(70);
    expect(says('src/base/x.ts', `export const arrow = () => {${body}};\n`)).toEqual([
      'src/base/x.ts:1: arrow has 71 lines, 70 are the limit of a function',
    ]);
    expect(says('src/base/x.ts', `class A {\n  method(): void {${body}}\n}\n`)).toEqual([
      'src/base/x.ts:2: method has 71 lines, 70 are the limit of a function',
    ]);
  });

  test('a brace in a string, a comment or a regular expression does not end a function', () => {
    const odd = ["  f('}');", '  // }', '  g(/[}]/);', '  h(`}`);'].join('\n');
    const text = longFunction(66).replace('  f();', `${odd}\n  f();`);
    expect(says('src/base/x.ts', text)).toEqual([]);
    expect(says('src/base/x.ts', text.replace('  f();', '  f();\n  f();'))).toHaveLength(1);
  });

  test('describe() may be longer, test() may not', () => {
    const body = '\n'.repeat(80);
    expect(says('test/x.test.ts', `describe('x', () => {${body}});\n`)).toEqual([]);
    expect(says('test/x.test.ts', `describe.each([1])('x', () => {${body}});\n`)).toEqual([]);
    expect(says('test/x.test.ts', `test('x', () => {${body}});\n`)).toHaveLength(1);
  });
});

describe('tests', () => {
  test('none is left out by only', () => {
    for (const name of ['describe', 'test', 'it']) {
      expect(says('test/x.test.ts', `${name}.only('x', () => {});\n`)).toEqual([
        `test/x.test.ts:1: ${name}.only leaves the other tests out`,
      ]);
    }
    expect(says('test/x.test.ts', "test.only.each([1])('x', () => {});\n")).toHaveLength(1);
    expect(says('test/x.test.ts', 'const a = options.only;\n')).toEqual([]);
  });

  test('none sleeps outside e2e/ and support/', () => {
    const text = 'await new Promise((done) => setTimeout(done, 10));\n';
    expect(says('test/tcp/x.test.ts', text)).toEqual([
      'test/tcp/x.test.ts:1: tests do not sleep (setTimeout): move time with ManualClock, or wait for the event',
    ]);
    expect(says('test/x.test.ts', "import { setTimeout as s } from 'node:timers/promises';\n")).not.toEqual(
      [],
    );
    expect(says('test/e2e/x.test.ts', text)).toEqual([]);
    expect(says('test/support/x.ts', text)).toEqual([]);
  });
});

describe('words', () => {
  test('an unfinished thing names its issue', () => {
    const word = 'TODO';
    expect(says('src/base/x.ts', `// ${word}: later\n`)).toEqual([
      `src/base/x.ts:1: ${word} without the number of an issue (#12)`,
    ]);
    expect(says('src/base/x.ts', `// ${word} #12: later\nexport const a = '${word}';\n`)).toEqual([]);
  });

  test('no path of a machine and no registry, in any text', () => {
    const home = `/${'home'}/someone/x`;
    expect(says('README.md', `x\nsee ${home}\n`)).toEqual([`README.md:2: a path of one machine: /${'home'}`]);
    expect(says('.ci/run', `cd /${'work'}/x\n`)).toHaveLength(1);
    expect(says('src/base/x.ts', `// see /${'root'}\n`)).toHaveLength(1);
    expect(says('package.json', `"https://${'registry'}.${'npmjs'}.org/x"\n`)).toHaveLength(1);
    expect(says('README.md', 'src/network/homework and ./work/x and a/root\n')).toEqual([]);
  });

  test('a file that does not parse is a finding', () => {
    expect(says('src/base/x.ts', 'export const = 1;\n')).toHaveLength(1);
  });
});

test('the command prints a line for each finding and ends with 1; without findings nothing and 0', () => {
  const root = resolve(import.meta.dirname, '../..');
  const run = (tree: string) =>
    spawnSync(process.execPath, ['tools/run.mjs', 'tools/tidy.ts', tree], { cwd: root, encoding: 'utf8' });
  const bad = run(
    treeOf({ 'src/tcp/bad.ts': "// why\nimport '../nat/flow.ts';\n", 'src/base/a.ts': 'Date;\n' }),
  );
  expect(bad.stdout).toBe(
    'src/base/a.ts:1: Date is banned in the core: use the Clock\n' +
      'src/tcp/bad.ts:2: tcp/ must not import nat/\n',
  );
  expect(bad.status).toBe(1);
  const good = run(treeOf({ 'src/tcp/good.ts': "import '../base/a.ts';\n" }));
  expect([good.stdout, good.status]).toEqual(['', 0]);
});
