// The Internet checksum (RFC 1071) over the arena, and the same fused with a copy. AssemblyScript: compiled with train.ts to
// some kilobytes of WebAssembly with SIMD by tools/kernel.mjs, whose output is committed as src/base/kernel-bytes.ts.
//
// Sixteen bytes a step are widened from eight 16-bit lanes to four 32-bit ones and added; a 32-bit lane holds the
// sums of at least 512 KiB without overflow, far above the 64 KiB of any packet. The lanes are little-endian: a
// one's-complement sum does not mind (RFC 1071 2 (B)), so the two bytes are swapped once, at the end.

@inline
function widen(acc: v128, v: v128): v128 {
  return i32x4.add(acc, i32x4.extadd_pairwise_i16x8_u(v));
}

@inline
function finish(acc: v128, tail: u64): u32 {
  let s: u64 =
    tail +
    <u64>(<u32>i32x4.extract_lane(acc, 0)) +
    <u64>(<u32>i32x4.extract_lane(acc, 1)) +
    <u64>(<u32>i32x4.extract_lane(acc, 2)) +
    <u64>(<u32>i32x4.extract_lane(acc, 3));
  s = (s & 0xffffffff) + (s >> 32);
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  const folded = <u32>s;
  return ((folded & 0xff) << 8) | (folded >> 8);
}

/** Sum of the big-endian 16-bit words at [off, off + len), folded to 16 bits; an odd last byte is padded with zero. */
export function sum(off: usize, len: usize): u32 {
  let p = off;
  const end = off + len;
  let a = i32x4.splat(0);
  let b = i32x4.splat(0);
  while (p + 64 <= end) {
    a = widen(a, v128.load(p));
    b = widen(b, v128.load(p, 16));
    a = widen(a, v128.load(p, 32));
    b = widen(b, v128.load(p, 48));
    p += 64;
  }
  while (p + 16 <= end) {
    a = widen(a, v128.load(p));
    p += 16;
  }
  let tail: u64 = 0;
  while (p + 4 <= end) {
    tail += load<u32>(p);
    p += 4;
  }
  if (p + 2 <= end) {
    tail += load<u16>(p);
    p += 2;
  }
  if (p < end) tail += load<u8>(p);
  return finish(i32x4.add(a, b), tail);
}

/** Copies [src, src + len) to dst and returns what sum(src, len) returns. The two must not overlap. */
export function copySum(dst: usize, src: usize, len: usize): u32 {
  let p = src;
  let q = dst;
  const end = src + len;
  let a = i32x4.splat(0);
  let b = i32x4.splat(0);
  while (p + 64 <= end) {
    const v0 = v128.load(p);
    const v1 = v128.load(p, 16);
    const v2 = v128.load(p, 32);
    const v3 = v128.load(p, 48);
    v128.store(q, v0);
    v128.store(q, v1, 16);
    v128.store(q, v2, 32);
    v128.store(q, v3, 48);
    a = widen(a, v0);
    b = widen(b, v1);
    a = widen(a, v2);
    b = widen(b, v3);
    p += 64;
    q += 64;
  }
  while (p + 16 <= end) {
    const v = v128.load(p);
    v128.store(q, v);
    a = widen(a, v);
    p += 16;
    q += 16;
  }
  let tail: u64 = 0;
  while (p + 4 <= end) {
    const w = load<u32>(p);
    store<u32>(q, w);
    tail += w;
    p += 4;
    q += 4;
  }
  if (p + 2 <= end) {
    const h = load<u16>(p);
    store<u16>(q, h);
    tail += h;
    p += 2;
    q += 2;
  }
  if (p < end) {
    const c = load<u8>(p);
    store<u8>(q, c);
    tail += c;
  }
  return finish(i32x4.add(a, b), tail);
}
