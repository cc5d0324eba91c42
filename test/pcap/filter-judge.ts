// tcpdump as the judge of filters: all frames in one capture, each known again by its time, and one run of tcpdump for
// an expression.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Memory, memoryOver } from '../../src/base/memory.ts';
import type { FrameFilter } from '../../src/pcap/filter.ts';
import { FILE_HEADER_LEN, LINK_TYPE_ETHERNET, RECORD_HEADER_LEN } from '../../src/pcap/format.ts';
import { PcapWriter } from '../../src/pcap/writer.ts';
import { capturesUnder, framesOf } from '../support/captures.ts';

/** What a capture knows of a frame. */
export interface Sample {
  readonly bytes: Uint8Array;
  readonly wireLen: number;
}

const MICROS = 1_000_000;

/** Frames that tcpdump judges, and a file with them until dispose(). */
export class Judge {
  readonly samples: readonly Sample[];
  private readonly memories: readonly Memory[];
  private readonly folder = mkdtempSync(join(tmpdir(), 'usernet-filter-'));
  private readonly path = join(this.folder, 'frames.pcap');

  constructor(samples: readonly Sample[]) {
    this.samples = samples;
    this.memories = samples.map(({ bytes }) => memoryOver(bytes));
    writeFileSync(this.path, Buffer.concat([new PcapWriter().header(), ...samples.flatMap(record)]));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** For each frame whether `tcpdump -r FILE EXPRESSION` lets it pass, or what tcpdump says of the expression. */
  verdicts(expression: string, ...options: string[]): boolean[] | string {
    const args = ['-r', this.path, '-w', '-', ...options, '--', expression];
    const run = spawnSync('tcpdump', args, { maxBuffer: 1 << 28 });
    if (run.error !== undefined) throw run.error;
    const said = run.stderr.toString().trim().split('\n').at(-1)!;
    const verdicts = new Array<boolean>(this.samples.length).fill(false);
    // What the optimizer says of `ip and arp`.
    if (said.endsWith('expression rejects all packets')) return verdicts;
    if (run.status !== 0) return said;
    for (const index of indices(run.stdout)) verdicts[index] = true;
    return verdicts;
  }

  /** For each frame what our filter says of it. */
  ours(filter: FrameFilter): boolean[] {
    return this.samples.map(({ bytes, wireLen }, i) =>
      filter.matches(this.memories[i]!, 0, bytes.length, wireLen),
    );
  }
}

function record({ bytes, wireLen }: Sample, index: number): Uint8Array[] {
  const header = Buffer.alloc(RECORD_HEADER_LEN);
  header.writeUInt32LE(Math.floor(index / MICROS), 0);
  header.writeUInt32LE(index % MICROS, 4);
  header.writeUInt32LE(bytes.length, 8);
  header.writeUInt32LE(wireLen, 12);
  return [header, bytes];
}

/** By their times, which of the frames are in a capture that tcpdump wrote. */
function indices(capture: Buffer): number[] {
  const found: number[] = [];
  for (let at = FILE_HEADER_LEN; at < capture.length; ) {
    found.push(capture.readUInt32LE(at) * MICROS + capture.readUInt32LE(at + 4));
    at += RECORD_HEADER_LEN + capture.readUInt32LE(at + 8);
  }
  return found;
}

/** Every Ethernet frame of the captures under `folder`, as far as they can be read. */
export function framesUnder(folder: string): Sample[] {
  const frames = capturesUnder(folder).flatMap(framesOf);
  return frames.filter(({ source }) => source.linkType === LINK_TYPE_ETHERNET);
}
