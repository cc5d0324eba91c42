/** Stops the program when `condition` is false: we are wrong, not the guest and not the user. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`usernet bug: ${message}`);
}
