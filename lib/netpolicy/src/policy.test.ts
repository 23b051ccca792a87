import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arbitraryPolicy } from '../testing/arbitrary.ts';
import { isForeign } from '../testing/is-foreign.ts';
import { exchange } from '../testing/exchange.ts';
import { parseMachines } from './machine.ts';
import { MAX_RULES, parsePolicy } from './policy.ts';

const RULE = { name: 'r', action: 'allow', from: 'any', to: { labels: { role: 'db' } }, services: ['tcp/5432'] };
const NETWORK = { name: 'app', addresses: ['10.20.0.0/16', 'fd00:20::/64'], rules: [RULE] };
const MACHINE = { name: 'm', labels: {}, addresses: ['10.20.0.1'], mac: '52:54:00:00:00:01', interface: 't0' };
const policyWith = (network: object): unknown => ({
  version: 1,
  tenant: 'acme',
  networks: [{ ...NETWORK, ...network }],
});
const withRule = (rule: object): unknown => policyWith({ rules: [{ ...RULE, ...rule }] });

describe('parsePolicy()', () => {
  test('reads a whole one', () => {
    const rule = {
      ...RULE,
      log: true,
      after: '2030-01-01T00:00:00Z',
      before: '2030-02-01T00:00:00Z',
      why: 'the shop’s data',
    };
    const policy = parsePolicy(policyWith({ labels: { role: ['db', 'web'] }, internet: 'nat', rules: [rule] }));
    expect(policy.networks[0]?.rules[0]).toMatchObject({
      name: 'r',
      log: true,
      after: 1_893_456_000,
      before: 1_896_134_400,
    });
  });

  test.each<[string, unknown, string]>([
    ['no object', [], 'malformed'],
    ['another version', { ...Object(policyWith({})), version: 2 }, 'malformed'],
    ['an unknown key', { ...Object(policyWith({})), extra: 1 }, 'malformed'],
    ['an unknown key of a rule', withRule({ ports: [1] }), 'malformed'],
    ['an end that is nothing', withRule({ from: {} }), 'malformed'],
    ['an end that is two things', withRule({ from: { machine: 'm', labels: {} } }), 'malformed'],
    ['no services', withRule({ services: [] }), 'malformed'],
    ['a name that closes a quote', withRule({ name: 'x" accept' }), 'name-invalid'],
    ['a name that ends a statement', withRule({ name: 'x; flush ruleset' }), 'name-invalid'],
    ['a name that is a reference', withRule({ name: '@senders' }), 'name-invalid'],
    ['a name with a new line', withRule({ name: 'x\n' }), 'name-invalid'],
    ['a label that opens a set', withRule({ to: { labels: { role: '{ 0.0.0.0/0 }' } } }), 'name-invalid'],
    ['a key that is a prototype', withRule({ to: { labels: JSON.parse('{"__proto__":"x"}') } }), 'name-invalid'],
    ['a label that is not declared', policyWith({ labels: { role: ['web'] } }), 'unknown-label'],
    ['a way out of a segment', policyWith({ mode: 'bridged', internet: 'nat' }), 'malformed'],
    ['another mode', policyWith({ mode: 'switched' }), 'malformed'],
    ['two rules of one name', policyWith({ rules: [RULE, RULE] }), 'overlap'],
    ['ranges that overlap', policyWith({ addresses: ['10.20.0.0/16', '10.20.4.0/24'] }), 'overlap'],
    ['networks that overlap', { version: 1, tenant: 'a', networks: [NETWORK, { ...NETWORK, name: 'two' }] }, 'overlap'],
    ['all addresses', policyWith({ addresses: ['0.0.0.0/0'] }), 'address-invalid'],
    ['this host', policyWith({ addresses: ['127.0.0.0/24'] }), 'address-invalid'],
    ['the metadata address', policyWith({ addresses: ['169.254.169.0/24'] }), 'address-invalid'],
    ['more than a network', policyWith({ addresses: ['32.0.0.0/7'] }), 'address-invalid'],
    ['IPv6 multicast', policyWith({ addresses: ['ff00::/64'] }), 'address-invalid'],
    ['a 30th of February', withRule({ after: '2030-02-30T00:00:00Z' }), 'time-invalid'],
    ['another time zone', withRule({ after: '2030-02-03T00:00:00+01:00' }), 'time-invalid'],
    [
      'an end before the beginning',
      withRule({ after: '2030-01-02T00:00:00Z', before: '2030-01-01T00:00:00Z' }),
      'time-invalid',
    ],
    ['a reason that moves the cursor', withRule({ why: '\u001b[2J' }), 'malformed'],
    ['a hundred thousand rules', policyWith({ rules: Array.from({ length: 100_000 }, () => RULE) }), 'too-many'],
  ])('refuses %s', (_, json, code) => {
    expect(() => parsePolicy(json)).toThrow(expect.objectContaining({ name: 'NetPolicyError', code }));
  });

  test('says where', () => {
    expect(() => parsePolicy(withRule({ services: ['tcp/22', 'tpc/80'] }))).toThrow(
      'networks[0].rules[0].services[1]: "tpc/80" is no service',
    );
  });

  test('throws nothing else, whatever the JSON', () => {
    fc.assert(
      fc.property(arbitraryPolicy, fc.jsonValue(), fc.nat(), (policy, junk, at) => {
        expect(isForeign(() => parsePolicy(exchange(policy, at, () => junk)))).toBe(false);
      }),
    );
  });

  test('says the same as policy.schema.json', () => {
    const text = readFileSync(join(import.meta.dirname, '../policy.schema.json'), 'utf8');
    const { $defs } = JSON.parse(text);
    const whole = { ...RULE, log: true, after: '', before: '', why: '' };
    expect(Object.keys($defs.rule.properties)).toEqual(Object.keys(whole));
    expect(Object.keys($defs.network.properties)).toEqual([
      'name',
      'addresses',
      'mode',
      'internet',
      'dns',
      'labels',
      'rules',
      'shares',
    ]);
    expect($defs.network.properties.rules.maxItems).toBe(MAX_RULES);
  });
});

describe('parseMachines()', () => {
  const [network] = parsePolicy(policyWith({})).networks;
  if (network === undefined) throw new Error('no network');

  test.each<[string, unknown[], string]>([
    ['an address of another network', [{ ...MACHINE, addresses: ['10.21.0.1'] }], 'address-invalid'],
    ['two addresses of one family', [{ ...MACHINE, addresses: ['10.20.0.1', '10.20.0.2'] }], 'address-invalid'],
    ['no address', [{ ...MACHINE, addresses: [] }], 'address-invalid'],
    ['an address that is taken', [MACHINE, { ...MACHINE, name: 'n', interface: 't1' }], 'overlap'],
    ['an interface that is taken', [MACHINE, { ...MACHINE, name: 'n', addresses: ['10.20.0.2'] }], 'overlap'],
    ['a multicast card', [{ ...MACHINE, mac: '01:00:5e:00:00:01' }], 'address-invalid'],
    ['an interface that is a pattern', [{ ...MACHINE, interface: 't*' }], 'name-invalid'],
    ['an interface that is too long', [{ ...MACHINE, interface: 'a234567890123456' }], 'name-invalid'],
    ['the way out', [{ ...MACHINE, interface: 'uplink' }], 'name-invalid'],
    ['an interface that is a path', [{ ...MACHINE, interface: '../x' }], 'name-invalid'],
  ])('refuses %s', (_, machines, code) => {
    expect(() => parseMachines(machines, network)).toThrow(expect.objectContaining({ code }));
  });
});
