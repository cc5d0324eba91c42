import { expect, test } from 'vitest';
import { collectionRows, parseTrace } from '../../bench/collections.ts';

const NODE_20 =
  '[3521:0x447bec00]       83 ms: Scavenge 4.4 (4.5) -> 3.9 (5.5) MB, 2.07 / 0.00 ms  (average mu = 1.000, current mu = 1.000) allocation failure; ';
const NODE_20_MARKED =
  '[3521:0x447bec00]      142 ms: Mark-Compact (reduce) 15.9 (19.2) -> 9.1 (18.0) MB, 3.10 / 0.02 ms  (+ 1.4 ms in 12 steps since start of marking, biggest step 0.3 ms, walltime since start of marking 9 ms) (average mu = 1.000, current mu = 1.000) finalize incremental marking via stack guard; GC in old space requested';
const NODE_24 =
  '[77:0x2f4b000:0]      101 ms: Mark-Compact 8.1 (11.2) -> 7.9 (12.2) MB, pooled: 1.5 MB, 4.33 / 0.00 ms  (average mu = 0.4, current mu = 0.4) task; scavenge might not succeed';

test('lines of --trace-gc, of old and new V8', () => {
  expect(parseTrace(`${NODE_20}\n${NODE_20_MARKED}\n${NODE_24}\n`)).toEqual([
    { kind: 'Scavenge', ms: 2.07 },
    { kind: 'Mark-Compact', ms: 3.1 + 1.4 },
    { kind: 'Mark-Compact', ms: 4.33 },
  ]);
});

test('what is not a collection is passed over, a line that was cut off too', () => {
  const others = [
    '',
    'hello',
    '[3521:0x447bec00] Fast promotion mode: false survival rate: 0%',
    NODE_20.slice(0, 60),
  ];
  expect(parseTrace(others.join('\n'))).toEqual([]);
});

test('rows are for a million frames', () => {
  expect(collectionRows('TCP', `${NODE_20}\n${NODE_20}\n`, 4e6)).toEqual([
    { part: 'collections', name: 'TCP', value: 0.5, unit: 'collections' },
    { part: 'collections', name: 'TCP: time', value: 4.14 / 4, unit: 'ms' },
  ]);
});
