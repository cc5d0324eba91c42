import type { Port } from '../switch/switch.ts';
import type { LinkStats } from './stats.ts';

const MAX_GONE = 64;

/** A link that is gone. It is not kept itself: it may hold its guest, and that an emulator. */
interface Gone {
  readonly portId: number;
  stats: LinkStats;
}

/** What is known of links, those that are gone included: the last of them, the older ones added up by nobody. */
export class LinkHistory {
  private readonly gone: Gone[] = [];

  /** `port` has come down. */
  add(port: Port): void {
    this.gone.push({ portId: port.id, stats: linkStats(port) });
    if (this.gone.length > MAX_GONE) this.gone.shift();
  }

  /** The link of `port`, which may have come down before, has been closed: what was on its way in it is now cut off. */
  linkClosed(port: Port): void {
    const entry = this.gone.find(({ portId }) => portId === port.id);
    if (entry !== undefined) entry.stats = linkStats(port);
  }

  /** With those that are up. */
  with(ports: Iterable<Port>): LinkStats[] {
    return [...this.gone.map(({ stats }) => stats), ...[...ports].map(linkStats)];
  }
}

function linkStats(port: Port): LinkStats {
  const { framesIn, bytesIn, framesOut, bytesOut, up } = port;
  const { name, faults, losses } = port.link;
  const stats = { name, up, framesIn, bytesIn, framesOut, bytesOut };
  return { ...stats, ...(faults && { faults }), ...(losses && { losses }) };
}
