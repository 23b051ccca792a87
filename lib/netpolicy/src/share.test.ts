import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  changeMachine,
  compileNetwork,
  DEFAULT_SHARE,
  type Machine,
  type Network,
  parseMachines,
  parsePolicy,
  renderUpdate,
  shareOf,
} from './index.ts';

const MACHINES = ['web', 'db'].map((role, index) => ({
  name: role,
  labels: { role },
  addresses: [`10.20.0.${index + 1}`],
  mac: `52:54:00:00:00:0${index + 1}`,
  interface: `t${index}`,
}));

function networkOf(shares: unknown): Network {
  const network = { name: 'app', addresses: ['10.20.0.0/24'], rules: [], labels: { role: ['web', 'db'] }, shares };
  const [parsed] = parsePolicy({ version: 1, tenant: 'acme', networks: [network] }).networks;
  if (parsed === undefined) throw new Error('no network');
  return parsed;
}

function compile(shares: unknown): { compiled: ReturnType<typeof compileNetwork>; machines: readonly Machine[] } {
  const network = networkOf(shares);
  const machines = parseMachines(MACHINES, network);
  return { compiled: compileNetwork(network, machines), machines };
}

describe('shares of a policy', () => {
  test.each([
    ['one that is no object', [7], 'networks[0].shares[0]'],
    ['an unknown key', [{ sendGbit: 1 }], 'sendGbit'],
    ['a rate of nothing', [{ sendMbit: 0 }], 'shares[0].sendMbit'],
    ['a rate that the kernel cannot count', [{ sendMbit: 40_001 }], 'shares[0].sendMbit'],
    ['a fraction', [{ connections: 1.5 }], 'shares[0].connections'],
    ['a text', [{ packetsPerSecond: '100' }], 'shares[0].packetsPerSecond'],
    ['labels that nobody has declared', [{ labels: { role: 'dbb' } }], 'role=dbb'],
    ['a name that is syntax', [{ machine: 'web; drop' }], 'shares[0]'],
    ['too many', Array.from({ length: 65 }, () => ({})), 'at most 64'],
  ])('are refused with %s', (_, shares, said) => {
    expect(() => networkOf(shares)).toThrow(said);
  });

  test('are found by the first that means a machine; what it does not say is as by default', () => {
    const { shares } = networkOf([{ machine: 'web', sendMbit: 5 }, { labels: { role: 'db' }, connections: 9 }, {}]);
    const [web, db] = MACHINES.map((machine) => shareOf(shares, machine));
    expect(web).toEqual({ ...DEFAULT_SHARE, sendMbit: 5 });
    expect(db).toEqual({ ...DEFAULT_SHARE, connections: 9 });
    expect(shareOf(shares, { name: 'other', labels: {} })).toEqual(DEFAULT_SHARE);
    expect(shareOf([], { name: 'other', labels: {} })).toEqual(DEFAULT_SHARE);
  });

  test('have the defaults that policy.schema.json names', () => {
    const text = readFileSync(join(import.meta.dirname, '../policy.schema.json'), 'utf8');
    const properties = Object(JSON.parse(text)).$defs.share.properties;
    expect(Object.fromEntries(Object.keys(DEFAULT_SHARE).map((key) => [key, properties[key].default]))).toEqual(
      DEFAULT_SHARE,
    );
  });
});

