import type { DescriptorBudget } from './descriptors.ts';

/** The sockets of one kind that a host has open, each with a descriptor of the budget. */
export class OpenSockets<T> {
  readonly all = new Set<T>();
  private readonly budget: DescriptorBudget;
  private waiting: (() => void)[] = [];

  constructor(budget: DescriptorBudget) {
    this.budget = budget;
  }

  /** Takes the descriptor of a socket that is about to be opened; false: there is none. */
  reserve(): boolean {
    return this.budget.take();
  }

  /** Gives it back: the socket was not opened after all. */
  unreserve(): void {
    this.budget.give();
  }

  /** `socket` is open, with the descriptor that was reserved. */
  add(socket: T): void {
    this.all.add(socket);
  }

  /** `socket` is closed. */
  gone(socket: T): void {
    if (!this.all.delete(socket)) return;
    this.budget.give();
    if (this.all.size > 0) return;
    const { waiting } = this;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves once none is open. */
  empty(): Promise<void> {
    if (this.all.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
