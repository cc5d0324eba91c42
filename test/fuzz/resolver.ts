// A name server that answers in all the ways there are, some of them wrong.

import type { SeededRandom } from '../support/seeded-random.ts';

/** The answer to `query`, or null where there is none. */
export function answerQuery(query: Uint8Array, random: SeededRandom): Buffer | null {
  if (query.length < 12) return null;
  const way = random.below(10);
  const answer = Buffer.from(query);
  answer[2]! |= 0x80;
  if (way === 0) answer[2]! |= 0x02;
  else if (way === 1) answer[3] = (answer[3]! & 0xf0) | random.below(16);
  else if (way === 2) answer[0]! ^= 1;
  else if (way === 3) return answer.subarray(0, random.below(answer.length + 1));
  else if (way === 4) return Buffer.concat([answer, Buffer.alloc(random.below(3000), 0x64)]);
  else if (way === 5 && answer.length > 13) answer[13]! ^= 0x20;
  else if (way === 6) answer[2]! &= 0x7f;
  else if (way === 7) answer[5] = random.below(3);
  else if (way === 8) return Buffer.concat([answer, Buffer.alloc(60_000, 0x65)]);
  return answer;
}
