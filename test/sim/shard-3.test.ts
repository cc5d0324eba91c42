import { test } from 'vitest';
import { checkShard, SHARD_TIMEOUT } from './shard.ts';

test(
  'seeded connections over a bad channel, part 3 of 4: every byte in order, or an end with a reason',
  {
    timeout: SHARD_TIMEOUT,
  },
  () => checkShard(3),
);
