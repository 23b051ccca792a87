import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arbitraryMachines, arbitraryPolicy, AT } from '../testing/arbitrary.ts';
import { judgePacket } from '../testing/interpreter.ts';
import {
  changeMachine,
  compileNetwork,
  isFar,
  parseAddress,
  parseFarMachines,
  parseMachines,
  parsePolicy,
  ReachModel,
  renderTable,
} from './index.ts';
import type { AnyMachine, Network } from './index.ts';
import { parseRange } from './address.ts';
import type { Ruleset } from './ruleset.ts';

const AT_SECONDS: number = Date.parse(AT) / 1000;
const OUTSIDE = [
  ...['198.51.100.7', '192.0.2.1', '2001:db8::1'],
  ...['169.254.169.254', '127.0.0.1', '203.0.113.9', '100.100.100.200', 'fe80::5', 'fd00:ec2::254'],
  // At home, in somebody's.
  ...['10.77.1.2', '10.78.1.2', '192.168.3.4', '172.16.0.1', 'fd77::1', 'fd78::1'],
];
const HOST = [{ ...parseRange('203.0.113.0/24', ''), what: 'the host itself' }];
const QUESTIONS = [
  { protocol: 6, number: 22 },
  { protocol: 6, number: 5433 },
  { protocol: 17, number: 443 },
  { protocol: 1, number: 8 },
  { protocol: 1, number: 13 },
  { protocol: 58, number: 128 },
  { protocol: 47, number: 0 },
];

function networkOf(policy: unknown): Network {
  const [network] = parsePolicy(policy).networks;
  if (network === undefined) throw new Error('no network');
  return network;
}

function policyOf(rules: readonly unknown[], more: object = {}): unknown {
  const network = { name: 'app', addresses: ['10.20.0.0/16', 'fd00:20::/64'], rules, ...more };
  return { version: 1, tenant: 'acme', networks: [network] };
}

function machineOf(index: number, labels: object): unknown {
  const low = `${index >> 8}.${index & 255}`;
  const mac = `52:54:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`;
  const addresses = [`10.20.${low}`, `fd00:20::${(index + 1).toString(16)}`];
  return { name: `m${index}`, labels, addresses, mac, interface: `t${index}` };
}

function compileText(rules: readonly unknown[], machines: readonly unknown[], more: object = {}): Ruleset {
  const network = networkOf(policyOf(rules, more));
  return compileNetwork(network, parseMachines(machines, network)).ruleset;
}

