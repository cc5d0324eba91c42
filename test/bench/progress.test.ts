import { expect, test } from 'vitest';
import { bar, Progress } from '../../bench/report/progress.ts';

function output(isTTY: boolean): {
  isTTY: boolean;
  columns: number;
  text: string;
  write(text: string): void;
} {
  return {
    ...{ isTTY, columns: 60, text: '' },
    write(text) {
      this.text += text;
    },
  };
}

test('the bar is as full as the run, and not wider than the terminal', () => {
  expect(bar(0, 'arp', 80)).toBe('[........................]   0 %  arp');
  expect(bar(0.5, 'arp', 80)).toBe('[############............]  50 %  arp');
  expect(bar(1, 'arp', 80)).toBe('[########################] 100 %  arp');
  expect(bar(0.5, 'x'.repeat(100), 40)).toHaveLength(39);
});

test('on a terminal one line is written over and over, and is gone at the end', () => {
  const terminal = output(true);
  const progress = new Progress(terminal, 2);
  progress.step('arp', 1, 2, 'request');
  progress.endPart('arp', 2, 1500);
  progress.step('dhcp', 1, 2, 'discover');
  progress.end();
  expect(terminal.text).not.toContain('\n');
  expect(terminal.text).toContain('  25 %  arp: request');
  expect(terminal.text).toContain('  75 %  dhcp: discover');
  expect(terminal.text.endsWith('\r\x1b[K')).toBe(true);
});

test('a terminal that does not know its width gets a whole line', () => {
  const terminal = { ...output(true), columns: 0 };
  new Progress(terminal, 1).step('arp', 1, 1, 'request');
  expect(terminal.text.endsWith('arp: request')).toBe(true);
});

test('elsewhere each part is a line', () => {
  const file = output(false);
  const progress = new Progress(file, 2);
  progress.step('arp', 1, 2, 'request');
  progress.endPart('arp', 2, 1500);
  progress.end();
  expect(file.text).toBe('arp: 2 rows in 1.5 s\n');
});