describe('compileNetwork()', () => {
  test('knows who has another share than most by the chains that its elements lead to', () => {
    const elements = (shares: unknown): string[] =>
      compile(shares).compiled.ruleset.tables.flatMap((table) =>
        table.sets
          .filter(({ name }) => /^(?:senders|others|openings)/.test(name) && table.family === 'inet')
          .flatMap((set) => set.elements.map(({ key }) => `${set.name} ${key.map(String).join(' ')}`)),
      );
    const [web, db] = ['t0 52:54:00:00:00:01 10.20.0.1', 't1 52:54:00:00:00:02 10.20.0.2'];
    const all = [`senders4 ${web}`, `senders4 ${db}`];
    expect(elements([])).toEqual(all);
    expect(elements([{ sendMbit: 7 }])).toEqual(all);
    expect(elements([{ machine: 'db', sendMbit: 7 }])).toEqual(['openings t1', `senders4 ${web}`, `others4 ${db}`]);
  });

  test('lets other shares come and go without making the table anew', () => {
    const [before, after] = [[], [{ machine: 'db', sendMbit: 7 }]].map((shares) => compile(shares).compiled.ruleset);
    if (before === undefined || after === undefined) throw new Error('nothing compiled');
    const verbs = (commands: readonly object[]): string[] =>
      commands.map((command) =>
        Object.entries(command)
          .map(([verb, what]) => `${verb} ${Object.keys(Object(what)).join()}`)
          .join(),
      );
    const forth = verbs(renderUpdate(before, after));
    expect(forth.filter((verb) => verb.includes('table'))).toEqual([]);
    expect(forth.filter((verb) => verb === 'add set')).toHaveLength(3);
    expect(forth.filter((verb) => verb === 'add element')).toHaveLength(3);
    const back = verbs(renderUpdate(after, before));
    expect(back.slice(0, 3)).toEqual(Array.from({ length: 3 }, () => 'delete element'));
    expect(back.filter((verb) => verb === 'delete set')).toHaveLength(3);
  });

  test('meters what a rule lets open, also where the rule logs or has its time', () => {
    const rule = { action: 'allow', from: 'any', to: 'any' };
    const rules = [
      { ...rule, name: 'plain', services: ['tcp/1'] },
      { ...rule, name: 'logged', services: ['tcp/2'], log: true },
      { ...rule, name: 'timed', services: ['tcp/3'], before: '2030-01-01T00:00:00Z', log: true },
    ];
    const network = { name: 'app', addresses: ['10.20.0.0/24'], rules };
    const [parsed] = parsePolicy({ version: 1, tenant: 'acme', networks: [network] }).networks;
    if (parsed === undefined) throw new Error('no network');
    const tables = compileNetwork(parsed, parseMachines(MACHINES, parsed)).ruleset.tables;
    const decided = tables.flatMap(({ sets, chains }) => [
      ...sets.filter(({ name }) => name === 'decisions').flatMap(({ elements }) => elements.map(({ value }) => value)),
      ...chains
        .filter(({ name }) => name.startsWith('decision-'))
        .flatMap(({ rules: own }) => own.flat())
        .flatMap((statement) => ('verdict' in statement ? [statement.verdict] : [])),
    ]);
    expect(decided.filter((verdict) => verdict === 'accept')).toEqual([]);
    expect(decided.filter((verdict) => Object(verdict).goto === 'opening')).toHaveLength(3);
  });

  test('counts some of many connections, as many as the kernel counts in time', () => {
    const counted = (connections: number): string[] =>
      compile([{ connections }]).compiled.ruleset.tables.flatMap((table) =>
        table.chains
          .filter(({ name }) => name === 'opening')
          .flatMap(({ rules }) => rules.flat())
          .flatMap((statement) =>
            'oneOf' in statement || ('over' in statement && 'connections' in statement.over)
              ? [JSON.stringify(statement)]
              : [],
          ),
      );
    expect(counted(100)).toEqual(['{"meter":"connections","key":["iifname"],"over":{"connections":100}}']);
    expect(counted(16_384)).toEqual([
      '{"oneOf":32}',
      '{"meter":"connections","key":["iifname"],"over":{"connections":512}}',
    ]);
  });
});

test('changeMachine() gives a machine the share that the policy has for it', () => {
  const { compiled, machines } = compile([{ machine: 'db', sendMbit: 7 }]);
  const [, db] = machines;
  const gone = db === undefined ? undefined : changeMachine(compiled, 'delete', db);
  expect(JSON.stringify(gone?.changes)).toContain('"openings"');
});
