import { expect, test } from 'vitest';
import { fakeRun, runChecked } from './index.ts';

test('fakeRun() answers by the longest part of the command line that a rule names, and keeps what was asked', async () => {
  const fake = fakeRun({
    '/bin/a list': { stdout: 'one\n' },
    '/bin/a': (argv) => ({ code: argv.length, stderr: 'no' }),
  });
  expect((await fake.run(['/bin/a', 'list', '-l'])).stdout.toString()).toBe('one\n');
  await expect(runChecked(fake.run, ['/bin/a', 'other'])).rejects.toThrow('/bin/a ended with status 2: no');
  expect((await fake.run(['/bin/ab'])).code).toBe(127);
  expect(fake.calls.map(({ argv }) => argv.length)).toEqual([3, 2, 1]);
});
