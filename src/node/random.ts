import { randomFillSync } from 'node:crypto';
import { RandomPool } from '../base/random-pool.ts';

/** The operating system's generator. */
export class NodeRandom extends RandomPool {
  constructor() {
    super(randomFillSync);
  }
}
