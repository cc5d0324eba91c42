import { expect, test } from 'vitest';
import { captureLink } from '../../src/link/capture.ts';
import { faultyLink } from '../../src/link/faults.ts';
import type { Link, LinkLosses } from '../../src/link/link.ts';
import { RawBench, RawLink } from '../support/raw-guest.ts';

/** A link that loses what its other side does not take. */
class LossyLink extends RawLink {
  losses: LinkLosses = { whileDown: 0, refused: 0 };
}

const asItIs = (link: Link): Link => link;
const bad = (link: Link): Link => faultyLink(link, { delay: 1 });
const captured = (link: Link): Link => captureLink(link, { record: () => {} });

test.each([
  ['itself', asItIs],
  ['behind a link that is bad on purpose', bad],
  ['behind a capture', captured],
  ['behind both', (link: Link) => captured(bad(link))],
])('what a link has lost is among its statistics, up and down: %s', (_, wrap) => {
  const bench = new RawBench();
  const link = new LossyLink('tap0');
  bench.network.attach(wrap(link));
  const seen = () => bench.network.stats().links.find(({ name }) => name === 'tap0');
  expect(seen()).toMatchObject({ up: true, losses: { whileDown: 0, refused: 0 } });
  link.losses = { whileDown: 3, refused: 1 };
  expect(seen()).toMatchObject({ up: true, losses: { whileDown: 3, refused: 1 } });
  link.goesDown();
  expect(seen()).toMatchObject({ up: false, losses: { whileDown: 3, refused: 1 } });
});

test('a link that loses nothing itself has no such entry', () => {
  expect(new RawBench().network.stats().links[0]).not.toHaveProperty('losses');
});
