// Links that are up. A thread has one count of them, shared by all networks on it: what one guest is left, another one has
// not.

import { Budget, type Turn } from '../base/turn.ts';

export class OpenLinks {
  count = 0;

  /** A link is up: its budget of `turn`'s turns. */
  open(turn: Turn): Budget {
    this.count++;
    return new Budget(turn, this.isOne);
  }

  /** The link is down. Once for each open(). */
  close(budget: Budget): void {
    budget.close();
    this.count--;
  }

  private readonly isOne = (): boolean => this.count === 1;
}

/** Those of this process. */
export const processLinks = new OpenLinks();
