import { newMachineId } from '@ringwall/api/ids';
import { parseMachines, parsePolicy } from '@ringwall/netpolicy';
import { describe, expect, test } from 'vitest';
import { tapLauncher, tapName } from './index.ts';

describe('tapName()', () => {
  test('is a name that Linux, nftables and a policy take, and another for each machine', () => {
    const [network] = parsePolicy({
      version: 1,
      tenant: 'acme',
      networks: [{ name: 'app', addresses: ['10.0.0.0/24'], rules: [] }],
    }).networks;
    if (network === undefined) throw new Error('no network');
    const machines = [1, 2, 3].map((index) => ({
      name: `m${index}`,
      labels: {},
      addresses: [`10.0.0.${index}`],
      mac: '02:00:00:00:00:01',
      interface: tapName(newMachineId()),
    }));
    expect(parseMachines(machines, network)).toHaveLength(3);
    expect(tapName('mch_abcdefghijklmnop2345')).toBe('mabcdefghijklmn');
  });

  test('takes nothing but the id of a machine', () => {
    for (const id of ['', 'mch_', 'mch_../../etc/passwd0000', 'net_abcdefghijklmnop2345'])
      expect(() => tapName(id)).toThrow('is not a machine id');
  });
});

describe('tapLauncher()', () => {
  const file = '/run/ringwall/networks/net_abcdefghijklmnop2345';

  test('puts what differs behind a fixed text, as arguments', () => {
    const [perl, flag, script, end, ...rest] = tapLauncher({ file, name: 'mabc' }, 9);
    expect([perl, flag, end, ...rest]).toEqual(['/usr/bin/perl', '-e', '--', file, 'mabc', '9']);
    expect(tapLauncher({ file: '/elsewhere', name: 'mxyz' }, 7)[2]).toBe(script);
  });

  test('makes one that leads nowhere where no network is named', () => {
    expect(tapLauncher({ name: 'mabc' }, 9).slice(4)).toEqual(['', 'mabc', '9']);
  });

  test.each(['', 'a b', '../x', 'tap%d', 'm'.repeat(16)])('refuses the name %j', (name) => {
    expect(() => tapLauncher({ file, name }, 9)).toThrow(/no name of an interface|more than 15 characters/);
  });
});
