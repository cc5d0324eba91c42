import { describe, expect, test } from 'vitest';
import {
  checkFaults,
  type FaultOptions,
  faultOptionNames,
  faultsText,
  figuresOf,
  readFaultOption,
} from '../../src/link/fault-options.ts';

describe('as a user writes it', () => {
  test.each([
    ['loss', '0%', 0],
    ['loss', '100%', 1],
    ['loss', '0.05%', 0.0005],
    ['duplicate', '1%', 0.01],
    ['reorder', '25%', 0.25],
    ['corrupt', '0.1%', 0.001],
    ['delay', '20ms', 20],
    ['delay', '60s', 60_000],
    ['delay', '0.5s', 500],
    ['delay', '250us', 0.25],
    ['jitter', '5ms', 5],
    ['rate', '1000bit', 1000],
    ['rate', '64kbit', 64_000],
    ['rate', '10mbit', 1e7],
    ['rate', '2.5gbit', 2.5e9],
    ['queue', '1', 1],
    ['queue', '100000', 100_000],
    ['seed', '0', 0],
    ['seed', '4294967295', 4294967295],
  ])('%s=%s', (name, value, figure) => {
    const said = readFaultOption(`${name}=${value}`, {}) as Record<string, number>;
    expect(Object.keys(said)).toEqual([name]);
    expect(said[name]).toBeCloseTo(figure, 12);
  });

  test.each([
    ['loss', '1', 'percentage from 0% to 100%, such as 1%'],
    ['loss', '-1%', 'percentage from 0% to 100%, such as 1%'],
    ['reorder', '100.1%', 'percentage from 0% to 100%, such as 1%'],
    ['corrupt', '%', 'percentage from 0% to 100%, such as 1%'],
    ['duplicate', '1e1%', 'percentage from 0% to 100%, such as 1%'],
    ['delay', '20', 'time from 0ms to 60s, such as 20ms'],
    ['delay', '61s', 'time from 0ms to 60s, such as 20ms'],
    ['jitter', '5 ms', 'time from 0ms to 60s, such as 20ms'],
    ['jitter', '5m', 'time from 0ms to 60s, such as 20ms'],
    ['rate', '0mbit', 'rate from 1kbit to 100gbit, such as 10mbit'],
    ['rate', '999bit', 'rate from 1kbit to 100gbit, such as 10mbit'],
    ['rate', '101gbit', 'rate from 1kbit to 100gbit, such as 10mbit'],
    ['rate', '10Mbit', 'rate from 1kbit to 100gbit, such as 10mbit'],
    ['queue', '0', 'number of frames from 1 to 100000, such as 8'],
    ['queue', '1.5', 'number of frames from 1 to 100000, such as 8'],
    ['queue', '100001', 'number of frames from 1 to 100000, such as 8'],
    ['seed', '4294967296', 'whole number from 0 to 4294967295, such as 7'],
    ['seed', '', 'whole number from 0 to 4294967295, such as 7'],
  ])('%s=%s is refused, in one line that names the option and its range', (name, value, range) => {
    const word = `${name}=${value}`;
    expect(() => readFaultOption(word, {})).toThrow(new RangeError(`${word}: is no ${range}`));
  });

  test('what is no fault is left to others', () => {
    for (const name of ['server', '', 'toString', 'toGuest', 'Loss', '__proto__'])
      for (const word of [name, `${name}=1%`]) expect(readFaultOption(word, {})).toBeNull();
  });

  test('one option after the other', () => {
    const said = readFaultOption('loss=1%', {})!;
    expect(readFaultOption('delay=20ms', said)).toEqual({ loss: 0.01, delay: 20 });
    expect(said).toEqual({ loss: 0.01 });
  });

  test('an option that is repeated is refused, whatever its value', () => {
    const said = readFaultOption('loss=1%', readFaultOption('seed=0', {})!)!;
    for (const value of ['2%', '1%', '7', ''])
      expect(() => readFaultOption(`loss=${value}`, said)).toThrow(new RangeError('loss= is said twice'));
    expect(() => readFaultOption('seed=1', said)).toThrow(new RangeError('seed= is said twice'));
  });

  test.each([
    ['loss', 'loss: needs a value, as in loss=1%'],
    ['delay', 'delay: needs a value, as in delay=20ms'],
    ['rate', 'rate: needs a value, as in rate=10mbit'],
    ['queue', 'queue: needs a value, as in queue=8'],
    ['seed', 'seed: needs a value, as in seed=7'],
  ])('%s alone is refused as it was written', (word, message) => {
    expect(() => readFaultOption(word, {})).toThrow(new RangeError(message));
  });
});

