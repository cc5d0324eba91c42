/// <reference lib="esnext.disposable" preserve="true" />
// The part of usernet that runs anywhere: in Node, in a browser, in a worker. What needs Node is in node.ts; what reads
// and writes captures in pcap.ts.

export type { Abortable } from './base/abort.ts';
export type { Endpoint, IpAddr, Mac } from './base/addr.ts';
export type { Arena } from './base/arena.ts';
export type { Clock, Micros, Ms } from './base/clock.ts';
export { Drop, type DropName, dropNames, Loss, type LossName, lossNames } from './base/drop.ts';
export type { FrameRun } from './base/frame-run.ts';
export type { Memory, ViewMaker } from './base/memory.ts';
export type { Random } from './base/random.ts';
export type { AddrRange } from './base/ranges.ts';
export type {
  CongestionName,
  DhcpSettings,
  DnsSettings,
  ForwardSettings,
  LimitSettings,
  Settings,
  TimeoutSettings,
} from './base/settings.ts';
export type { Timer, Timers } from './base/timers.ts';
export type { Flushable, Turn } from './base/turn.ts';
export { ByteStream, type ByteStreamEvents } from './host/byte-stream.ts';
export type * from './host/host-network.ts';
export { HostBindError } from './host/host-network.ts';
export { captureLink, type FrameRecorder, type LinkRecorder } from './link/capture.ts';
export type { FaultFigures, FaultOptions } from './link/fault-options.ts';
export type { FaultCounts, FaultStats } from './link/fault-stats.ts';
export { faultyLink } from './link/faults.ts';
export { FramePort, type FramePortOptions } from './link/frame-port.ts';
export type { Direction, Link, LinkHost, LinkLosses, LinkSink, ShowFrame } from './link/link.ts';
export { createPair, type Pair } from './link/pair.ts';
export type { FlowEnd } from './nat/flow.ts';
export { ConnectError, type VirtualListener, type VirtualUdp, type Waiting } from './network/code-access.ts';
export {
  ConfigError,
  type DhcpConfig,
  type DnsConfig,
  type ForwardConfig,
  type LimitsConfig,
  type NetworkConfig,
  type TimeoutsConfig,
} from './network/config.ts';
export type {
  EventHandler,
  EventHandlers,
  EventName,
  FlowEnded,
  FlowOpened,
  ListenOptions,
  NetworkError,
  NetworkEvents,
} from './network/events.ts';
export type { Forward, ForwardList } from './network/forward-list.ts';
export { Network } from './network/network.ts';
export type { NetworkOptions, NetworkParts, PortOptions } from './network/parts.ts';
export type {
  FlowStats,
  LeaseStats,
  LinkStats,
  NetworkStats,
  TcpFlowStats,
  TcpStats,
  UdpFlowStats,
} from './network/stats.ts';
export type { Credentials } from './relay/credentials.ts';
export type { Dial, MessageEvents, MessageSocket } from './relay/message-socket.ts';
export { RelayHost, type RelayHostOptions, type RelayHostStats } from './relay/relay-host.ts';
export type { LinkState } from './relay/relay-link.ts';
export { WebClock } from './web/clock.ts';
export { WebRandom } from './web/random.ts';
export { type StreamPair, webStreams } from './web/streams.ts';
export { createNetwork } from './web/web-network.ts';
export { dialWebSocket } from './web/websocket-transport.ts';
