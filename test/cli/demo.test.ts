import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Args, parseArgs, UsageError } from '../../src/cli/args.ts';
import { demo, runDemo } from '../../src/cli/demo.ts';
import { testWith } from '../support/tools.ts';

const args = (...words: string[]): Args => parseArgs(demo, words);

/** What the demo says, gathered. */
class Said {
  readonly isTTY: boolean;
  text = '';

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

describe('usernet demo', () => {
  let folder = '';

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'usernet-demo-'));
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test('every step holds, and nothing is left', async () => {
    const said = new Said(false);
    const status = await runDemo(args('--size', '8', '--pcap', join(folder, 'demo.pcap')), said);
    expect(status, said.text).toBe(0);
    expect(said.text).toMatch(
      /lease +10\.0\.2\.15\/24, gateway 10\.0\.2\.2, name service 10\.0\.2\.3, MTU 1500/,
    );
    expect(said.text).toMatch(/download +8 MiB .* equal/);
    expect(said.text).toMatch(/upload +8 MiB .* equal/);
    expect(said.text).toMatch(/datagrams +1, 512, 1472, 4000, 65507 bytes echoed/);
    expect(said.text).toMatch(/refused .* RST after/);
    expect(said.text).toMatch(/pings +6 .* in vain/);
    expect(said.text).toMatch(/dropped .*IcmpByDesign 6/);
    expect(said.text).toContain('0 flows, 0 timers, 0 bytes of buffers left');
    expect(said.text).not.toContain('\r');
  });

  testWith('tcpdump', 'its capture is one that tcpdump reads without a complaint', () => {
    const path = join(folder, 'demo.pcap');
    const lines = execFileSync('tcpdump', ['-nvvr', path], { stdio: 'pipe', maxBuffer: 1 << 26 })
      .toString()
      .split('\n');
    expect(lines.length).toBeGreaterThan(5000);
    // A word, not two or three digits: 0xbad9 is as good a checksum as any.
    expect(lines.filter((line) => /\bbad\b|incorrect|malformed/i.test(line))).toEqual([]);
  });

  testWith('tshark', 'its capture is one that tshark reads without a complaint', () => {
    const path = join(folder, 'demo.pcap');
    const filter = '_ws.malformed || ip.checksum.status == "Bad" || _ws.expert.severity == "Error"';
    // Ports and bytes are random, and tshark would take some for a protocol that they are not.
    const plain = ['-d', 'tcp.port==1-65535,data', '-d', 'udp.port==1024-65535,data'];
    const options = [...plain, '-o', 'ip.check_checksum:TRUE'];
    const found = execFileSync('tshark', ['-nr', path, ...options, '-Y', filter], { stdio: 'pipe' });
    expect(found.toString()).toBe('');
  });

  test('on a terminal a transfer has a bar, and no line is left of it', async () => {
    const said = new Said(true);
    expect(await runDemo(args('--size', '32', '--no-pcap'), said), said.text).toBe(0);
    expect(said.text).toMatch(/\r +(down|up)load +\[#*\.*\]/);
    expect(said.text).not.toContain('capture');
  });

  test('--size and --no-pcap are checked', async () => {
    await expect(runDemo(args('--size', 'x'))).rejects.toThrow(UsageError);
    await expect(runDemo(args('--size', '0'))).rejects.toThrow('--size: "0" is not a number from 1 to 4096');
    await expect(runDemo(args('--no-pcap', '--pcap', 'x'))).rejects.toThrow(UsageError);
  });
});
