import type { TestSocket } from './test-socket.ts';
import { ConnectionError, type TestContext } from './test-waits.ts';

/** Connections that wait for accept(): the next one is reset. */
const BACKLOG = 128;

/** A TCP port of a test that takes connections. */
export class TestListener {
  /** @internal */
  onClosed: () => void = () => {};
  private readonly context: TestContext;
  private readonly what: string;
  private readonly handler: ((socket: TestSocket) => unknown) | null;
  private readonly backlog: TestSocket[] = [];
  private waiting: { resolve(socket: TestSocket): void; reject(error: Error): void } | null = null;
  private over = false;

  constructor(context: TestContext, what: string, handler: ((socket: TestSocket) => unknown) | null) {
    this.context = context;
    this.what = what;
    this.handler = handler;
  }

  /** The next connection. Rejects when the listener is closed. One accept at a time. */
  accept(): Promise<TestSocket> {
    return this.context.waits.wait(`${this.what} accepts`, (resolve, reject) => {
      if (this.handler !== null) throw new Error(`${this.what}: its handler gets the connections`);
      if (this.over) throw new Error(`${this.what} is closed`);
      if (this.waiting !== null) throw new Error(`${this.what}: one accept at a time`);
      const first = this.backlog.shift();
      if (first !== undefined) resolve(first);
      else this.waiting = { resolve, reject };
    });
  }

  /** Each connection, until close(). */
  async *[Symbol.asyncIterator](): AsyncGenerator<TestSocket, void, undefined> {
    while (!this.over) yield await this.accept();
  }

  /** Takes no more connections; those that nobody has accepted are reset. Idempotent. */
  close(): void {
    if (this.over) return;
    this.over = true;
    this.onClosed();
    for (const socket of this.backlog) socket.reset();
    this.backlog.length = 0;
    this.waiting?.reject(new Error(`${this.what} is closed`));
    this.waiting = null;
  }

  get isFull(): boolean {
    return this.backlog.length >= BACKLOG;
  }

  /** A connection has been made. */
  onConnection(socket: TestSocket): void {
    // Its handshake was under way when the listener was closed.
    if (this.over) socket.reset();
    else if (this.handler !== null) handle(this.context, this.handler, socket);
    else if (this.waiting !== null) {
      this.waiting.resolve(socket);
      this.waiting = null;
    } else this.backlog.push(socket);
  }
}

/**
 * Has `handler` deal with `socket`: what it throws fails the test, and the connection is reset. That the connection itself
 * has broken is no fault of the handler's: whoever it served went away.
 */
export function handle(
  context: TestContext,
  handler: (socket: TestSocket) => unknown,
  socket: TestSocket,
): void {
  const run = async (): Promise<void> => {
    await handler(socket);
  };
  run().catch((error: unknown) => {
    const brokeBefore = socket.isBroken;
    socket.reset();
    if (!(brokeBefore && error instanceof ConnectionError)) context.failed(error);
  });
}
