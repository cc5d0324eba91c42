// The part of usernet that runs anywhere: in Node, in a browser, in a worker. What needs Node is in node.ts.

export type { Endpoint, IpAddr, Mac } from './base/addr.ts';
export type { Clock, Micros, Ms } from './base/clock.ts';
export { Drop, type DropName, dropNames, Loss, type LossName, lossNames } from './base/drop.ts';
export type { Memory } from './base/memory.ts';
export type { Random } from './base/random.ts';
export type { Settings } from './base/settings.ts';
export type * from './host/host-network.ts';
export { HostBindError } from './host/host-network.ts';
export { captureLink, type FrameRecorder, type LinkRecorder } from './link/capture.ts';
export type { FaultFigures, FaultOptions } from './link/fault-options.ts';
export type { FaultCounts, FaultStats } from './link/fault-stats.ts';
export { faultyLink } from './link/faults.ts';
export type { Direction, Link, LinkHost, LinkLosses, LinkSink } from './link/link.ts';
export { createPair, type Pair } from './link/pair.ts';
export { ConfigError, type NetworkConfig } from './network/config.ts';
export type { FlowEnded, FlowOpened, NetworkEvents } from './network/events.ts';
export { createNetwork, Network, type NetworkParts } from './network/network.ts';
export type {
  FlowStats,
  LeaseStats,
  LinkStats,
  NetworkStats,
  TcpFlowStats,
  TcpStats,
  UdpFlowStats,
} from './network/stats.ts';
export { FilterError, type FrameFilter, parseFilter } from './pcap/filter.ts';
export type { CaptureDamage, CaptureFrame, CaptureSource, KeptFrame } from './pcap/frames.ts';
export { CaptureReader, keepFrame, readCapture } from './pcap/reader.ts';
export { utf8Bytes } from './pcap/utf8.ts';
export type { CaptureWriter, FrameOrigin, LinkCounts, PcapOptions } from './pcap/writer.ts';
export { PcapWriter } from './pcap/writer.ts';
export { type PcapNgOptions, PcapNgWriter } from './pcap/writer-ng.ts';
export { type Difference, type ReplayOptions, type ReplayResult, replay } from './replay/replay.ts';
