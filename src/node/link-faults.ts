import { checkFaults } from '../link/fault-options.ts';
import { faultyLink } from '../link/faults.ts';
import type { Link } from '../link/link.ts';
import type { AnyLinkSpec } from './link-spec.ts';

/**
 * Makes each link that it is given as bad as `spec` says. Asked for before there is a link: throws a RangeError that names
 * the fault that is out of its range.
 */
export function faultsOf({ faults }: AnyLinkSpec): (link: Link) => Link {
  if (faults === undefined) return (link) => link;
  checkFaults(faults);
  return (link) => faultyLink(link, faults);
}
