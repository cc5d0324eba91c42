/** Links that are up. A thread has one of these, shared by all networks on it: what one guest is left, another one has not. */
export class OpenLinks {
  count = 0;

  /** Is a link that is up the only one? */
  readonly isOne = (): boolean => this.count === 1;
}

/** Those of this process. */
export const processLinks = new OpenLinks();
