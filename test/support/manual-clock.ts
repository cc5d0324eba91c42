export { ManualClock } from '../../src/base/manual-clock.ts';
