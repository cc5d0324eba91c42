// An engine in this process, for a guest that is nothing but frames: what it must offer to be measured.

/** Where frames for the guest go: [from, to) of `bytes`, each with QEMU's length before it. Lent for the call. */
export type ToGuest = (bytes: Uint8Array, from: number, to: number) => void;

export interface RawEngine {
  readonly name: string;
  /** Where the guest puts frames for take(), each with QEMU's length before it: what a read of a socket would fill. */
  readonly incoming: Uint8Array;
  /** Bytes that the host has received, ever. */
  hostReceived: number;
  /** Set by the guest. */
  toGuest: ToGuest;
  /** Takes `len` bytes of `incoming`. */
  take(len: number): void;
  /** Lets the host's end of the newest connection send a piece, unless the engine has told it to wait. */
  give(): void;
}

/** The host's end sends in such pieces: a read of a socket. */
export const PIECE = 65536;
