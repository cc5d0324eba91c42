// Captures into a folder of their own, each in files that replace each other: the disk does not fill up.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PcapFile, type PcapFileOptions } from '../src/node/pcap-file.ts';

const RING = { size: 32 << 20, files: 2 };

export class Recordings {
  private readonly dir = mkdtempSync(join(tmpdir(), 'usernet-bench-'));
  private readonly files: PcapFile[] = [];
  private failure: string | null = null;

  open(options: PcapFileOptions): PcapFile {
    const path = join(this.dir, `${this.files.length}.capture`);
    const onError = (message: string): void => {
      this.failure ??= message;
    };
    const file = new PcapFile(path, { ...options, ...RING, onError });
    this.files.push(file);
    return file;
  }

  /** Throws when something could not be written: then it was not measured either. */
  async close(): Promise<void> {
    for (const file of this.files) await file.close();
    rmSync(this.dir, { recursive: true });
    if (this.failure !== null) throw new Error(this.failure);
  }
}
