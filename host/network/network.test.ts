import { parseMachines, parsePolicy } from '@ringwall/netpolicy';
import { expect, test } from 'vitest';
import { fakeRun } from '../exec/index.ts';
import { applyBatch, cableCommands, inNamespace } from './index.ts';

test('cableCommands() gives a machine a route of its own, and writes its card down for good', () => {
  const json = {
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', addresses: ['10.20.0.0/16', 'fd00:20::/64'], rules: [] }],
  };
  const [network] = parsePolicy(json).networks;
  if (network === undefined) throw new Error('no network');
  const addresses = ['10.20.0.9', 'fd00:20::9'];
  const machine = { name: 'web', labels: {}, addresses, mac: '52:54:00:00:00:09', interface: 'rw9' };
  expect(parseMachines([machine], network).flatMap((found) => cableCommands(found))).toMatchInlineSnapshot(`
    [
      "link set dev rw9 up
    ",
      "address replace 169.254.1.1/32 dev rw9
    ",
      "address replace fe80::1/64 dev rw9 nodad
    ",
      "route replace 10.20.0.9/32 dev rw9
    ",
      "neighbour replace 10.20.0.9 lladdr 52:54:00:00:00:09 dev rw9 nud permanent
    ",
      "address replace fd00:20::/64 dev rw9 nodad noprefixroute
    ",
      "route replace fd00:20::9/128 dev rw9
    ",
      "neighbour replace fd00:20::9 lladdr 52:54:00:00:00:09 dev rw9 nud permanent
    ",
    ]
  `);
});

test('applyBatch() finds the command that nft refuses by trying shorter batches, without applying them', async () => {
  const tried: string[] = [];
  const fake = fakeRun({
    '/usr/bin/nsenter': (argv) => {
      tried.push(argv.includes('-c') ? 'dry' : 'real');
      return { code: argv.at(-1)?.includes('"bad"') === true ? 1 : 0, stderr: 'Error: no\n  such thing' };
    },
  });
  const command = (name: string): { add: { table: { family: string; name: string } } } => ({
    add: { table: { family: 'inet', name } },
  });
  const batch = ['a', 'b', 'c', 'd', 'bad', 'e', 'f'].map((name) => command(name));
  await expect(applyBatch(inNamespace(fake.run, '/run/x'), batch)).rejects.toThrow(
    'nft refuses command 5 of 7: Error: no such thing: {"add":{"table":{"family":"inet","name":"bad"}}}',
  );
  expect(tried.filter((kind) => kind === 'real')).toHaveLength(1);
});
