import { AlarmClock } from '../web/alarm-clock.ts';

/** Time from Node. */
export class NodeClock extends AlarmClock {
  soon(wake: () => void): void {
    setImmediate(wake);
  }
}
