// A capture from a file or from standard input, through the reader in large pieces: of a file of any size a mebibyte is
// in memory.

import { type FileHandle, open } from 'node:fs/promises';
import { getSystemErrorMap } from 'node:util';
import { ConfigError } from '../network/config.ts';
import type { CaptureDamage, CaptureFrame, CaptureSource } from '../pcap/frames.ts';
import { CaptureReader } from '../pcap/reader.ts';

const PIECE_LEN = 1 << 20;

export interface CaptureInputOptions {
  /** Called for every interface, before its first frame. */
  readonly onSource?: (source: CaptureSource) => void;
  /**
   * Awaited after each piece, a mebibyte at most: false ends the reading there. For whoever writes what is read somewhere
   * and has to wait for that.
   */
  readonly goOn?: () => boolean | Promise<boolean>;
}

/** What `-` is called in messages. */
export function captureName(path: string): string {
  return path === '-' ? 'standard input' : path;
}

/**
 * Reads the capture at `path`, `-` for standard input, and calls `onFrame` for each of its frames, which are lent. Resolves
 * to null when it was read to its end, or when `goOn` has ended it, else to where and why it could not be read further;
 * what is no capture at all is damage at its first byte. Rejects with a ConfigError that names the file when there is none
 * to read: not there, not ours to read, a directory, a terminal.
 */
export async function readCaptureFile(
  path: string,
  onFrame: (frame: CaptureFrame) => void,
  options: CaptureInputOptions = {},
): Promise<CaptureDamage | null> {
  const reader = new CaptureReader(onFrame, options.onSource);
  const goOn = async (piece: Uint8Array): Promise<boolean> => {
    reader.push(piece);
    return !reader.isDamaged && (await (options.goOn?.() ?? true));
  };
  const isWhole = path === '-' ? await readStandardInput(goOn) : await readFile(path, goOn);
  return isWhole || reader.isDamaged ? reader.end() : null;
}

/** Resolves to whether the end was reached. A piece is lent until `goOn` resolves; false from it ends the reading. */
async function readFile(path: string, goOn: (piece: Uint8Array) => Promise<boolean>): Promise<boolean> {
  const file = await open(path, 'r').catch((error: unknown) => refuse(path, error));
  try {
    const buffer = Buffer.allocUnsafeSlow(PIECE_LEN);
    for (;;) {
      const bytesRead = await readPiece(path, file, buffer);
      if (bytesRead === 0) return true;
      if (!(await goOn(buffer.subarray(0, bytesRead)))) return false;
    }
  } finally {
    await file.close();
  }
}

async function readPiece(path: string, file: FileHandle, buffer: Buffer): Promise<number> {
  const { bytesRead } = await file
    .read(buffer, 0, buffer.length)
    .catch((error: unknown) => refuse(path, error));
  return bytesRead;
}

/** A stream, because a pipe may be one that does not wait. */
async function readStandardInput(goOn: (piece: Uint8Array) => Promise<boolean>): Promise<boolean> {
  const { stdin } = process;
  if (stdin.isTTY) throw new ConfigError(captureName('-'), 'is a terminal, not a capture');
  const pieces = stdin[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  for (;;) {
    const next = await pieces.next().catch((error: unknown) => refuse('-', error));
    if (next.done === true) return true;
    if (await goOn(next.value)) continue;
    await pieces.return?.();
    return false;
  }
}

/** The system's own words, without the name of the call. */
function refuse(path: string, error: unknown): never {
  const { errno, code, message } = error as NodeJS.ErrnoException;
  const reason = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  const text = code === 'EISDIR' ? 'is a directory, not a capture' : (reason ?? message);
  throw new ConfigError(captureName(path), text);
}
