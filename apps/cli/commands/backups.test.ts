// `backups` against a daemon that answers.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeApi } from '../testing/fake-api.ts';
import { runCli } from '../testing/harness.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await FakeApi.start();
  api.add('web');
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

describe('backups', () => {
  it('plans them, says so, and ends them', async () => {
    const { stdout } = await runCli(api, ['backups', 'web', '--every', '6h', '--keep', 'last=4,daily=7']);
    expect(stdout).toContain('A snapshot of web is taken every 6 h while it runs; kept: last=4, daily=7.\n');
    expect(api.bodies.at(-1)).toEqual({ plan: { everyMinutes: 360, keep: { last: 4, daily: 7 } } });
    expect((await runCli(api, ['backups', 'web'])).stdout).toBe(stdout);
    expect((await runCli(api, ['backups'])).stdout).toMatch(/^MACHINE +TAKEN +KEPT\nweb +every 6 h +last=4, daily=7\n/);
    expect((await runCli(api, ['backups', 'web', '--off'])).stdout).toBe(
      'No snapshots of web are taken by themselves.\n',
    );
    expect((await runCli(api, ['backups'])).stdout).toContain('No machine is backed up by itself.');
  });

  it('keeps what most would keep, where nobody says', async () => {
    await runCli(api, ['backups', 'web', '--every', '1d']);
    const keep = { last: 3, daily: 7, weekly: 8, monthly: 12 };
    expect(api.bodies.at(-1)).toEqual({ plan: { everyMinutes: 1440, keep } });
  });

  it.each<[string, string[], RegExp]>([
    ['how often is missing', ['web', '--keep', 'last=2'], /backups web --every 6h --keep last=2/],
    ['the machine is missing', ['--every', '6h'], /no machine is named/],
    ['the time is none', ['web', '--every', 'often'], /as in --every 30m/],
    ['a kind is none', ['web', '--every', '6h', '--keep', 'yearly=3'], /last, hourly, daily, weekly, monthly/],
    ['a count is none', ['web', '--every', '6h', '--keep', 'daily=many'], /not a whole number/],
  ])('says what to do where %s', async (_, words, said) => {
    const { stderr, code } = await runCli(api, ['backups', ...words]);
    expect(stderr).toMatch(said);
    expect(code).toBe(2);
  });

  it('knows no machine that there is not', async () => {
    expect(await runCli(api, ['backups', 'nobody', '--every', '6h'])).toMatchObject({ code: 3 });
  });
});
