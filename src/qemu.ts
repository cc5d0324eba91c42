// QEMU's links: its stream sockets, and what its -netdev user options say.

export { parseUserNet, type UserNet, userNetOptions } from './network/qemu-options.ts';
export { type LinkPort, type LinkPortOptions, openLinkPort } from './node/link-port.ts';
export {
  type LinkSpec,
  parseLinkSpec,
  type StreamLinkSpec,
  type TapLinkSpec,
  type TcpLinkSpec,
  type UnixLinkSpec,
} from './node/link-spec.ts';
export {
  LinkNames,
  type OnLink,
  openQemuPort,
  type QemuPort,
  type QemuPortOptions,
} from './node/qemu-port.ts';
