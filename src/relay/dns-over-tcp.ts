// One query to a name server over a stream, RFC 7766: for relays that do no UDP. The query goes out with its length in front
// as soon as the stream is asked for, which wisp allows, and what comes back ends it.

import { type Endpoint, formatIp } from '../base/addr.ts';
import { framed, PREFIX_LEN } from '../wire/dns-framing.ts';
import type { Conversation, ConversationOwner } from './conversation.ts';
import * as wisp from './wisp.ts';
import { CloseReason } from './wisp.ts';

export class DnsOverTcp implements Conversation {
  readonly id: number;
  private readonly owner: ConversationOwner;
  private readonly to: Endpoint;
  private readonly framed: Uint8Array;
  private answered: ((answer: Uint8Array | null) => void) | null;
  private readonly length = new Uint8Array(PREFIX_LEN);
  private lengthRead = 0;
  private answer: Uint8Array | null = null;
  private read = 0;

  /** `message` is lent. `answered` is called once, unless it is cancelled: null, where nobody answers. */
  constructor(
    owner: ConversationOwner,
    to: Endpoint,
    message: Uint8Array,
    answered: (answer: Uint8Array | null) => void,
  ) {
    this.owner = owner;
    this.to = to;
    this.answered = answered;
    this.framed = framed(message);
    this.id = owner.newId(this);
  }

  cancel(): void {
    this.answered = null;
    this.close();
  }

  connect(): void {
    const { link } = this.owner;
    const { addr, port } = this.to;
    link.say(wisp.connect(this.id, { kind: 'tcp', port, hostname: formatIp(addr) }));
    link.say(wisp.data(this.id, this.framed));
  }

  onData(payload: Uint8Array): void {
    if (payload.length === 0 && this.owner.link.isDuplex) {
      // It has nothing more to say.
      this.close();
      this.finish(null);
      return;
    }
    let at = 0;
    while (this.lengthRead < PREFIX_LEN && at < payload.length)
      this.length[this.lengthRead++] = payload[at++]!;
    if (this.lengthRead < PREFIX_LEN) return;
    this.answer ??= new Uint8Array((this.length[0]! << 8) | this.length[1]!);
    const part = payload.subarray(at, at + this.answer.length - this.read);
    this.answer.set(part, this.read);
    this.read += part.length;
    if (this.read < this.answer.length) return;
    this.close();
    this.finish(this.answer);
  }

  onContinue(): void {}

  onClosed(): void {
    this.finish(null);
  }

  onLost(): void {
    this.finish(null);
  }

  onDrain(): void {}

  private close(): void {
    this.owner.link.say(wisp.close(this.id, CloseReason.Voluntary));
    this.owner.forget(this.id);
  }

  private finish(answer: Uint8Array | null): void {
    const { answered } = this;
    this.answered = null;
    answered?.(answer);
  }
}
