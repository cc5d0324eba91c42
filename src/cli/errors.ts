// Errors on their way to the user: a fault of the user or of the outside is one line, one of ours says where it happened.

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Is it a bug of this program? */
export function isOurs(error: unknown): boolean {
  if (!(error instanceof Error) || error.message.startsWith('usernet bug: ')) return true;
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}

/** What `work` brings. An error of the outside then names the option that it is about. */
export async function about<T>(option: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw isOurs(error) ? error : new Error(`${option}: ${messageOf(error)}`, { cause: error });
  }
}
