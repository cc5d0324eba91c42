// The scripts' own language: what is wrong with a script is said with its line, and a script that does not hold fails.

import { describe, expect, test } from 'vitest';
import { Ours } from './ours.ts';
import { play } from './player.ts';
import { parseScript } from './script.ts';

const TITLE = '# RFC 9293 3.5: a test\n';

function parse(...lines: string[]) {
  return parseScript('t', TITLE + lines.join('\n'));
}

describe('a script is read', () => {
  test('segments, times and options are what the line says', () => {
    const { steps } = parse(
      '+0.25~0.01 > SF. 5:105(100) ack 7 win 10..20 <mss *,sackOK,ts $a 3,sack 1:2 5:9>',
    );
    expect(steps).toMatchObject([
      {
        line: 2,
        only: null,
        after: 250,
        tolerance: 10,
        action: {
          kind: 'expect',
          segment: {
            flags: 'SFA',
            seq: 5,
            len: 100,
            ack: 7,
            win: [10, 20],
            options: {
              mss: '*',
              sackPermitted: true,
              ts: [{ name: 'a' }, 3],
              sack: [
                [1, 2],
                [5, 9],
              ],
            },
          },
        },
      },
    ]);
  });

  test('one line may stand for several segments, the last of them shorter', () => {
    const { steps } = parse('+1 < . 1:251(250)/100 ack 1 win 5');
    expect(steps.map(({ after }) => after)).toEqual([1000, 0, 0]);
    expect(
      steps.map(({ action }) => action.kind === 'inject' && [action.segment.seq, action.segment.len]),
    ).toEqual([
      [1, 100],
      [101, 100],
      [201, 50],
    ]);
  });

  test('settings have defaults', () => {
    const { settings } = parse('set mtu 576', 'set active', '+0 app connect');
    expect(settings).toMatchObject({ mtu: 576, passive: false, quickack: true, congestion: 'reno' });
  });

  test.each([
    ['a step for one target without a reason', 'linux: +0 > . 1:1(0) ack 1', /without `# differs: reason`/],
    ['a reason of one word', 'ours: +0 > . 1:1(0) ack 1  # differs: so', /without `# differs: reason`/],
    ['a length that is not', '+0 < . 1:10(10) ack 1', /1:10 is not 10 bytes/],
    ['an ACK without a number', '+0 < . 1:1(0)', /go together/],
    ['a number without an ACK', '+0 < S 0:0(0) ack 1', /go together/],
    ['an unknown option', '+0 < S 0:0(0) <mss 1,fastopen>', /not an option/],
    ['an unknown act', '+0 app sleep', /cannot do that/],
    ['a setting too late', '+0 app connect\nset mtu 600', /before the first step/],
    ['an unknown setting', 'set window 5', /no such setting/],
    ['rubbish', 'hello', /not a step/],
    ['a segment that is none', '+0 < hello', /not a segment/],
  ])('%s is refused', (_what, line, fault) => {
    expect(() => parse(line)).toThrow(fault);
    expect(() => parse(line)).toThrow(/^t:\d: /);
  });

  test.each(['# no RFC at all', '# RFC 9293: no section', 'RFC 9293 3.5: no comment', '# RFC 9293 3.5'])(
    'the first line %j is refused',
    (title) => {
      expect(() => parseScript('t', `${title}\n+0 app connect`)).toThrow(/^t:1: the first line/);
    },
  );

  test('a reason holds up to the next line for both', () => {
    const reason = '# differs: they differ';
    expect(parse(reason, 'ours: +0 app abort', 'linux: +0 app abort').steps).toHaveLength(2);
    expect(() => parse(reason, 'ours: +0 app abort', '+0 app abort', 'linux: +0 app abort')).toThrow(/^t:5/);
  });
});

describe('a script that does not hold fails', () => {
  const open = 'established <mss 1000> win 65535 rtt 0.1';
  const write = '+0 app write 1000';

  test.each([
    ['another number', [open, write, '+0 > . 2:1002(1000) ack 1'], /sequence number 1/],
    ['another length', [open, write, '+0 > . 1:501(500) ack 1'], /1000 bytes/],
    ['another ACK', [open, write, '+0 > . 1:1001(1000) ack 2'], /ack 1/],
    ['other flags', [open, write, '+0 > F. 1:1001(1000) ack 1'], /other flags/],
    ['a PSH that is not there', [open, '+0 app shutdown', '+0 > FP. 1:1(0) ack 1'], /other flags/],
    ['another window', [open, write, '+0 > . 1:1001(1000) ack 1 win 5'], /window 65535/],
    ['other options', [open, write, '+0 > . 1:1001(1000) ack 1 <ts * *>'], /other options/],
    ['too early', [open, write, '+0.1 > . 1:1001(1000) ack 1'], /too early, at 0.100/],
    [
      'too late',
      [open, write, '+0 > . 1:1001(1000) ack 1', '+0.2 > . 1:1001(1000) ack 1'],
      /nothing came until/,
    ],
    ['more than expected', [open, write], /after the last step came P\. 1:1001/],
    ['not nothing', [open, write, '+0.1 > nothing'], /came P\. 1:1001/],
    ['nothing to read', [open, '+0 app read 1'], /0 bytes were there/],
    ['no end of file', [open, '+0 app eof'], /no end of file/],
    ['no error', [open, '+0 app error ECONNRESET'], /the error is none/],
    ['another state', [open, '+0 app state CLOSING'], /the state is ESTABLISHED/],
    ['SACK blocks unasked', [sackOk(), '+0 < . 5:6(1) ack 1', '+0 > . 1:1(0) ack 1'], /SACK blocks/],
    ['other SACK blocks', [sackOk(), '+0 < . 5:6(1) ack 1', '+0 > . 1:1(0) ack 1 <sack 5:7>'], /SACK 5:6/],
    ['a value unknown', [open, '+0 < . 1:1(0) ack 1 <ts 1 $x>'], /not known yet/],
  ])('%s', async (_what, lines, fault) => {
    const script = parse(...lines);
    await expect(play(script, new Ours(script.settings))).rejects.toThrow(fault);
  });

  test('the failure shows the line, the step and what went over the wire', async () => {
    const script = parse(open, write, '+0 > F. 1:1001(1000) ack 1');
    const lines = await play(script, new Ours(script.settings)).then(
      () => [],
      (error: Error) => error.message.split('\n'),
    );
    expect(lines).toEqual([
      't:4 against ours: other flags: came P. 1:1001(1000) ack 1 win 65535',
      '  +0 > F. 1:1001(1000) ack 1',
      '  what went over the wire:',
      '    0.000 < S 0:0(0) win 65535 <mss 1000>',
      '    0.000 > S. 0:0(0) ack 1 win 65535 <mss 1460>',
      '    0.100 < . 1:1(0) ack 1 win 65535',
      '    0.100 > P. 1:1001(1000) ack 1 win 65535',
    ]);
  });
});

function sackOk(): string {
  return 'established <mss 1000,sackOK> win 65535';
}
