// The scripts of test/scripts against Linux's own TCP, over a TAP: what they say is so for an endpoint that nobody here
// wrote. In real time, all at once.

import { afterAll, beforeAll, test } from 'vitest';
import { allScripts } from '../scripts/cases.ts';
import { play } from '../scripts/player.ts';
import { parseScript, type Script } from '../scripts/script.ts';
import type { LinuxLab } from './support/linux-target.ts';
import { pause } from './support/processes.ts';
import { describeWithTap } from './support/requirements.ts';

/** A script that failed while this process was late, by more than this many ms, is played again. */
const LATE_MS = 8;
const ATTEMPTS = 4;
/** Between the beginnings of two scripts, or the first segments of all of them would come at once. */
const STAGGER_MS = 25;

const WARM_UP = `# RFC 9293 3.5: none of the rules, but each kind of step
established <mss 1460,sackOK,ts 1 0,wscale 7> win 500
+0 app write 10000
+0 > . 1:10001(10000)/1448 ack 1 <ts * *>
+0 < . 1:1001(1000) ack 10001 win 500 <ts 2 0>
+0 > . 10001:10001(0) ack 1001 <ts * 2>
+0 app read 1000
+0 app abort
+0 > R. 10001:10001(0) ack 1001
`;

const wanted = process.env['USERNET_SCRIPT'];
const scripts = allScripts().filter(({ name }) => wanted === undefined || name.includes(wanted));

describeWithTap('scripts against Linux', [], () => {
  let lab: LinuxLab;
  const outcomes = new Map<string, Promise<void>>();

  beforeAll(async () => {
    // Not above: it imports koffi, which may not be there.
    const { LinuxLab } = await import('./support/linux-target.ts');
    lab = await LinuxLab.open(scripts, ATTEMPTS);
    await warmUp(lab);
    for (const [i, script] of scripts.entries()) {
      const outcome = playInTime(lab, script, i);
      outcome.catch(() => {});
      outcomes.set(script.name, outcome);
      await pause(STAGGER_MS);
    }
    await Promise.allSettled(outcomes.values());
  });

  afterAll(() => lab?.close());

  for (const { name, title } of scripts) test(`${name}: ${title}`, () => outcomes.get(name));
});

/** The first frames find a cold process, and their round trips would tell Linux of a slow network. */
async function warmUp(lab: LinuxLab): Promise<void> {
  const script = parseScript('warm-up', WARM_UP);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const target = lab.target(script, scripts.length, attempt);
    await play(script, target).catch(() => {});
    target.close();
  }
}

async function playInTime(lab: LinuxLab, script: Script, index: number): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const target = lab.target(script, index, attempt);
    try {
      await play(script, target);
      return;
    } catch (error) {
      // The delay may be one of just now.
      await pause(STAGGER_MS);
      if (attempt === ATTEMPTS - 1 || target.worstDelay < LATE_MS) throw error;
    } finally {
      target.close();
    }
  }
}
