// The capture that a replay makes, in memory.

import type { Clock } from '../base/clock.ts';
import { memoryOver } from '../base/memory.ts';
import { PcapWriter } from '../pcap/writer.ts';

/** The capture of a replay. */
export class Output {
  private readonly writer = new PcapWriter();
  private readonly clock: Clock;
  private buffer = new Uint8Array(65_536);
  private length = 0;
  frames = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    const header = this.writer.header();
    this.buffer.set(header);
    this.length = header.length;
  }

  add(frame: Uint8Array): void {
    const needed = this.length + this.writer.recordLen(frame.length);
    if (needed > this.buffer.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.buffer.length));
      larger.set(this.buffer.subarray(0, this.length));
      this.buffer = larger;
    }
    const into = memoryOver(this.buffer);
    this.length = this.writer.record(
      into,
      this.length,
      memoryOver(frame),
      0,
      frame.length,
      this.clock.wallNow(),
    );
    this.frames++;
  }

  get bytes(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }
}
