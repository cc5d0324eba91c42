// One lookup by a packet's addresses and ports, the key filled in and all, in tables of 1 to 100 000 flows and in an order
// that no cache foresees. Beside it a Map by text, which is what one writes first.

import { Xoshiro } from '../../src/base/xoshiro.ts';
import { FlowTable, KEY_WORDS, setKey } from '../../src/nat/flow-table.ts';
import { Protocol } from '../../src/wire/ipv4.ts';
import { GATEWAY } from '../guest.ts';
import { shuffled } from '../shuffle.ts';
import type { Case, Stage } from '../stage.ts';

const SIZES = [1, 100, 1000, 10_000, 100_000];
/** Of one call, so that it is over before it is interrupted, most often. */
const LOOKUPS = 200;
const TEXT_LOOKUPS = 20;
const PORTS = 50_000;
const FIRST_PORT = 1024;
const GUEST = 0x0a00020f;

/** Flow `n`: more than a guest has ports are several guests'. */
function fillKey(key: Int32Array, n: number): void {
  const guest = Math.floor(n / PORTS);
  setKey(key, GUEST + guest, FIRST_PORT + (n % PORTS), GATEWAY, 80, Protocol.Tcp, 1 + guest);
}

export function flowTable(): Stage {
  return {
    cases: [
      ...SIZES.map((size) => hits(size)),
      misses(10_000),
      setAndDelete(10_000),
      ...SIZES.slice(1).map((size) => textMap(size)),
    ],
  };
}

function filled(size: number): FlowTable<number> {
  const table = new FlowTable<number>(new Xoshiro(1));
  const key = new Int32Array(KEY_WORDS);
  for (let n = 0; n < size; n++) {
    fillKey(key, n);
    table.set(key, n);
  }
  return table;
}

/** Calls `once` with `ops` numbers below `size` a call, all of them in turn. */
function inTurn(name: string, size: number, once: (n: number) => void, ops = LOOKUPS): Case {
  const order = shuffled(size);
  let at = 0;
  const call = (): void => {
    for (let i = 0; i < ops; i++) {
      once(order[at]!);
      at = at + 1 === size ? 0 : at + 1;
    }
  };
  return { name, ops, bytes: 0, call };
}

function hits(size: number): Case {
  const table = filled(size);
  const key = new Int32Array(KEY_WORDS);
  return inTurn(`found, ${size} flow${size === 1 ? '' : 's'}`, size, (n) => {
    fillKey(key, n);
    if (table.find(key) !== n) throw new Error(`flow ${n} is not there`);
  });
}

function misses(size: number): Case {
  const table = filled(size);
  const key = new Int32Array(KEY_WORDS);
  return inTurn(`not found, ${size} flows`, size, (n) => {
    fillKey(key, size + n);
    if (table.find(key) !== undefined) throw new Error(`flow ${size + n} is there`);
  });
}

function setAndDelete(size: number): Case {
  const table = filled(size);
  const key = new Int32Array(KEY_WORDS);
  return inTurn(`added and removed, ${size} flows`, size, (n) => {
    fillKey(key, size + n);
    table.set(key, n);
    table.delete(key, n);
  });
}

function textMap(size: number): Case {
  const key = new Int32Array(KEY_WORDS);
  const text = (n: number): string => {
    fillKey(key, n);
    return `${key[3]}:${key[8]! >>> 16}>${key[7]}:${key[8]! & 0xffff}/${key[9]}`;
  };
  const map = new Map<string, number>();
  for (let n = 0; n < size; n++) map.set(text(n), n);
  const once = (n: number): void => {
    if (map.get(text(n)) !== n) throw new Error(`flow ${n} is not there`);
  };
  return inTurn(`found in a Map by text, ${size} flows`, size, once, TEXT_LOOKUPS);
}
