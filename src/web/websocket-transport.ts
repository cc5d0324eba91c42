// The WebSocket that a browser and Node have both, as a relay needs it.

import { type Dial, type MessageEvents, type MessageSocket, SEND_LOW } from '../relay/message-socket.ts';

/** A browser does not say when what was sent is gone. */
const POLL_MS = 4;

/** Opens WebSockets to `url`, `ws:` or `wss:`. Throws a SyntaxError where it is no such URL. */
export function dialWebSocket(url: string): Dial {
  const { href } = relayUrl(url);
  return (protocols) => new WebMessageSocket(href, protocols);
}

/** Throws a SyntaxError where `url` is no URL of a WebSocket. */
export function relayUrl(url: string): URL {
  const checked = new URL(url);
  if ((checked.protocol === 'ws:' || checked.protocol === 'wss:') && checked.hash === '') return checked;
  throw new SyntaxError(`relay: ${url} is no URL of a WebSocket`);
}

class WebMessageSocket implements MessageSocket {
  private readonly ws: WebSocket;
  private events: MessageEvents | null = null;
  private isLoud = false;
  /** A browser does not say. */
  readonly waiting = 0;

  constructor(url: string, protocols: readonly string[]) {
    this.ws = new WebSocket(url, [...protocols]);
    this.ws.binaryType = 'arraybuffer';
    this.ws.onopen = () => this.events?.onOpen();
    this.ws.onmessage = (event) => {
      const { data } = event as { readonly data: unknown };
      if (data instanceof ArrayBuffer) this.events?.onMessage(new Uint8Array(data));
      else this.events?.onText();
    };
    this.ws.onclose = ({ code, reason }) => this.events?.onClose(code, reason);
  }

  get protocol(): string {
    return this.ws.protocol;
  }

  get bufferedAmount(): number {
    return this.ws.bufferedAmount;
  }

  listen(events: MessageEvents): void {
    this.events = events;
  }

  send(bytes: Uint8Array): void {
    if (this.ws.readyState !== WebSocket.OPEN) return;
    this.ws.send(bytes as Uint8Array<ArrayBuffer>);
    if (this.isLoud || this.ws.bufferedAmount <= SEND_LOW) return;
    this.isLoud = true;
    setTimeout(this.poll, POLL_MS);
  }

  close(code: number, reason: string): void {
    this.ws.close(code, reason);
  }

  private readonly poll = (): void => {
    if (this.ws.readyState === WebSocket.OPEN && this.ws.bufferedAmount > SEND_LOW) {
      setTimeout(this.poll, POLL_MS);
      return;
    }
    this.isLoud = false;
    this.events?.onDrain();
  };
}
