// `net plan` and `net apply` with files, good and bad.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeApi } from '../../testing/fake-api.ts';
import { runCli } from '../../testing/harness.ts';

const RULE = {
  name: 'w',
  action: 'allow',
  from: { labels: { role: 'web' } },
  to: { labels: { role: 'db' } },
  services: ['tcp/1'],
};
const policyOf = (...rules: readonly object[]): object => ({
  version: 1,
  tenant: 'default',
  networks: [{ name: 'app', addresses: ['10.20.0.0/16'], rules }],
});

let api: FakeApi;
let folder: string;
beforeEach(async () => {
  api = await FakeApi.start();
  folder = mkdtempSync(join(tmpdir(), 'ringwall-net-'));
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function fileOf(content: string | object): string {
  const path = join(folder, 'policy.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('net plan', () => {
  it('says what a file would open, and how it is applied', async () => {
    const path = fileOf(policyOf(RULE));
    const { code, stdout } = await runCli(api, ['net', 'plan', path]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: [
        'app  would be made',
        '  + opens   role=web → role=db  tcp/1  by w',
        '  ! no machine is role=web, which w is about',
        '  ! no machine is role=db, which w is about',
        `Nothing was changed. Apply it: ringwall net apply ${path}`,
        '',
      ].join('\n'),
    });
  });

  it('fails for rules that can never decide', async () => {
    const { code, stdout } = await runCli(api, ['net', 'plan', fileOf(policyOf(RULE, { ...RULE, name: 'same' }))]);
    expect(code).toBe(1);
    expect(stdout).toContain('✘ same never decides: w allows all of it');
    expect(stdout).toContain('--anyway');
  });

  it.each([
    ['{', 2, 'is not JSON'],
    [
      { ...policyOf(), networks: [{ name: 'a; flush ruleset', addresses: ['10.1.0.0/16'], rules: [] }] },
      2,
      'is not a name',
    ],
    [`"${' '.repeat(1_000_001)}"`, 1, 'at most 1000000'],
  ])('refuses %.20j', async (content, expected, message) => {
    const { code, stderr } = await runCli(api, ['net', 'plan', fileOf(content)]);
    expect(code).toBe(expected);
    expect(stderr).toContain(message);
  });

  it('names a file that is not there', async () => {
    const { code, stderr } = await runCli(api, ['net', 'plan', '/nonexistent/policy.json']);
    expect({ code, stderr }).toEqual({ code: 3, stderr: 'error: /nonexistent/policy.json cannot be read\n' });
  });
});

it('net map draws into a file what it is asked to, and nothing else', async () => {
  await runCli(api, ['network', 'create', 'app']);
  const path = join(folder, 'map.svg');
  expect((await runCli(api, ['net', 'map', '--svg', '-o', path])).code).toBe(0);
  expect(readFileSync(path, 'utf8')).toContain('app has no machines.');
  expect((await runCli(api, ['net', 'map', '--html'])).stdout).toMatch(/^<!doctype html>/);
  const { code, stderr } = await runCli(api, ['net', 'map', '-o', path]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('with --svg or --html')]);
});

it('net apply says what it did', async () => {
  const { code, stdout } = await runCli(api, ['net', 'apply', fileOf(policyOf(RULE)), '--anyway']);
  expect(code).toBe(0);
  expect(stdout).toContain('app  was made');
  expect(stdout).toContain('The policy is in force.');
  expect(api.bodies.at(-1)).toMatchObject({ policy: policyOf(RULE), anyway: true });
});

it('a command about a network asks which where there are several', async () => {
  for (const name of ['app', 'lab']) await runCli(api, ['network', 'create', name]);
  const { code, stderr } = await runCli(api, ['allow', 'all', 'all', 'ping']);
  expect(code).toBe(2);
  expect(stderr).toContain('name one by --network: app, lab');
});

it.each([
  [['allow', 'role=web', 'role=db', 'tcp/1', '--for', 'soon'], '--for "soon" is no time'],
  [['allow', 'role=web', 'role=db'], 'allow needs SERVICE'],
  [['allow', 'role=', 'role=db', 'ping'], '"role=" is no label'],
  [['allow', 'role=a,role=b', 'role=db', 'ping'], 'has a label with two values'],
])('%j is refused with a sentence', async (argv, message) => {
  await runCli(api, ['network', 'create', 'app']);
  const { code, stderr } = await runCli(api, argv);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

it('the internet is all that is neither of the network nor private', async () => {
  await runCli(api, ['network', 'create', 'app', '--addresses', '10.20.0.0/16']);
  await runCli(api, ['allow', 'all', 'internet', 'tcp/443']);
  expect(api.bodies.at(-1)).toEqual({
    rule: {
      ...{ name: 'all-to-internet-tcp-443', action: 'allow', from: { labels: {} }, services: ['tcp/443'] },
      to: {
        addresses: [
          ...['0.0.0.0-9.255.255.255', '11.0.0.0-100.63.255.255', '100.128.0.0-172.15.255.255'],
          ...['172.32.0.0-192.167.255.255', '192.169.0.0-255.255.255.255'],
          ...['::-fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'fe00::/7'],
        ],
      },
    },
  });
  expect((await runCli(api, ['net', 'rules'])).stdout).toContain('internet  tcp/443');
});
