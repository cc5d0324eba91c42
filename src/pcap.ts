// Captures: reading, writing, filtering and replaying them, in Node and in a browser. Files are in node.ts.

export { utf8Bytes } from './base/utf8.ts';
export { FilterError, type FrameFilter, parseFilter } from './pcap/filter.ts';
export type { Precision } from './pcap/format.ts';
export type { CaptureDamage, CaptureFrame, CaptureSource, KeptFrame } from './pcap/frames.ts';
export { CaptureReader, keepFrame, readCapture } from './pcap/reader.ts';
export type { CaptureWriter, FrameOrigin, LinkCounts, PcapOptions } from './pcap/writer.ts';
export { PcapWriter } from './pcap/writer.ts';
export { type PcapNgOptions, PcapNgWriter } from './pcap/writer-ng.ts';
export { type Difference, type ReplayOptions, type ReplayResult, replay } from './replay/replay.ts';
