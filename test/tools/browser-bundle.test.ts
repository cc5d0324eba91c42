// What a page loads: no Node in it, and no more of it than before. The sizes are what it has come to, with a little room;
// they are a guard against growth, and say nothing of how small it should be.

import { resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

interface Bundle {
  readonly text: string;
  readonly minified: number;
  readonly gzipped: number;
}

/** `entry` for a browser, in kB. What only Node has fails the build. */
async function bundle(entry: string, external: readonly string[] = []): Promise<Bundle> {
  const { outputFiles } = await build({
    entryPoints: [resolve(ROOT, entry)],
    external: [...external],
    ...{ bundle: true, minify: true, format: 'esm', platform: 'browser', target: 'es2022', write: false },
    ...{ legalComments: 'none', logLevel: 'error' },
  });
  const { contents, text } = outputFiles[0]!;
  return { text, minified: contents.length / 1000, gzipped: gzipSync(contents, { level: 9 }).length / 1000 };
}

describe.each(['index', 'v86', 'pcap', 'testing'])('usernet/%s in a browser', (entry) => {
  test('has nothing of Node', async () => {
    const { text } = await bundle(`src/${entry}.ts`);
    expect(text.match(/["'`]node:[a-z/]+/g) ?? []).toEqual([]);
    expect(text.match(/(?<![\w.$])(Buffer|process|setImmediate|require)\b\s*[.(]/g) ?? []).toEqual([]);
  });
});

test('the engine without ip-num does not grow', async () => {
  const { minified, gzipped } = await bundle('src/network/network.ts', ['ip-num']);
  expect(minified).toBeLessThan(178);
  expect(gzipped).toBeLessThan(60);
});

test('the whole entry for browsers does not grow', async () => {
  const { minified, gzipped } = await bundle('src/index.ts');
  expect(minified).toBeLessThan(278);
  expect(gzipped).toBeLessThan(88);
});
