// A TCP segment as text, for describe.ts. Sequence numbers are the ones on the wire.

import type { Memory } from '../base/memory.ts';
import { isValid } from './checksum.ts';
import * as tcp from './tcp.ts';

const { Flag } = tcp;

/** In tcpdump's order: a dot is ACK. */
const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [Flag.Fin, 'F'],
  [Flag.Syn, 'S'],
  [Flag.Rst, 'R'],
  [Flag.Psh, 'P'],
  [Flag.Ack, '.'],
  [Flag.Urg, 'U'],
  [Flag.Ece, 'E'],
  [Flag.Cwr, 'W'],
];

/**
 * The segment at [at, end), which is `length` bytes long when nothing is cut off. `pseudo` is the pseudo-header's sum,
 * or -1 when the checksum cannot be told.
 */
export function describeTcp(
  m: Memory,
  at: number,
  end: number,
  length: number,
  src: string,
  dst: string,
  pseudo: number,
): string {
  const v = m.view;
  if (end - at < 4) return `${src} > ${dst}: TCP, [|tcp]`;
  const between = `${src}.${tcp.srcPort(v, at)} > ${dst}.${tcp.dstPort(v, at)}`;
  if (end - at < tcp.MIN_HEADER_LEN) return `${between}: TCP, [|tcp]`;
  const header = tcp.headerLen(v, at);
  if (header < tcp.MIN_HEADER_LEN || header > length) return `${between}: TCP, bad header length ${header}`;
  const bits = tcp.flags(v, at);
  const parts = [`Flags [${flagText(bits)}]`, seqText(tcp.seq(v, at), length - header)];
  if ((bits & Flag.Ack) !== 0) parts.push(`ack ${tcp.ack(v, at) >>> 0}`);
  parts.push(`win ${tcp.window(v, at)}`);
  if ((bits & Flag.Urg) !== 0) parts.push(`urg ${tcp.urgent(v, at)}`);
  const options = optionTexts(v, at + tcp.MIN_HEADER_LEN, at + header, end);
  if (options.length > 0) parts.push(`options [${options.join(',')}]`);
  const bad = pseudo < 0 || isValid(pseudo + length + m.sum(at, length)) ? '' : ' [bad tcp checksum]';
  return `${between}: ${parts.join(', ')}, length ${length - header}${bad}`;
}

function flagText(bits: number): string {
  const letters = FLAG_LETTERS.filter(([bit]) => (bits & bit) !== 0).map(([, letter]) => letter);
  return letters.length === 0 ? 'none' : letters.join('');
}

/** `seq 1000`, or with data `seq 1000:1010`, the second number the first one behind it. */
function seqText(seq: number, dataLen: number): string {
  return dataLen === 0 ? `seq ${seq >>> 0}` : `seq ${seq >>> 0}:${(seq + dataLen) >>> 0}`;
}

/** One text for each option in [at, headerEnd), of which the bytes before `end` are captured. */
function optionTexts(v: DataView, at: number, headerEnd: number, end: number): string[] {
  const texts: string[] = [];
  for (let i = at; i < headerEnd; ) {
    if (i >= end) return [...texts, '|tcp'];
    const kind = v.getUint8(i);
    if (kind === 0) return [...texts, 'eol'];
    if (kind === 1) {
      texts.push('nop');
      i++;
      continue;
    }
    if (i + 1 >= headerEnd) return [...texts, 'bad option'];
    if (i + 1 >= end) return [...texts, '|tcp'];
    const len = v.getUint8(i + 1);
    if (len < 2 || i + len > headerEnd) return [...texts, 'bad option'];
    if (i + len > end) return [...texts, '|tcp'];
    texts.push(optionText(v, kind, i + 2, len - 2));
    i += len;
  }
  return texts;
}

/** One option: its value is the `len` bytes at `at`. */
function optionText(v: DataView, kind: number, at: number, len: number): string {
  if (kind === 2 && len === 2) return `mss ${v.getUint16(at)}`;
  if (kind === 3 && len === 1) return `wscale ${v.getUint8(at)}`;
  if (kind === 4 && len === 0) return 'sackOK';
  if (kind === 8 && len === 8) return `TS val ${v.getUint32(at)} ecr ${v.getUint32(at + 4)}`;
  if (kind === 5 && len > 0 && len % 8 === 0) {
    const blocks: string[] = [];
    for (let i = at; i < at + len; i += 8) blocks.push(`{${v.getUint32(i)}:${v.getUint32(i + 4)}}`);
    return `sack ${blocks.length} ${blocks.join('')}`;
  }
  return `unknown-${kind} (${len} bytes)`;
}
