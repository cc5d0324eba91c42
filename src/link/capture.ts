// A link around a link that shows every frame to a recorder: frames from the guest before the network sees them, frames
// for the guest when the link has taken them, so that a capture has a question before its answer. What the network makes
// of a frame from the guest is known only when it has answered, so the recorder hears of it later. The link writes to
// where it always does, no byte is moved for being watched.

import { Drop } from '../base/drop.ts';
import type { Memory } from '../base/memory.ts';
import type { FaultStats } from './fault-stats.ts';
import type { Direction, Link, LinkHost, LinkLosses, LinkSink, ShowFrame } from './link.ts';

/** Keeps frames of one link, or of several that it does not tell apart. */
export interface FrameRecorder {
  /**
   * The frame at [off, off+len) of `memory`, lent for the call, at `wallMs` milliseconds since 1970. Called inside a
   * turn: must not call back into the link, and must not throw.
   */
  record(direction: Direction, memory: Memory, off: number, len: number, wallMs: number): void;

  /**
   * What became of the frame from the guest that was recorded last, see LinkSink.onFrame. Frames for guests, its answers
   * among them, may have been recorded since. Does not come for a frame over which the network threw. As for record():
   * must not call back into the link, and must not throw.
   */
  verdict?(drop: Drop): void;
}

/** Keeps frames and tells links apart, of one network or several: node/pcap-file.ts. */
export interface LinkRecorder {
  /** What keeps the frames of `link`, or null where none of them is wanted. */
  recorderOf(link: Link): FrameRecorder | null;
}

/**
 * `link`, with `recorder` told of its frames. Attach the result instead of `link`. It is `link` itself where none of its
 * frames is wanted.
 */
export function captureLink(link: Link, recorder: FrameRecorder | LinkRecorder): Link {
  const own = 'recorderOf' in recorder ? recorder.recorderOf(link) : recorder;
  return own === null ? link : new Capture(link, own);
}

class Capture implements Link, LinkSink {
  private readonly inner: Link;
  private readonly recorder: FrameRecorder;
  private sink: LinkSink | null = null;
  private host: LinkHost | null = null;
  private reservedAt = -1;

  constructor(inner: Link, recorder: FrameRecorder) {
    this.inner = inner;
    this.recorder = recorder;
  }

  get name(): string {
    return this.inner.name;
  }

  get maxFrame(): number {
    return this.inner.maxFrame;
  }

  get faults(): FaultStats | undefined {
    return this.inner.faults;
  }

  get losses(): LinkLosses | undefined {
    return this.inner.losses;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    this.sink = sink;
    this.host = host;
    this.inner.attach(this, host);
  }

  reserve(maxLen: number): number {
    this.reservedAt = this.inner.reserve(maxLen);
    return this.reservedAt;
  }

  commit(len: number): void {
    // Before the link has it: behind that the place may be somebody else's.
    this.record('to-guest', this.reservedAt, len);
    this.inner.commit(len);
  }

  send(off: number, len: number): boolean {
    const sent = this.inner.send(off, len);
    if (sent) this.record('to-guest', off, len);
    return sent;
  }

  flush(): void {
    this.inner.flush();
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  recall(show: ShowFrame): void {
    this.inner.recall?.(show);
  }

  onFrame(off: number, len: number): Drop {
    this.record('from-guest', off, len);
    const verdict = this.sink?.onFrame(off, len) ?? Drop.None;
    this.recorder.verdict?.(verdict);
    return verdict;
  }

  onLinkWritable(): void {
    this.sink?.onLinkWritable();
  }

  onLinkDown(reason: string): void {
    this.sink?.onLinkDown(reason);
  }

  private record(direction: Direction, off: number, len: number): void {
    const { host } = this;
    if (host !== null) this.recorder.record(direction, host.arena.memory, off, len, host.clock.wallNow());
  }
}