describe('compileNetwork()', () => {
  test('lets through what the model allows and nothing else, for every pair of machines and addresses out there', () => {
    fc.assert(
      fc.property(arbitraryPolicy, arbitraryMachines, (policy, list) => {
        const network = networkOf(policy);
        const near = parseMachines(list.slice(0, 4), network);
        const machines = [...near, ...parseFarMachines(list.slice(4).map(asFar), network, near)];
        const { ruleset } = compileNetwork(network, machines, { protectedRanges: HOST });
        const model = new ReachModel(network, machines, HOST);
        for (const sender of machines) {
          for (const { from, to } of journeys(sender, machines)) {
            for (const question of QUESTIONS) {
              const flow = {
                from: parseAddress(from, ''),
                to: parseAddress(to, ''),
                ...question,
                atSeconds: AT_SECONDS,
              };
              const mac = isFar(sender) ? '' : sender.mac;
              const packet = { ...question, from, to, iifname: sender.interface, oifname: '', mac };
              const { accepted } = judgePacket(ruleset, { ...packet, atSeconds: AT_SECONDS });
              // Nobody is there to be asked: forwarding ends at the routing table, not at a rule.
              if (model.decide(flow).reason === 'no-way-out' || model.decide(flow).reason === 'nobody-there') continue;
              expect({ ...question, from, to, accepted }).toEqual({
                ...question,
                from,
                to,
                accepted: model.decide(flow).allowed,
              });
            }
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  test('drops and counts what a machine sends as somebody else, from another card or on another cable', () => {
    const ruleset = compileText([allowAll()], [machineOf(0, {}), machineOf(1, {})]);
    const honest = {
      iifname: 't0',
      oifname: 't1',
      mac: '52:54:00:00:00:00',
      from: '10.20.0.0',
      to: '10.20.0.1',
      protocol: 6,
      number: 80,
      atSeconds: 0,
    };
    expect(judgePacket(ruleset, honest)).toEqual({ accepted: true, counted: [] });
    for (const lie of [
      { from: '10.20.0.1' },
      { mac: '52:54:00:00:00:01' },
      { iifname: 't1' },
      { from: 'fd00:20::2' },
    ]) {
      expect(judgePacket(ruleset, { ...honest, ...lie }), JSON.stringify(lie)).toEqual({
        accepted: false,
        counted: ['spoofed'],
      });
    }
  });

  test('takes from a tunnel what machines at its other end send, and counts what claims to be anybody else', () => {
    const network = networkOf(policyOf([allowAll()], { internet: 'nat' }));
    const near = parseMachines([machineOf(0, {}), machineOf(1, {})], network);
    const far = [
      // While the keys of that tunnel are changed, there is the one before it, too.
      { ...asFar(machineOf(2, {}), 0), interface: 'wgb', olderInterface: 'wga' },
      { ...asFar(machineOf(3, {}), 1), interface: 'wgc' },
    ];
    const { ruleset } = compileNetwork(network, [...near, ...parseFarMachines(far, network, near)]);
    const honest = {
      iifname: 'wgb',
      oifname: 't1',
      mac: '',
      from: '10.20.0.2',
      to: '10.20.0.1',
      protocol: 6,
      number: 80,
    };
    for (const iifname of ['wgb', 'wga'])
      expect(judgePacket(ruleset, { ...honest, iifname, atSeconds: 0 })).toEqual({ accepted: true, counted: [] });
    const lies = [
      { from: '10.20.0.0' }, // a machine of ours
      { iifname: 'wga', from: '10.20.0.3' },
      { from: '10.20.0.3' }, // one behind the other tunnel
      { from: '10.20.0.77' }, // nobody
      { from: 'fd00:20::4' },
      { iifname: 't0', mac: '52:54:00:00:00:00' }, // ours, as one of theirs
      { iifname: 'uplink' },
    ];
    for (const lie of lies) {
      expect(judgePacket(ruleset, { ...honest, ...lie, atSeconds: 0 }), JSON.stringify(lie)).toEqual({
        accepted: false,
        counted: ['spoofed'],
      });
    }
  });

  test('says of what is protected that it is, and of the rest that no rule allows it', () => {
    const ruleset = compileText([{ ...allowAll(), services: ['tcp/443'] }], [machineOf(0, {})], { internet: 'nat' });
    const out = { iifname: 't0', oifname: 'uplink', mac: '52:54:00:00:00:00', from: '10.20.0.0', protocol: 6 };
    const counted = (to: string, number: number): string[] =>
      judgePacket(ruleset, { ...out, to, number, atSeconds: 0 }).counted;
    expect(counted('198.51.100.7', 443)).toEqual([]);
    expect(counted('198.51.100.7', 80)).toEqual(['refused']);
    expect(counted('10.77.0.1', 443)).toEqual(['refused']);
    expect(counted('169.254.169.254', 443)).toEqual(['protected']);
    expect(counted('168.63.129.16', 443)).toEqual(['protected']);
  });

  test('lets no machine of another host out by the way of this one', () => {
    const network = networkOf(policyOf([allowAll()], { internet: 'nat' }));
    const near = parseMachines([machineOf(0, {})], network);
    const far = parseFarMachines([asFar(machineOf(2, {}), 0)], network, near);
    const { ruleset } = compileNetwork(network, [...near, ...far]);
    const out = { oifname: 'uplink', mac: '', to: '198.51.100.7', protocol: 6, number: 443, atSeconds: 0 };
    const theirs = { ...out, iifname: 'wgbeta', from: '10.20.0.2' };
    expect(judgePacket(ruleset, theirs)).toEqual({ accepted: false, counted: ['refused'] });
    const ours = { ...out, iifname: 't0', mac: '52:54:00:00:00:00', from: '10.20.0.0' };
    expect(judgePacket(ruleset, ours).accepted).toBe(true);
  });

  test('needs as many rules for a thousand machines in twenty groups as for two', () => {
    const rules = Array.from({ length: 20 }, (_, index) => ({
      ...allowAll(),
      name: `r${index}`,
      to: { labels: { role: `g${index}` } },
    }));
    const sizes = [2, 1_000].map((count) => {
      const machines = Array.from({ length: count }, (_, index) =>
        machineOf(index, { role: `g${index % 20}`, id: `x${index}` }),
      );
      const { tables } = compileText(rules, machines);
      const inet = tables.find(({ family }) => family === 'inet');
      return {
        rules: tables.flatMap(({ chains }) => chains.flatMap((chain) => chain.rules)).length,
        pairs: inet?.sets.find(({ name }) => name === 'pairs')?.elements.length,
      };
    });
    expect(sizes[1]?.rules).toBe(sizes[0]?.rules);
    expect(sizes[1]?.pairs).toBe(400);
  });

  test('names everything by what it is: a rule more leaves the numbers of all others', () => {
    const first = [rule('one', 'a', 'b'), rule('two', 'b', 'c')];
    const machines = ['a', 'b', 'c'].map((role, index) => machineOf(index, { role }));
    const values = (rules: readonly unknown[]): string[] =>
      compileText(rules, machines).tables.flatMap(({ sets }) =>
        sets
          .filter(({ name }) => name !== 'groups6')
          .flatMap(({ elements }) => elements.map((element) => JSON.stringify(element))),
      );
    const after = new Set(values([rule('zero', 'x', 'y'), ...first]));
    expect(values(first).filter((element) => !after.has(element))).toEqual([]);
  });

  test('refuses rules that multiply beyond what the kernel should hold', () => {
    const machines = Array.from({ length: 700 }, (_, index) => machineOf(index, { role: `g${index}` }));
    const rules = Array.from({ length: 700 }, (_, index) => rule(`r${index}`, `g${index}`, `g${index}`));
    expect(() => compileText([...rules, allowAll()], machines)).toThrow(
      expect.objectContaining({ code: 'too-complex' }),
    );
    expect(() => compileText(rules, machines)).not.toThrow();
  });

  test('renders to what a reviewer can read', () => {
    const rules = [
      { ...rule('web-to-db', 'web', 'db'), log: true },
      { name: 'out', action: 'allow', from: 'any', to: { addresses: ['198.51.100.0/24'] }, services: ['tcp/443'] },
    ];
    const machines = [machineOf(0, { role: 'web' }), machineOf(1, { role: 'db' })];
    const { tables } = compileText(rules, machines, { internet: 'nat' });
    const lines = tables.flatMap((table) => renderTable(table)).map((command) => JSON.stringify(command));
    expect(lines.join('\n')).toMatchSnapshot();
  });
});

describe('changeMachine()', () => {
  const rules = [rule('one', 'a', 'b')];
  const all = Array.from({ length: 10 }, (_, index) => machineOf(index, { role: index % 2 === 0 ? 'a' : 'b' }));
  const network = networkOf(policyOf(rules));
  const machines = parseMachines(all, network);
  const last = machines.slice(-1);

  test('adds what compiling all of it anew would add, in six elements, and takes it away again', () => {
    const before = compileNetwork(network, machines.slice(0, -1));
    for (const machine of last) {
      const added = changeMachine(before, 'add', machine);
      expect(elementsOf(added?.compiled.ruleset)).toEqual(elementsOf(compileNetwork(network, machines).ruleset));
      expect(added?.changes).toHaveLength(6);
      const gone = added === undefined ? undefined : changeMachine(added.compiled, 'delete', machine);
      expect(elementsOf(gone?.compiled.ruleset)).toEqual(elementsOf(before.ruleset));
    }
    expect(last).toHaveLength(1);
  });

  test('adds a machine of another host in four elements: it has no card here', () => {
    const near = machines.slice(0, -1);
    const before = compileNetwork(network, near);
    for (const machine of parseFarMachines(all.slice(-1).map(asFar), network, near)) {
      const added = changeMachine(before, 'add', machine);
      expect(elementsOf(added?.compiled.ruleset)).toEqual(
        elementsOf(compileNetwork(network, [...near, machine]).ruleset),
      );
      expect(added?.changes).toHaveLength(4);
    }
    expect.assertions(2);
  });

  test('knows that it knows no such machine', () => {
    const compiled = compileNetwork(network, machines.slice(0, 1));
    expect(last.map((machine) => changeMachine(compiled, 'add', machine))).toEqual([undefined]);
  });
});

function elementsOf(ruleset: Ruleset | undefined): string[] | undefined {
  return ruleset?.tables.flatMap(({ family, sets }) =>
    sets.flatMap(({ name, elements }) => elements.map((element) => JSON.stringify([family, name, element]))),
  );
}

function rule(name: string, from: string, to: string): object {
  return {
    name,
    action: 'allow',
    from: { labels: { role: from } },
    to: { labels: { role: to } },
    services: ['tcp/5432'],
  };
}

/** The same machine, but on one of two other hosts. */
function asFar(machine: unknown, index: number): object {
  const { name, labels, addresses } = Object(machine);
  const host = index % 2 === 0 ? 'beta' : 'gamma';
  return { name, labels, addresses, host, interface: `wg${host}` };
}

function allowAll(): object {
  return { name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] };
}

function journeys(sender: AnyMachine, machines: readonly AnyMachine[]): { from: string; to: string }[] {
  return sender.addresses.flatMap((own) => {
    const others = machines.filter((machine) => machine !== sender).flatMap(({ addresses }) => addresses);
    const inside = others.filter(({ family }) => family === own.family).map((address) => address.text);
    const outside = OUTSIDE.filter((text) => text.includes(':') === (own.family === 6));
    return [...inside, ...outside].map((to) => ({ from: own.text, to }));
  });
}
