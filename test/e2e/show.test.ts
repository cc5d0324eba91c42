// `usernet show` as a process: what an in-process test cannot see of pipes and exit statuses.

import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bytes, Classic, SECONDS } from '../pcap/reader-bytes.ts';
import { FRAMES } from '../support/frames.ts';
import { Lab, showLogsOfFailures } from './support/processes.ts';
import { program } from './support/requirements.ts';

const FRAME_COUNT = 100_000;
const LINE = '2023-11-14 22:13:20.000000 ARP, Request who-has 10.0.2.2 tell 10.0.2.15, length 28\n';

let lab: Lab;
let copy = '';
let capture = '';
beforeAll(() => {
  lab = new Lab('show');
  copy = lab.copy(program);
  capture = lab.path('capture.pcap');
  const classic = new Classic();
  const record = classic.record(SECONDS, 0, FRAMES.arpRequest);
  writeFileSync(capture, bytes(classic.header(), ...Array.from({ length: FRAME_COUNT }, () => record)));
});
afterAll(() => lab.close());
showLogsOfFailures(() => lab);

/** What bash makes of `script`, in which SHOW is `usernet show`. */
async function shell(script: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const command = script.replace('SHOW', `"${process.execPath}" "${copy}" show`);
  const run = lab.spawn(script, ['bash', '-o', 'pipefail', '-c', command]);
  const { code } = await run.exited;
  return { code, stdout: run.stdout, stderr: run.stderr };
}

test('a pipe that is closed ends it quietly', async () => {
  expect(await shell(`SHOW ${capture} | head -n 2`)).toEqual({
    ...{ code: 0, stdout: LINE + LINE, stderr: '' },
  });
});

test('standard input, a pipe and a file, is read to its end', async () => {
  const all = { code: 0, stdout: `${FRAME_COUNT}\n`, stderr: '' };
  expect(await shell(`cat ${capture} | SHOW - | wc -l`)).toEqual(all);
  expect(await shell(`SHOW - < ${capture} | wc -l`)).toEqual(all);
});

test('exit status 2 for what is no capture, and for one that is damaged, once that has been shown', async () => {
  expect(await shell('echo nonsense | SHOW -')).toEqual({
    ...{ code: 2, stdout: '' },
    stderr: 'usernet: standard input: byte 0: not a capture: it begins with 0x6e6f6e73\n',
  });
  expect(await shell(`head -c 90 ${capture} | SHOW -`)).toEqual({
    ...{ code: 2, stdout: LINE },
    stderr: 'usernet: standard input: byte 82: the file ends inside a record, 8 bytes behind its beginning\n',
  });
  expect(await shell('SHOW /nowhere/a.pcap')).toEqual({
    ...{ code: 2, stdout: '', stderr: 'usernet: /nowhere/a.pcap: no such file or directory\n' },
  });
});
