// An embedder's callback may be an async function although nobody waits for it. What it throws is then a rejection, and one
// that nobody has asked for ends a process of Node's.

/** Calls `onReject` when what a callback has returned is a promise, and rejects. */
export function onRejection(returned: unknown, onReject: (reason: unknown) => void): void {
  if (returned instanceof Promise) returned.catch(onReject);
}
