import { defineConfig } from 'vitest/config';

// Two projects. `unit` needs nothing but Node and runs in parallel; `e2e` boots real guests and measures time, so it
// runs afterwards, one file at a time. USERNET_TEST_JSON names a file that gets the results as JSON, for CI's count.
const json = process.env['USERNET_TEST_JSON'];

export default defineConfig({
  test: {
    pool: 'forks',
    reporters: json === undefined ? ['default'] : ['default', ['json', { outputFile: json }]],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**'],
          // One for each processor: vitest's default leaves one for itself, and on two that is half of the time.
          maxWorkers: '100%',
          testTimeout: 60_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
