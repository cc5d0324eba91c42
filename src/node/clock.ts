import { AlarmClock } from '../web/alarm-clock.ts';

/** Time from Node. */
export class NodeClock extends AlarmClock {
  /** By setImmediate(): after the input that is pending. */
  soon(wake: () => void): void {
    setImmediate(wake);
  }
}
