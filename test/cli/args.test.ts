import { describe, expect, test } from 'vitest';
import { type Args, type Command, parseArgs, UsageError } from '../../src/cli/args.ts';

const command: Command = {
  name: 'serve',
  summary: 'serves',
  usage: ['serve'],
  options: [
    { name: 'link', value: 'LINK', many: true, help: '' },
    { name: 'file', value: 'FILE', help: '' },
    { name: 'quiet', help: '' },
    { name: 'format', value: 'text|json', choices: ['text', 'json'], help: '' },
  ],
  notes: [],
  run: () => Promise.resolve(0),
};

function parsed(...words: string[]): Args {
  return parseArgs(command, words);
}

function wrong(...words: string[]): string {
  try {
    parsed(...words);
  } catch (e) {
    if (!(e instanceof UsageError)) throw e;
    return e.message;
  }
  return 'accepted';
}

describe('options', () => {
  test('--name value and --name=value are the same', () => {
    expect(parsed('--file', 'a').one('file')).toBe('a');
    expect(parsed('--file=a').one('file')).toBe('a');
    expect(parsed('--file=a=b').one('file')).toBe('a=b');
    expect(parsed('--file', '-').one('file')).toBe('-');
  });

  test('one that may be repeated keeps its order', () => {
    expect(parsed('--link', 'a', '--link=b', '--link', 'c').all('link')).toEqual(['a', 'b', 'c']);
  });

  test('what was not said is not there', () => {
    const args = parsed('--quiet');
    expect([args.has('quiet'), args.has('file'), args.one('file'), args.all('link')]).toEqual([
      true,
      false,
      null,
      [],
    ]);
  });
});

describe('refused in one line that names the option', () => {
  test.each([
    [['--lnk', 'a'], '--lnk: no such option; see usernet serve --help'],
    [['--lnk=a'], '--lnk: no such option; see usernet serve --help'],
    [['-x'], '-x: no such option; see usernet serve --help'],
    [['-file', 'a'], '-file: no such option; see usernet serve --help'],
    [['--file'], '--file: needs a value, FILE'],
    [['--file='], '--file: needs a value, FILE'],
    [['--file', '--quiet'], '--file: needs a value, FILE'],
    [['--file', 'a', '--file', 'b'], '--file: given twice'],
    [['--quiet=yes'], '--quiet: takes no value'],
    [['--quiet', '--quiet'], '--quiet: given twice'],
    [['--format', 'xml'], '--format: "xml" is not text or json'],
    [['disk.img'], 'disk.img: serve takes no such argument; see usernet serve --help'],
    [['--', 'x'], 'x: serve takes no such argument; see usernet serve --help'],
  ])('%j', (words, message) => {
    expect(wrong(...words)).toBe(message);
  });
});

test('a command may take a command, with or without --', () => {
  const wrapper: Command = { ...command, rest: 'COMMAND' };
  expect(parseArgs(wrapper, ['--quiet', '--', 'qemu', '--file', 'x']).rest).toEqual(['qemu', '--file', 'x']);
  expect(parseArgs(wrapper, ['--quiet', 'qemu', '-m', '1']).rest).toEqual(['qemu', '-m', '1']);
  expect(parseArgs(wrapper, []).rest).toEqual([]);
});
