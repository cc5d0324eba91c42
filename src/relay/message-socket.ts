// A WebSocket, as far as a relay needs one: whole binary messages both ways. web/websocket-transport.ts makes one of a
// browser's, node/relay-socket.ts of `ws`, a test of nothing but memory.

/** Bytes that wait to be sent above which a relay sends no more data, until onDrain(). */
export const SEND_HIGH = 1 << 20;
/** onDrain() comes when no more than these wait. */
export const SEND_LOW = 256 << 10;

/** A WebSocket, as a relay and its clients need it. */
export interface MessageSocket {
  /** Who hears of it from now on. Called before anything else; no event comes earlier, or from inside a call. */
  listen(events: MessageEvents): void;
  /** The subprotocol that the server has chosen, empty for none. Known once it is open. */
  readonly protocol: string;
  /** Bytes that send() has taken and the network has not. */
  readonly bufferedAmount: number;
  /** How many messages these are, as far as that is known. */
  readonly waiting: number;
  /** `bytes` are given: nobody changes them any more. What is sent before onOpen or after close() is lost. */
  send(bytes: Uint8Array): void;
  /** Closes it, with a status of RFC 6455 7.4: 1000 or 3000..4999 in a browser. onClose follows. Idempotent. */
  close(code: number, reason: string): void;
}

/** What a message socket tells its user. None of it comes before the call that made it has returned. */
export interface MessageEvents {
  /** Not for sockets that a server has accepted: they are open. */
  onOpen(): void;
  /** A binary message; `bytes` are given. */
  onMessage(bytes: Uint8Array): void;
  /** A message of text, which no relay sends. */
  onText(): void;
  /** After a send() that left more than SEND_LOW waiting: no more than that wait now. */
  onDrain(): void;
  /** The last call, once, also where it never opened. */
  onClose(code: number, reason: string): void;
}

/** Begins to open a socket that offers `protocols`. Throws nothing: what fails is told by onClose. */
export type Dial = (protocols: readonly string[]) => MessageSocket;
