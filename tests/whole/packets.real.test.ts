// Watching a network by the command line, through daemon, warden and jail. No machine is needed: what machines send is in host/network/watch.
import { Instance } from '@ringwall/testkit';
import { expect, test } from 'vitest';

test('net watch ends with whoever asked, and leaves nothing that would keep the next one out', async () => {
  await using ringwall = await Instance.start();
  await ringwall.ok('network', 'create', 'app');
  for (let turn = 0; turn < 3; turn += 1) expect(await ringwall.ok('net', 'watch', '--seconds', '1')).toBe('');
  const unknown = await ringwall.cli('net', 'capture', 'web', '-o', '/dev/null');
  expect(unknown.stderr).toContain('there is no machine web');
});
