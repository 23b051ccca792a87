import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runTool, TemporaryFolder } from './tools.ts';

test('runTool() asks again where qemu-img could not measure the processor, and not where anything else failed', () => {
  using folder = new TemporaryFolder();
  const failing = (words: string): string[] => {
    return ['sh', '-c', `printf x >>tries; [ "$(wc -c <tries)" -gt 7 ] || { echo "qemu-img: ${words}" >&2; exit 1; }`];
  };
  const cwd = folder.path;
  expect(() => runTool(failing('no such file'), { cwd })).toThrow('qemu-img: no such file');
  runTool(failing('Unable to get accurate CPU usage'), { cwd });
  expect(readFileSync(folder.at('tries'), 'utf8')).toBe('x'.repeat(8));
  expect(() => runTool(['sh', '-c', 'echo Unable to get accurate CPU usage >&2; exit 1'])).toThrow(
    'accurate CPU usage',
  );
});
