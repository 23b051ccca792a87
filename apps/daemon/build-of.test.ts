import { expect, test } from 'vitest';
import { parseBuild, readBuildOf } from './build-of.ts';

test.each([
  ['/usr/bin/node\0--enable-source-maps\0/var/lib/ringwall/runtime/0123456789abcdef/warden.mjs\0', '0123456789abcdef'],
  ['/usr/bin/node\0/srv/checkout/apps/warden/main.ts\0', undefined],
  ['/usr/bin/node\0/var/lib/ringwall/runtime/node-v26/warden.mjs\0', undefined],
  ['', undefined],
])('parseBuild() of %j is %s', (cmdline, build) => {
  expect(parseBuild(cmdline)).toBe(build);
});

test('readBuildOf() knows nothing of who is gone, or is no service of ours', async () => {
  expect(await readBuildOf(process.pid)).toBeUndefined();
  expect(await readBuildOf(2 ** 30)).toBeUndefined();
});
