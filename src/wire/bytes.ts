// The few accessors that DataView lacks. Every other file of wire/ reads and writes through one DataView: functions
// over (view, offset) cost 6 ns for twelve fields, an object per header 280 (bench/access.ts).

/** Upper 16 bits of the MAC at `off`, 0..0xffff. */
export function macHi(v: DataView, off: number): number {
  return v.getUint16(off);
}

/** Lower 32 bits of the MAC at `off`, as a signed word. */
export function macLo(v: DataView, off: number): number {
  return v.getInt32(off + 2);
}

export function setMac(v: DataView, off: number, hi: number, lo: number): void {
  v.setUint16(off, hi);
  v.setInt32(off + 2, lo);
}

/** A view of all of `bytes`, for what lies outside of an arena. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
