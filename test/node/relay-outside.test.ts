import { afterEach, expect, test } from 'vitest';
import { DescriptorBudget } from '../../src/node/descriptors.ts';
import { NodeOutside } from '../../src/node/relay-outside.ts';
import { closeAll, serve } from '../support/host-bench.ts';

afterEach(closeAll);

/** What a client of the relay is told of a connection that it closes at once, for its side. */
async function storyOf(to: Awaited<ReturnType<typeof serve>>): Promise<string[]> {
  const story: string[] = [];
  await new Promise<void>((done) => {
    const stream = new NodeOutside().connectTcp(to, {
      onOpen: () => {
        story.push('open');
        stream.end();
      },
      onData: (bytes) => story.push(Buffer.from(bytes).toString()),
      onWritable: () => {},
      onEnd: () => story.push('end'),
      onClose: (error) => {
        story.push(`close ${error}`);
        done();
      },
    });
  });
  return story;
}

test('a reset behind data stays one, 100 times', async () => {
  const to = await serve((socket) => {
    socket.on('end', () => socket.write('last words', () => socket.resetAndDestroy())).resume();
  });
  for (let i = 0; i < 100; i++) expect(await storyOf(to)).toEqual(['open', 'last words', 'close reset']);
});

test('reset() in the midst of end(): the socket goes all the same', async () => {
  const to = await serve((socket) => socket.resume());
  const budget = new DescriptorBudget(10);
  for (let i = 0; i < 20; i++) {
    await new Promise<void>((done) => {
      const stream = new NodeOutside(budget).connectTcp(to, {
        onOpen: () => {
          if (i % 2 === 1) stream.write(Buffer.from('x'));
          stream.end();
          stream.reset();
        },
        onData: () => {},
        onWritable: () => {},
        onEnd: () => {},
        onClose: () => done(),
      });
    });
  }
  expect(budget.used).toBe(0);
});

test('an end behind data stays one, 100 times', async () => {
  const to = await serve((socket) => socket.end('last words'));
  for (let i = 0; i < 100; i++)
    expect(await storyOf(to)).toEqual(['open', 'last words', 'end', 'close null']);
});
