import type { WebSocket } from 'ws';
import { type MessageEvents, type MessageSocket, SEND_LOW } from '../relay/message-socket.ts';

/** A WebSocket of `ws` as a relay needs it. */
export class WsMessageSocket implements MessageSocket {
  private readonly ws: WebSocket;
  private events: MessageEvents | null = null;
  private isLoud = false;
  waiting = 0;

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('open', () => this.events?.onOpen());
    ws.on('message', (data, isBinary) => {
      if (isBinary) this.events?.onMessage(data as Buffer);
      else this.events?.onText();
    });
    ws.on('close', (code, reason) => this.events?.onClose(code, reason.toString()));
    // 'close' follows, and has said all there is to say.
    ws.on('error', () => {});
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
    if (this.ws.readyState !== this.ws.OPEN) return;
    this.waiting++;
    this.ws.send(bytes, this.onSent);
    this.isLoud ||= this.ws.bufferedAmount > SEND_LOW;
  }

  close(code: number, reason: string): void {
    this.ws.close(code, reason);
  }

  private readonly onSent = (): void => {
    this.waiting--;
    if (!this.isLoud || this.ws.bufferedAmount > SEND_LOW) return;
    this.isLoud = false;
    this.events?.onDrain();
  };
}
