// Checksums of a mutated frame put right, so that what is behind them is looked at. Written for whatever the bytes are:
// where lengths make no sense the frame is left as it is.

/** IPv4, then what is in it. */
export function fixAll(frame: Buffer, len: number): void {
  fixIpv4(frame, len);
  fixTransport(frame, len);
}

export function fixIpv4(frame: Buffer, len: number): void {
  const header = headerLen(frame, len);
  if (header < 0) return;
  frame.writeUInt16BE(0, 24);
  frame.writeUInt16BE(~fold(sum(frame, 14, 14 + header)) & 0xffff, 24);
}

/** TCP, UDP or ICMP of a packet that is whole. */
export function fixTransport(frame: Buffer, len: number): void {
  const header = headerLen(frame, len);
  if (header < 0 || (frame.readUInt16BE(20) & 0x3fff) !== 0) return;
  const at = 14 + header;
  const end = 14 + frame.readUInt16BE(16);
  if (end > len || end < at) return;
  const proto = frame[23]!;
  const room = end - at;
  if (proto === 6 && room >= 20) fix(frame, at, end, at + 16, proto, room);
  else if (proto === 1 && room >= 8) fix(frame, at, end, at + 2, 0, 0);
  else if (proto === 17 && room >= 8) {
    const length = frame.readUInt16BE(at + 4);
    // Zero means that there is none: left alone.
    if (length >= 8 && length <= room && frame.readUInt16BE(at + 6) !== 0)
      fix(frame, at, at + length, at + 6, proto, length);
  }
}

function fix(frame: Buffer, at: number, end: number, field: number, proto: number, length: number): void {
  frame.writeUInt16BE(0, field);
  let total = sum(frame, at, end);
  if (proto !== 0) total += sum(frame, 26, 34) + proto + length;
  const checksum = ~fold(total) & 0xffff;
  frame.writeUInt16BE(checksum === 0 && proto === 17 ? 0xffff : checksum, field);
}

/** Bytes of the IPv4 header, -1 where there is none. */
function headerLen(frame: Buffer, len: number): number {
  if (len < 34 || frame.readUInt16BE(12) !== 0x0800) return -1;
  const header = (frame[14]! & 15) * 4;
  return header >= 20 && 14 + header <= len ? header : -1;
}

function sum(frame: Buffer, from: number, end: number): number {
  let total = 0;
  let at = from;
  for (; at + 1 < end; at += 2) total += (frame[at]! << 8) | frame[at + 1]!;
  return at < end ? total + (frame[at]! << 8) : total;
}

function fold(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 65536);
  return folded;
}
