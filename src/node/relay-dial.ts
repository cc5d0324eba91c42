// Apart from the socket itself: who uses this entry of the package need not have the types of `ws`.

import { WebSocket } from 'ws';
import type { Dial } from '../relay/message-socket.ts';
import { relayUrl } from '../web/websocket-transport.ts';
import { WsMessageSocket } from './relay-socket.ts';
import { CLOSE_MS } from './websocket-http.ts';

/** Longer than what a relay sends at a time. */
const MAX_MESSAGE = 16 << 20;

/** Opens WebSockets to `url`, for an engine in Node that has a relay for its host. Throws a SyntaxError for a wrong URL. */
export function dialWs(url: string): Dial {
  const checked = relayUrl(url);
  const options = { perMessageDeflate: false, maxPayload: MAX_MESSAGE, closeTimeout: CLOSE_MS };
  return (protocols) => new WsMessageSocket(new WebSocket(checked, [...protocols], options));
}
