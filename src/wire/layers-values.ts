// What layers.ts and its parts are made of.

export type LayerValue =
  | string
  | number
  | boolean
  | readonly LayerValue[]
  | { readonly [field: string]: LayerValue };

/**
 * One header: its name, then its fields in the words of its RFC and as they stand there, numbers in its units. `truncated`
 * where the captured bytes end before the header does, `malformed` where it contradicts itself; nothing follows either.
 */
export interface Layer {
  readonly layer: string;
  readonly [field: string]: LayerValue;
}

/** A layer while it is filled. Fields that are not always there are set behind the others: spreading costs microseconds. */
export type OpenLayer = { layer: string; [field: string]: LayerValue };

/** Two digits a byte. */
export function hexText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The same of [at, end). */
export function hexOf(v: DataView, at: number, end: number): string {
  return hexText(new Uint8Array(v.buffer, v.byteOffset + at, end - at));
}
