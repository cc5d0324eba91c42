import { RandomPool } from '../base/random-pool.ts';

/** Web Crypto's generator. */
export class WebRandom extends RandomPool {
  constructor() {
    super((words) => crypto.getRandomValues(words));
  }
}
