import type { CongestionName } from '../base/settings.ts';
import type { Congestion } from './congestion.ts';
import { Cubic } from './cubic.ts';
import { NewReno } from './newreno.ts';

/** The congestion control of that name, for one connection. */
export function newCongestion(name: CongestionName): Congestion {
  return name === 'cubic' ? new Cubic() : new NewReno();
}
