import type { Port } from '../switch/switch.ts';
import type { LinkStats } from './stats.ts';

const MAX_GONE = 64;

/** What is known of links, those that are gone included: the last of them, the older ones added up by nobody. */
export class LinkHistory {
  private readonly gone: LinkStats[] = [];

  /** `port` has come down. */
  add(port: Port): void {
    this.gone.push(linkStats(port));
    if (this.gone.length > MAX_GONE) this.gone.shift();
  }

  /** With those that are up. */
  with(ports: Iterable<Port>): LinkStats[] {
    return [...this.gone, ...[...ports].map(linkStats)];
  }
}

function linkStats(port: Port): LinkStats {
  const { framesIn, bytesIn, framesOut, bytesOut, up } = port;
  const { name, faults, losses } = port.link;
  const stats = { name, up, framesIn, bytesIn, framesOut, bytesOut };
  return { ...stats, ...(faults && { faults }), ...(losses && { losses }) };
}
