import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { arbitraryMachines, arbitraryPolicy } from '../testing/arbitrary.ts';
import { compareNetworks } from './difference.ts';
import { findRuleTroubles } from './findings.ts';
import { parseMachines } from './machine.ts';
import { type Network, parsePolicy } from './policy.ts';

const NOW = { atSeconds: 1_900_000_000 };

function network(rules: readonly object[], more: object = {}): Network {
  const json = { version: 1, tenant: 'acme', networks: [{ name: 'app', addresses: ['10.20.0.0/16'], rules, ...more }] };
  const [found] = parsePolicy(json).networks;
  if (found === undefined) throw new Error('no network');
  return found;
}

function rule(name: string, from: string, to: string, more: object = {}): object {
  return {
    name,
    action: 'allow',
    from: { labels: { role: from } },
    to: { labels: { role: to } },
    services: ['tcp/5432'],
    ...more,
  };
}

describe('compareNetworks()', () => {
  test('says what a rule more opens, and by which rule', () => {
    expect(compareNetworks(network([]), network([rule('web-to-db', 'web', 'db')]), [], NOW)).toEqual({
      changes: [{ kind: 'opens', from: 'role=web', to: 'role=db', services: ['tcp/5432'], rule: 'web-to-db' }],
      more: 0,
    });
  });

  test('says what a rule that denies closes, and only as far as it was open', () => {
    const before = [rule('web-to-db', 'web', 'db', { services: ['tcp/80-90'] })];
    const deny = rule('no', 'web', 'db', { action: 'deny', services: ['tcp/85-100'] });
    expect(compareNetworks(network(before), network([...before, deny]), [], NOW).changes).toEqual([
      { kind: 'closes', from: 'role=web', to: 'role=db', services: ['tcp/85-90'], rule: 'no' },
    ]);
  });

  test('finds nothing where the same is said in other words', () => {
    const whole = [rule('both', 'web', 'db', { services: ['tcp/1-100'] })];
    const parts = [
      rule('b', 'web', 'db', { services: ['tcp/51-100'] }),
      rule('a', 'web', 'db', { services: ['tcp/1-50'] }),
    ];
    expect(compareNetworks(network(whole), network(parts), [], NOW).changes).toEqual([]);
  });

  test('tells a way out, by its ranges', () => {
    const out = [{ ...rule('out', 'web', 'db'), to: { addresses: ['198.51.100.0/24'] } }];
    const { changes } = compareNetworks(network(out), network(out, { internet: 'nat' }), [], NOW);
    expect(changes).toEqual([
      { kind: 'opens', from: 'role=web', to: 'outside, 198.51.100.0/24 …', services: ['tcp/5432'], rule: 'out' },
    ]);
  });

  test('finds nothing between a policy and itself', () => {
    fc.assert(
      fc.property(arbitraryPolicy, arbitraryMachines, (json, list) => {
        const [same] = parsePolicy(json).networks;
        if (same === undefined) throw new Error('no network');
        expect(compareNetworks(same, same, parseMachines(list, same), NOW).changes).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});

describe('findRuleTroubles()', () => {
  const troubles = (rules: readonly object[]): string[] =>
    findRuleTroubles(network(rules), [], NOW.atSeconds)
      .filter(({ kind }) => kind !== 'nobody')
      .map(({ kind, rule: name }) => `${kind} ${name}`);

  test.each<[string, object[], string[]]>([
    ['nothing in rules that say different things', [rule('a', 'web', 'db'), rule('b', 'db', 'web')], []],
    [
      'a rule that an earlier one says already',
      [rule('a', 'web', 'db', { from: 'any' }), rule('b', 'web', 'db')],
      ['shadowed b'],
    ],
    [
      'a rule that is denied wholly',
      [rule('a', 'web', 'db'), rule('d', 'web', 'db', { action: 'deny', services: ['tcp'] })],
      ['shadowed a'],
    ],
    [
      'a rule that is denied in part',
      [rule('a', 'web', 'db', { services: ['tcp'] }), rule('d', 'web', 'db', { action: 'deny' })],
      ['conflict a'],
    ],
    [
      'labels that one machine could have',
      [rule('a', 'web', 'db'), { ...rule('d', 'x', 'db', { action: 'deny' }), from: { labels: { env: 'test' } } }],
      ['conflict a'],
    ],
    [
      'no conflict of labels that nobody can have both of',
      [rule('a', 'web', 'db'), rule('d', 'app', 'db', { action: 'deny' })],
      [],
    ],
    ['a rule that is over', [rule('a', 'web', 'db', { before: '2020-01-01T00:00:00Z' })], ['over a']],
    [
      'a rule that leads out of a network without a way out',
      [{ ...rule('a', 'web', 'db'), to: { addresses: ['192.0.2.1'] } }],
      ['no-way-out a'],
    ],
    [
      'no shadow by a rule that ends sooner',
      [rule('a', 'web', 'db', { before: '2040-01-01T00:00:00Z' }), rule('b', 'web', 'db')],
      [],
    ],
  ])('finds %s', (_, rules, expected) => {
    expect(troubles(rules)).toEqual(expected);
  });

  test('says which ends mean nobody', () => {
    const machine = {
      name: 'm',
      labels: { role: 'web' },
      addresses: ['10.20.0.1'],
      mac: '52:54:00:00:00:01',
      interface: 't0',
    };
    const found = network([rule('a', 'web', 'db')]);
    expect(findRuleTroubles(found, parseMachines([machine], found), 0)).toEqual([
      { kind: 'nobody', rule: 'a', message: 'no machine is role=db, which a is about' },
    ]);
  });

  test('compares two thousand rules with each other', () => {
    const rules = Array.from({ length: 2_000 }, (_, index) => rule(`r${index}`, `a${index}`, `b${index}`));
    expect(troubles(rules)).toEqual([]);
  });

  test('walks through long lists of ranges once for each two rules, and refuses more rules with such than it has time for', () => {
    const ranges = (from: number): object => ({
      addresses: Array.from({ length: 256 }, (_, index) => `10.${20 + from}.${index}.0/25`),
    });
    const rules = Array.from({ length: 620 }, (_, index) =>
      rule(`r${index}`, '', '', {
        ...{ from: ranges(index % 200), to: ranges((index * 7) % 200), services: [`tcp/${index + 1}`] },
        ...(index % 2 === 0 ? {} : { action: 'deny' }),
      }),
    );
    expect(troubles(rules.slice(0, 100)).filter((found) => !found.startsWith('no-way-out'))).toEqual([]);
    expect(() => troubles(rules)).toThrow('multiply beyond what is allowed');
  });
});
