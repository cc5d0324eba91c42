// A capture from a file or from standard input, through the reader in large pieces: of a file of any size one piece is in
// memory, and what CaptureReader keeps.

import { type FileHandle, open } from 'node:fs/promises';
import { ConfigError } from '../network/config.ts';
import type { CaptureDamage, CaptureFrame, CaptureSource } from '../pcap/frames.ts';
import { CaptureReader } from '../pcap/reader.ts';
import { reasonOf } from './capture-place.ts';

const MAX_PIECE_LEN = 1 << 20;

/** How a capture file is read. */
export interface CaptureInputOptions {
  /** Called for every interface, before its first frame. */
  readonly onSource?: (source: CaptureSource) => void;
  /** The most bytes that are read at a time, 1..1048576. Default 1048576. */
  readonly pieceLen?: number;
  /**
   * Awaited after each piece: false ends the reading there. For whoever writes what is read somewhere and has to wait
   * for that.
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
  const pieceLen = Math.min(Math.max(options.pieceLen ?? MAX_PIECE_LEN, 1), MAX_PIECE_LEN);
  const goOn = async (piece: Uint8Array): Promise<boolean> => {
    reader.push(piece);
    return !reader.isDamaged && (await (options.goOn?.() ?? true));
  };
  const isWhole = path === '-' ? await readStandardInput(goOn) : await readFile(path, pieceLen, goOn);
  return isWhole || reader.isDamaged ? reader.end() : null;
}

/** Resolves to whether the end was reached. A piece is lent until `goOn` resolves; false from it ends the reading. */
async function readFile(
  path: string,
  pieceLen: number,
  goOn: (piece: Uint8Array) => Promise<boolean>,
): Promise<boolean> {
  const file = await open(path, 'r').catch((error: unknown) => refuse(path, error));
  try {
    const buffer = Buffer.allocUnsafeSlow(pieceLen);
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

function refuse(path: string, error: unknown): never {
  const isDirectory = (error as NodeJS.ErrnoException).code === 'EISDIR';
  throw new ConfigError(captureName(path), isDirectory ? 'is a directory, not a capture' : reasonOf(error));
}
