// Three projects: `unit` decides in seconds and touches nothing but temporary files; `sweep` feeds parsers and judges with
// thousands of altered inputs; `real` starts real components, when the other two are over.
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { LongestFirst } from './tools/longest-first.ts';

const config: ViteUserConfig = defineConfig({
  resolve: { conditions: ['ringwall-source', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['ringwall-source', 'node', 'import', 'default'] } },
  test: {
    sequence: { sequencer: LongestFirst },
    // What is waited for comes at once on a quiet machine; vitest's second is a measure of how busy this one is.
    expect: { poll: { timeout: 60_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // Files share their worker's modules: loading them anew for each file took three times as long as the tests. So a
          // test leaves no state in a module behind.
          isolate: false,
          // Many wait for something small: with more files at a time than cores, the cores do not.
          maxWorkers: '150%',
          // A hang is found all the same; a busy machine is no failure.
          testTimeout: 120_000,
          hookTimeout: 120_000,
          include: ['{lib,host,control,api,apps,testkit,drills,tools}/**/*.test.ts', 'tests/house/**/*.test.ts'],
          exclude: ['**/*.{real,sweep}.test.ts', '**/node_modules/**', '**/dist/**'],
        },
      },
      {
        extends: true,
        test: {
          name: 'sweep',
          isolate: false,
          // What is of one group has one number: vitest refuses others.
          maxWorkers: '150%',
          include: ['lib/**/*.sweep.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**'],
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'real',
          include: ['**/*.real.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**'],
          // A hang is found all the same: a machine that is busy with others takes thrice as long.
          testTimeout: 900_000,
          // All drills run in one hook: some 400 s on a quiet machine.
          hookTimeout: 1_800_000,
          globalSetup: 'tools/fresh-bundles.ts',
          sequence: { groupOrder: 1 },
          // Each file has an instance of its own. Two guests at a time are what two cores can emulate in the time that
          // the product grants a boot; with three, programs end before they are seen to have started.
          maxWorkers: 2,
        },
      },
    ],
  },
});

export default config;
