// What a test waits for, by name: so that when nothing comes, the error can say what did not.

/** Names in one error. */
const MAX_NAMED = 8;

export class TestWaits {
  private readonly waiting = new Set<{ readonly what: string }>();

  /** A promise that is listed as `what` until `begin` has settled it. */
  wait<T>(
    what: string,
    begin: (resolve: (value: T) => void, reject: (reason: Error) => void) => void,
  ): Promise<T> {
    const entry = { what };
    this.waiting.add(entry);
    return new Promise<T>((resolve, reject) => {
      const over =
        <V>(settle: (value: V) => void) =>
        (value: V): void => {
          this.waiting.delete(entry);
          settle(value);
        };
      try {
        begin(over(resolve), over(reject));
      } catch (error) {
        over(reject)(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /** What is being waited for, the oldest first, in one line. */
  describe(): string {
    if (this.waiting.size === 0) return 'nothing that this network knows of';
    const names = Array.from(this.waiting, ({ what }) => what);
    const more = names.length - MAX_NAMED;
    return `${names.slice(0, MAX_NAMED).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
  }
}

/** What the sockets of a test have in common. */
export interface TestContext {
  readonly waits: TestWaits;
  /** Code of the test has thrown where nobody waits for it. */
  failed(error: unknown): void;
}

/** Why a connection has ended, or was never made. */
export type SocketEnd =
  | 'normal'
  | 'refused'
  | 'reset'
  | 'timed-out'
  | 'unreachable'
  /** The cable is out, or the machine is off. */
  | 'down'
  /** By reset() of the test's own. */
  | 'aborted'
  | 'failed';

/** An operation on a connection that cannot be done, because of its end. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly reason: SocketEnd;

  constructor(what: string, reason: SocketEnd) {
    super(`${what}: ${TEXT[reason]}`);
    this.reason = reason;
  }
}

const TEXT: Readonly<Record<SocketEnd, string>> = {
  normal: 'the connection is closed',
  refused: 'the connection was refused',
  reset: 'the connection was reset by the other side',
  'timed-out': 'the other side does not answer',
  unreachable: 'the other side cannot be reached',
  down: 'the guest is closed',
  aborted: 'the connection was reset from this side',
  failed: 'the connection has failed',
};