describe('as a program says it', () => {
  test.each<[FaultOptions, string]>([
    [{ loss: 1.1 }, 'loss: 1.1 is no percentage from 0% to 100%, such as 1%'],
    [{ corrupt: Number.NaN }, 'corrupt: NaN is no percentage from 0% to 100%, such as 1%'],
    [{ delay: -1 }, 'delay: -1 is no time from 0ms to 60s, such as 20ms'],
    [{ toGuest: { jitter: 60_001 } }, 'toGuest.jitter: 60001 is no time from 0ms to 60s, such as 20ms'],
    [{ fromGuest: { rate: 0 } }, 'fromGuest.rate: 0 is no rate from 1kbit to 100gbit, such as 10mbit'],
    [{ rate: 1e6, queue: 2.5 }, 'queue: 2.5 is no number of frames from 1 to 100000, such as 8'],
    [{ seed: -1 }, 'seed: -1 is no whole number from 0 to 4294967295, such as 7'],
    [{ queue: 8 }, 'queue= needs rate='],
    [{ queue: 8, fromGuest: { loss: 0.1 } }, 'queue= needs rate='],
    [{ fromGuest: { queue: 8 } }, 'fromGuest.queue: needs a rate, which that direction has not'],
    [
      { toGuest: { rate: 1e6 }, fromGuest: { queue: 8 } },
      'fromGuest.queue: needs a rate, which that direction has not',
    ],
    [
      { fromGuest: { rate: 1e6 }, toGuest: { queue: 8 } },
      'toGuest.queue: needs a rate, which that direction has not',
    ],
  ])('%o is refused', (options, message) => {
    expect(() => checkFaults(options)).toThrow(new RangeError(message));
  });

  test.each<[unknown, Error]>([
    [null, new TypeError('faults: null is no object')],
    [undefined, new TypeError('faults: undefined is no object')],
    ['loss=1%', new TypeError('faults: "loss=1%" is no object')],
    [[{ loss: 1 }], new TypeError('faults: a list is no object')],
    [{ lose: 0.1 }, new RangeError('lose: there is no such fault')],
    [{ lose: undefined }, new RangeError('lose: there is no such fault')],
    [{ toString: 1 }, new RangeError('toString: there is no such fault')],
    [{ loss: '1%' }, new TypeError('loss: "1%" is no number')],
    [{ loss: '0.5' }, new TypeError('loss: "0.5" is no number')],
    [{ loss: null }, new TypeError('loss: null is no number')],
    [{ delay: true }, new TypeError('delay: true is no number')],
    [{ delay: 5n }, new TypeError('delay: 5 is no number')],
    [{ rate: [1e6] }, new TypeError('rate: a list is no number')],
    [{ rate: Object.create(null) }, new TypeError('rate: an object is no number')],
    [{ seed: Symbol('x') }, new TypeError('seed: a symbol is no number')],
    [{ seed: '7' }, new TypeError('seed: "7" is no number')],
    [{ toGuest: null }, new TypeError('toGuest: null is no object')],
    [{ fromGuest: 0.5 }, new TypeError('fromGuest: 0.5 is no object')],
    [{ fromGuest: [] }, new TypeError('fromGuest: a list is no object')],
    [{ toGuest: { lose: 1 } }, new RangeError('toGuest.lose: there is no such fault')],
    [{ toGuest: { toGuest: {} } }, new RangeError('toGuest.toGuest: there is no such fault')],
    [{ fromGuest: { loss: '1%' } }, new TypeError('fromGuest.loss: "1%" is no number')],
    [{ toGuest: { seed: 7 } }, new RangeError('toGuest.seed: both directions have one seed')],
  ])('%o is nonsense, and told so', (options, error) => {
    const check = (): void => checkFaults(options as FaultOptions);
    expect(check).toThrow(error);
    expect(check).toThrow(error.constructor as new () => Error);
  });

  test('a queue for both directions is of use where there is a rate', () => {
    checkFaults({ queue: 8, toGuest: { rate: 1e6 } });
    checkFaults({ rate: 1e6, toGuest: { queue: 8 } });
    checkFaults({ toGuest: { rate: 1e6, queue: 8 } });
  });

  test('what is undefined was not said', () => {
    const options = { loss: 0.1, seed: undefined, toGuest: { loss: undefined }, fromGuest: undefined };
    checkFaults(options as unknown as FaultOptions);
    expect(figuresOf(options as unknown as FaultOptions, 'toGuest')).toEqual({ loss: 0.1 });
    expect(figuresOf(options as unknown as FaultOptions, 'fromGuest')).toEqual({ loss: 0.1 });
  });

  test('figures hold for both directions, unless one has its own', () => {
    const options = { loss: 0.1, delay: 5, fromGuest: { loss: 0 }, toGuest: { rate: 1e6 } };
    checkFaults(options);
    expect(figuresOf(options, 'toGuest')).toMatchObject({ loss: 0.1, delay: 5, rate: 1e6 });
    expect(figuresOf(options, 'fromGuest')).toMatchObject({ loss: 0, delay: 5 });
  });
});

describe('for a person', () => {
  test.each<[FaultOptions, string]>([
    [{}, 'no fault, seed 1'],
    [{ loss: 0.001, seed: 7 }, 'loss 0.1%, seed 7'],
    [{ delay: 0.25, jitter: 1500 }, 'delay 0.25ms, jitter 1500ms, seed 1'],
    [{ rate: 2.5e9 }, 'rate 2.5gbit, seed 1'],
    [{ rate: 64_500, queue: 8 }, 'rate 64.5kbit, queue 8, seed 1'],
    [
      { delay: 5, fromGuest: { loss: 0.29 } },
      'to the guest delay 5ms; from the guest loss 29%, delay 5ms, seed 1',
    ],
  ])('%o', (options, text) => {
    expect(faultsText(options)).toBe(text);
  });

  test('what is said can be read again', () => {
    const figures = { loss: 0.07, delay: 33.25, jitter: 2, reorder: 0.29, duplicate: 0.01, corrupt: 0.0001 };
    const options = { ...figures, rate: 1.5e6, queue: 20, seed: 99 };
    expect(Object.keys(options)).toEqual(faultOptionNames);
    const words = faultsText(options).split(', ');
    const read = (said: FaultOptions, word: string): FaultOptions =>
      readFaultOption(word.replace(' ', '='), said)!;
    expect(words.reduce(read, {})).toEqual(options);
  });
});
