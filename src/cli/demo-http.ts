// The embedded guest's web client, as small as the demo needs it: one request, one answer with a Content-Length, then
// the connection ends. Payload is hashed and written where it lies in the arena.

import { createHash } from 'node:crypto';
import type { Endpoint } from '../base/addr.ts';
import type { Memory } from '../base/memory.ts';
import type { EmbeddedGuest } from '../guest/guest.ts';
import type { GuestSocket, GuestSocketEvents } from '../guest/tcp-socket.ts';
import type { Payload } from './demo-host.ts';

const MAX_HEAD = 8192;

/** What came of one request. */
export interface Answer {
  /** SHA-256 of the body, in hexadecimal. */
  readonly digest: string;
  readonly length: number;
  /** The first bytes of the body. */
  readonly text: string;
}

/** Told now and then how many bytes of payload have moved. */
export type Progress = (bytes: number) => void;

export function download(
  guest: EmbeddedGuest,
  memory: Memory,
  from: Endpoint,
  progress: Progress,
): Promise<Answer> {
  return request(guest, from, new Exchange(memory, 'GET / HTTP/1.1\r\nHost: demo\r\n\r\n', null, progress));
}

export function upload(
  guest: EmbeddedGuest,
  memory: Memory,
  to: Endpoint,
  payload: Payload,
  progress: Progress,
): Promise<Answer> {
  const head = `POST / HTTP/1.1\r\nHost: demo\r\nContent-Length: ${payload.length}\r\n\r\n`;
  return request(guest, to, new Exchange(memory, head, payload, progress));
}

function request(guest: EmbeddedGuest, peer: Endpoint, exchange: Exchange): Promise<Answer> {
  return new Promise((resolve, reject) => {
    exchange.settle = { resolve, reject };
    guest.connectTcp(peer, exchange);
  });
}

class Exchange implements GuestSocketEvents {
  settle: { resolve(answer: Answer): void; reject(error: Error): void } | null = null;
  private readonly memory: Memory;
  private readonly payload: Payload | null;
  private readonly progress: Progress;
  private readonly hash = createHash('sha256');
  private headToSend: Buffer;
  private sent = 0;
  private head = '';
  /** Bytes of body that are still to come; -1 while the head is read. */
  private left = -1;
  private length = 0;
  private text = '';

  constructor(memory: Memory, head: string, payload: Payload | null, progress: Progress) {
    this.memory = memory;
    this.headToSend = Buffer.from(head, 'latin1');
    this.payload = payload;
    this.progress = progress;
  }

  onOpen(socket: GuestSocket): void {
    this.onWritable(socket);
  }

  onWritable(socket: GuestSocket): void {
    this.headToSend = this.headToSend.subarray(socket.write(this.headToSend));
    const { payload } = this;
    if (payload === null || this.headToSend.length > 0) return;
    socket.fill(payload.length - this.sent, (off, len) => {
      // The block over and over: a region takes what is left of the block it is in.
      for (let done = 0; done < len; ) {
        const at = (this.sent + done) % payload.block.length;
        const part = Math.min(len - done, payload.block.length - at);
        this.memory.bytes.set(payload.block.subarray(at, at + part), off + done);
        done += part;
      }
      this.sent += len;
      return len;
    });
    this.progress(this.sent);
  }

  onReadable(socket: GuestSocket): void {
    socket.consume((off, len) => (this.left < 0 ? this.readHead(off, len) : this.readBody(off, len)));
    if (this.payload === null) this.progress(this.length);
    if (this.left === 0) this.finish(socket);
  }

  onClose(_socket: GuestSocket, reason: string): void {
    this.settle?.reject(new Error(`the connection ended: ${reason}`));
  }

  private readHead(off: number, len: number): number {
    const before = this.head.length;
    this.head += Buffer.from(this.memory.bytes.subarray(off, off + len)).toString('latin1');
    const end = this.head.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.head.length > MAX_HEAD) this.settle?.reject(new Error('an answer without an end of its head'));
      return len;
    }
    const length = /\r\ncontent-length: (\d+)/i.exec(this.head)?.[1];
    if (!this.head.startsWith('HTTP/1.1 200 ') || length === undefined) {
      this.settle?.reject(new Error(`the server says ${this.head.split('\r\n')[0]}`));
    }
    this.left = Number(length ?? 0);
    // Of this region the body gets what is behind the head.
    const ofHead = end + 4 - before;
    if (ofHead < len) this.readBody(off + ofHead, len - ofHead);
    return len;
  }

  private readBody(off: number, len: number): number {
    const bytes = this.memory.bytes.subarray(off, off + len);
    this.hash.update(bytes);
    if (this.text.length < 64) this.text += Buffer.from(bytes.subarray(0, 64)).toString('latin1');
    this.left -= len;
    this.length += len;
    return len;
  }

  private finish(socket: GuestSocket): void {
    socket.end();
    const { length, text } = this;
    this.settle?.resolve({ digest: this.hash.digest('hex'), length, text });
    this.settle = null;
    this.left = -1;
  }
}
