import { AlarmClock } from './alarm-clock.ts';

/** One end of a channel, with what Node has besides. */
interface Port {
  onmessage: ((event: never) => void) | null;
  ref?(): void;
  unref?(): void;
}

/**
 * Time from a browser. soon() goes by a message, which comes after rendering and input had their chance; setTimeout would
 * be held back to 4 ms. In Node the message port keeps the process alive only while something is to be called.
 */
export class WebClock extends AlarmClock {
  private readonly port: Port;
  private readonly far: { postMessage(message: null): void };
  private calls: (() => void)[] = [];

  constructor() {
    super();
    const { port1, port2 } = new MessageChannel();
    this.port = port1 as unknown as Port;
    this.far = port2;
    this.port.onmessage = this.callAll;
    this.port.unref?.();
  }

  /** By a message to itself. Each call is made, also where one before it has thrown. */
  soon(wake: () => void): void {
    this.calls.push(wake);
    if (this.calls.length > 1) return;
    this.port.ref?.();
    this.far.postMessage(null);
  }

  private readonly callAll = (): void => {
    const { calls } = this;
    this.calls = [];
    this.port.unref?.();
    let called = 0;
    try {
      for (const call of calls) {
        called++;
        call();
      }
    } finally {
      // After a throw those behind the bad one are called all the same.
      for (const call of calls.slice(called)) this.soon(call);
    }
  };
}
