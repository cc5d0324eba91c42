import { describe, expect, test } from 'vitest';
import { parsePcapSpec, pcapOptionNames } from '../../src/node/pcap-spec.ts';

function said(text: string): object {
  const { path, options } = parsePcapSpec(text);
  const { option, ...rest } = options;
  expect(option).toBe('--pcap');
  return { path, ...rest };
}

function fault(text: string): string {
  try {
    parsePcapSpec(text);
  } catch (error) {
    return (error as Error).message;
  }
  return 'taken';
}

describe('FILE, then options', () => {
  test.each([
    ['a.pcap', { path: 'a.pcap' }],
    ['a=b.pcap', { path: 'a=b.pcap' }],
    ['a,,b.pcap', { path: 'a,b.pcap' }],
    ['a.pcap,format=pcapng', { path: 'a.pcap', format: 'pcapng' }],
    ['a.pcapng,format=pcap', { path: 'a.pcapng', format: 'pcap' }],
    ['a,snaplen=96', { path: 'a', snapLen: 96 }],
    ['a,size=4096', { path: 'a', size: 4096 }],
    ['a,size=10M,files=4', { path: 'a', size: 10 << 20, files: 4 }],
    ['a,size=100k', { path: 'a', size: 102_400 }],
    ['a,size=2G', { path: 'a', size: 2 ** 31 }],
    ['a,size=1024G', { path: 'a', size: 2 ** 40 }],
    ['a,link=qemu0', { path: 'a', links: ['qemu0'] }],
    ['a,link=qemu0,link=x,,y', { path: 'a', links: ['qemu0', 'x,y'] }],
    ['a,precision=nano', { path: 'a', precision: 'nano' }],
    ['a,filter=tcp port 80 and host 10.0.2.2', { path: 'a', filter: 'tcp port 80 and host 10.0.2.2' }],
    ['a,filter=less 100', { path: 'a', filter: 'less 100' }],
    ['a,filter=', { path: 'a', filter: '' }],
  ])('%s', (text, spec) => {
    expect(said(text)).toEqual(spec);
  });

  test('defaults hold for what is not said', () => {
    const { options } = parsePcapSpec('a,snaplen=96', '-w', { snapLen: 128, precision: 'nano' });
    expect(options).toEqual({ option: '-w', snapLen: 96, precision: 'nano' });
  });
});

describe('what makes no sense: one line that names the option and the setting', () => {
  test.each([
    ['', '--pcap: the path is missing'],
    [',format=pcap', '--pcap: the path is missing'],
    ['a\0b', '--pcap: the path has a NUL in it'],
    ['a,b.pcap', '--pcap: there is no option "b.pcap"; a comma in a path is doubled'],
    ['a,', '--pcap: there is no option ""'],
    ['a,ring=4', '--pcap: there is no option "ring"'],
    ['a,toString=4', '--pcap: there is no option "toString"'],
    ['a,format=ng', '--pcap: format: "ng" is not pcap or pcapng'],
    ['a,format', '--pcap: format: "" is not pcap or pcapng'],
    ['a,format=pcap,format=pcap', '--pcap: format: is said twice'],
    ['a,snaplen=0', '--pcap: snaplen: 0 is not a whole number from 1 to 262144'],
    ['a,snaplen=262145', '--pcap: snaplen: 262145 is not a whole number from 1 to 262144'],
    ['a,snaplen=1k', '--pcap: snaplen: "1k" is not a whole number'],
    ['a,size=1.5M', '--pcap: size: "1.5M" is no number of bytes, such as 10M'],
    ['a,size=-1', '--pcap: size: "-1" is no number of bytes, such as 10M'],
    ['a,size=1023', '--pcap: size: 1023 is not a whole number from 1024 to 1099511627776'],
    ['a,size=1025G', '--pcap: size: 1100585369600 is not a whole number from 1024 to 1099511627776'],
    ['a,size=1M,files=1', '--pcap: files: 1 is not a whole number from 2 to 1000'],
    ['a,size=1M,files=1001', '--pcap: files: 1001 is not a whole number from 2 to 1000'],
    ['a,files=3', '--pcap: files: needs size'],
    ['a,link=', '--pcap: link: the name is missing'],
    ['a,precision=pico', '--pcap: precision: "pico" is not micro or nano'],
  ])('%j', (text, line) => {
    expect(fault(text)).toBe(line);
  });

  test('a filter: with the word at fault', () => {
    expect(fault('a,filter=tcp prot 80')).toMatch(/^--pcap: filter: [^\n]*prot[^\n]*$/);
  });
});

test('every option is one that a help text can name', () => {
  expect(pcapOptionNames).toEqual(['format', 'snaplen', 'size', 'files', 'link', 'filter', 'precision']);
});
