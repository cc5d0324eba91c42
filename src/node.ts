// usernet on Node: everything of index.ts, and what needs sockets and files.

export * from './index.ts';
export { type CaptureInputOptions, readCaptureFile } from './node/capture-input.ts';
export { NodeClock } from './node/clock.ts';
export { NodeHost } from './node/host-sockets.ts';
export { type LinkPort, type LinkPortOptions, openLinkPort } from './node/link-port.ts';
export {
  type LinkSpec,
  parseLinkSpec,
  type StreamLinkSpec,
  type TapLinkSpec,
  type TcpLinkSpec,
  type UnixLinkSpec,
} from './node/link-spec.ts';
export { createNodeNetwork } from './node/node-network.ts';
export { type CaptureFormat, PcapFile, type PcapFileOptions, PcapLink } from './node/pcap-file.ts';
export { type PcapSpec, parsePcapSpec } from './node/pcap-spec.ts';
export {
  LinkNames,
  type OnLink,
  openQemuPort,
  type QemuPort,
  type QemuPortOptions,
} from './node/qemu-port.ts';
export { NodeRandom } from './node/random.ts';
export { openTap, type TapCounters, type TapLink } from './node/tap.ts';
export type { TapOptions } from './node/tap-device.ts';
