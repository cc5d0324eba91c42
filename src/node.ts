/// <reference lib="esnext.disposable" preserve="true" />
// usernet on Node: everything of index.ts and pcap.ts, and what needs sockets and files.

export * from './index.ts';
export { type CaptureInputOptions, readCaptureFile } from './node/capture-input.ts';
export { NodeClock } from './node/clock.ts';
export { DescriptorBudget } from './node/descriptors.ts';
export { duplexOf } from './node/duplex.ts';
export { NodeHost, type NodeHostOptions } from './node/host-sockets.ts';
export { createNodeNetwork as createNetwork } from './node/node-network.ts';
export { type CaptureFormat, PcapFile, type PcapFileOptions, PcapLink } from './node/pcap-file.ts';
export { type PcapSpec, parsePcapSpec } from './node/pcap-spec.ts';
export { NodeRandom } from './node/random.ts';
export { openTap, type TapCounters, type TapLink } from './node/tap.ts';
export type { TapOptions } from './node/tap-device.ts';
export type { WebSocketLinkSpec } from './node/websocket-spec.ts';
export * from './pcap.ts';
