// What a relay's client has under way: one stream of wisp each.

import type { HostError } from '../host/host-network.ts';
import type { RelayLink } from './relay-link.ts';

export interface Conversation {
  /** Streams can begin: it sends its CONNECT. */
  connect(): void;
  /** DATA; `payload` is given. */
  onData(payload: Uint8Array): void;
  onContinue(packets: number): void;
  /** CLOSE, for one of the reasons of wisp; its id is free. */
  onClosed(reason: number): void;
  /** There is no relay, or none any more; its id is free. */
  onLost(error: HostError): void;
  /** The link takes data again. */
  onDrain(): void;
}

/** What a conversation needs of its host. */
export interface ConversationOwner {
  readonly link: RelayLink;
  /** What is received and nobody has read, of all of them; `bytes` is negative when it is read. */
  addArrived(bytes: number): void;
  /** An id that no other has. */
  newId(who: Conversation): number;
  /** Has it connect() now or when streams can begin; where that cannot be awaited, onLost() follows. */
  launch(id: number): void;
  /** Its id is free; no more calls. */
  forget(id: number): void;
}
