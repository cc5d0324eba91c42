// The scripts against our endpoint. Linux plays the same ones in test/e2e/linux-scripts.test.ts.

import { describe, expect, test } from 'vitest';
import { allScripts } from './cases.ts';
import { Ours } from './ours.ts';
import { PENDING } from './pending.ts';
import { play } from './player.ts';

const scripts = allScripts();

describe('scripts against our endpoint', () => {
  for (const script of scripts.filter(({ name }) => !Object.hasOwn(PENDING, name))) {
    test(`${script.name}: ${script.title}`, () => play(script, new Ours(script.settings)));
  }

  test('what is pending fails still, or it is pending no more', async () => {
    for (const name of Object.keys(PENDING)) {
      const script = scripts.find((each) => each.name === name);
      if (script === undefined) throw new Error(`${name} is pending, and there is no such script`);
      await expect(play(script, new Ours(script.settings)), name).rejects.toThrow(/against ours: /);
    }
  });

  test('there are forty scripts at least, and each has a rule and a section of its own', () => {
    expect(scripts.length).toBeGreaterThanOrEqual(40);
    expect(new Set(scripts.map(({ title }) => title)).size).toBe(scripts.length);
    for (const { title } of scripts) expect(title).toMatch(/^RFC \d+ \d/);
  });
});
