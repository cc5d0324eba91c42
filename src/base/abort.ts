// The part of an AbortSignal that the core uses. Node's and a browser's both fit.

/** What is used of an AbortSignal, and all that the core knows of one. */
export interface Abortable {
  readonly aborted: boolean;
  readonly reason: unknown;
  /** Calls `listener` when it aborts; not when it has done so before. */
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  /** Takes back what was given to addEventListener(). */
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A promise with what settles it, which an abort rejects with the signal's reason. `settled` is called in any case. */
export function abortable<T>(
  signal: Abortable | undefined,
  begin: (resolve: (value: T) => void, reject: (reason: unknown) => void) => () => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    let settled = false;
    let cancel: (() => void) | null = null;
    const settle = (how: () => void): void => {
      if (settled) return;
      settled = true;
      signal?.removeEventListener('abort', onAbort);
      how();
    };
    const onAbort = (): void => {
      settle(() => reject(signal?.reason));
      cancel?.();
    };
    signal?.addEventListener('abort', onAbort);
    try {
      cancel = begin(
        (value) => settle(() => resolve(value)),
        (reason) => settle(() => reject(reason)),
      );
    } catch (error) {
      settle(() => reject(error));
    }
  });
}
