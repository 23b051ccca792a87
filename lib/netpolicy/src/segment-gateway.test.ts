import { describe, expect, test } from 'vitest';
import { mergeCounts } from './counts.ts';
import type { Ruleset } from './ruleset.ts';
import { parseMachines } from './machine.ts';
import { parsePolicy } from './policy.ts';
import { compileGateways, compileSilence } from './segment-gateway.ts';

describe('compileGateways()', () => {
  const addresses = ['10.20.0.0/24', 'fd00:20::/64'];
  const rules = [{ name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] }];
  const [network] = parsePolicy({
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', mode: 'bridged', addresses, rules, shares: [{ machine: 'web', packetsPerSecond: 10 }] }],
  }).networks;
  if (network === undefined) throw new Error('no network');
  const machines = parseMachines(
    [{ name: 'web', labels: {}, addresses: ['10.20.0.1', 'fd00:20::1'], mac: '02:54:00:00:00:01', interface: 'm1' }],
    network,
  );
  const setsOf = ({ tables }: Ruleset, name: string): unknown[] =>
    tables.flatMap(({ sets }) => sets.filter((set) => set.name === name).flatMap(({ elements }) => elements));

  test('knows a machine by its gateway, and has no way from one to another whatever the rules say', () => {
    const { ruleset } = compileGateways(network, machines);
    expect(setsOf(ruleset, 'senders4')).toEqual([{ key: ['g1', '02:54:00:00:00:01', '10.20.0.1'] }]);
    expect(setsOf(ruleset, 'cables')).toEqual([{ key: ['g1', '02:54:00:00:00:01'] }]);
    for (const none of ['pairs', 'cells', 'decisions']) expect(setsOf(ruleset, none)).toEqual([]);
    expect(JSON.stringify(ruleset)).not.toContain('masquerade');
    const forward = ruleset.tables.flatMap(({ chains }) => chains.filter(({ hook }) => hook?.at === 'forward'));
    expect(forward.map(({ rules: all }) => all)).toEqual([[[{ verdict: { goto: 'refused' } }]]]);
  });

  test('hears questions for names and leases where the network serves them, and else none', () => {
    const hears = (dns: boolean): boolean =>
      compileGateways({ ...network, dns }, machines).ruleset.tables.some(({ chains }) =>
        JSON.stringify(chains.filter(({ name }) => name === 'input')).includes('udp dport'),
      );
    expect([hears(true), hears(false)]).toEqual([true, false]);
  });
});

test('where a switch is, the kernel hears what comes by gateways and nothing else, and logs what the switch hands it', () => {
  for (const { chains } of compileSilence(new Map([['denied no-smtp', 0x6000_0001]])).tables) {
    const [hooked, ...more] = chains.filter(({ hook }) => hook !== undefined);
    expect(more).toEqual([]);
    expect(hooked?.hook?.policy).toBe('drop');
    expect(hooked?.rules).toEqual([
      [{ match: ['iifname'], op: '==', to: 'g*' }, { verdict: 'accept' }],
      [{ match: ['iifname'], op: '==', to: 'switch' }, { decide: { map: 'refusals', key: ['ether daddr'] } }],
    ]);
    const others = chains.filter(({ hook }) => hook === undefined);
    expect(others.map(({ name }) => name)).toContain('log-60000001');
    // None leads back to where something else would become of it.
    expect(others.map(({ rules }) => rules.at(-1))).toEqual(others.map(() => [{ verdict: 'drop' }]));
    expect(JSON.stringify(others)).not.toMatch(/accept|goto|jump/);
  }
});

test('mergeCounts() adds up what both have counted', () => {
  const count = { packets: 2, bytes: 100 };
  const one = { refused: new Map([['spoofed', count] as const]), refusedFrom: new Map(), decisions: [] };
  const from = new Map([['g1', new Map([['spoofed', count] as const])]]);
  expect(mergeCounts(one, { ...one, refusedFrom: from })).toEqual({
    refused: new Map([['spoofed', { packets: 4, bytes: 200 }]]),
    refusedFrom: from,
    decisions: [],
  });
});
