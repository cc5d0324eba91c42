/// <reference lib="esnext.disposable" preserve="true" />
// The WebSocket link: emulators in pages as guests.

export { dialWs } from './node/relay-dial.ts';
export {
  openRelay,
  type Relay,
  type RelayOptions,
  type RelayStats,
} from './node/relay-server.ts';
export {
  type OnWebSocketLink,
  openWebSocketPort,
  type WebSocketClient,
  type WebSocketPort,
  type WebSocketPortOptions,
} from './node/websocket-port.ts';
export { type ServeWebSocketOptions, serveWebSocket, type WebSocketServing } from './node/websocket-serve.ts';
export {
  DENIED_TO_PAGES,
  pageGuestConfig,
  type WebSocketFormat,
  type WebSocketLinkSpec,
  webSocketUrl,
} from './node/websocket-spec.ts';
export type { OutsideDatagrams, OutsideEvents, OutsideStream, RelayOutside } from './relay/relay-outside.ts';
export type { Judge, RelayLimits } from './relay/relay-rules.ts';
