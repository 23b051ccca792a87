// `snapshot` and `restore` against a daemon that answers.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeApi } from '../testing/fake-api.ts';
import { runCli } from '../testing/harness.ts';

let api: FakeApi;
beforeAll(async () => {
  api = await FakeApi.start();
  api.add('web');
  const first = api.snapshots.add('web', 1, '2026-11-20T12:00:00Z');
  api.snapshots.add('web', 2, '2026-11-21T11:59:00Z', first);
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

describe('clone', () => {
  it('makes another machine with the disk of a snapshot, and reports it', async () => {
    const { stdout, code } = await runCli(api, ['clone', 'web@1', '--name', 'twin']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('twin')]);
    expect(api.requests).toContain('POST /v1/machines/web/clones');
    expect(await runCli(api, ['clone', 'web', 'twin'])).toMatchObject({ code: 2 });
    expect(await runCli(api, ['clone', 'nobody'])).toMatchObject({ code: 3 });
  });
});

describe('snapshot', () => {
  it('takes one, and says how it ended', async () => {
    const { stdout, code } = await runCli(api, ['snapshot', 'web']);
    expect([code, stdout]).toEqual([0, 'web: done.\n']);
    expect(api.requests).toContain('POST /v1/machines/web/snapshots');
  });

  it('lists them with the time that the machine stood still', async () => {
    const { stdout } = await runCli(api, ['snapshot', 'ls']);
    expect(stdout).toMatch(/^SNAPSHOT +TAKEN +KIND +SIZE +STOOD STILL +ROOT\n/);
    expect(stdout).toMatch(/^web@1 +24 h +full +153 MiB +42 ms +5a5a/m);
    expect(stdout).toMatch(/^web@2 +1 min +since @1 +153 MiB +42 ms +5a5a/m);
    expect(JSON.parse((await runCli(api, ['snapshot', 'ls', '--json'])).stdout)).toMatchObject({
      snapshots: [{ sequence: 1 }, { sequence: 2 }],
    });
  });

  it('says what is whole, and where it is not', async () => {
    expect((await runCli(api, ['snapshot', 'verify', 'web@1'])).stdout).toBe(
      'web@1 is whole: each of its 153 records is what was sealed.\n',
    );
    api.snapshots.damage = [4096, 8192, 9000, 9999];
    const { stdout, code } = await runCli(api, ['snapshot', 'verify', 'web@1']);
    expect(stdout).toBe('web@1 is not what was sealed: 4 of 153 records are damaged, at byte 4096, 8192, 9000 ….\n');
    expect(code).toBe(4);
    expect((await runCli(api, ['snapshot', 'verify', 'web@1', '--json'])).code).toBe(4);
  });

  it('removes those that are named, and goes on behind one that is not there', async () => {
    const { stdout, stderr, code } = await runCli(api, ['snapshot', 'rm', 'web@7', 'web@1']);
    expect(stdout).toContain('web@1 is removed, and its key destroyed');
    expect(stderr).toContain('there is no web@7');
    expect(code).toBe(3);
    expect(await runCli(api, ['snapshot', 'rm'])).toMatchObject({ code: 2 });
  });
});

describe('restore', () => {
  it('asks for the newest, or for the one that is named', async () => {
    expect(await runCli(api, ['restore', 'web'])).toMatchObject({ code: 0, stdout: 'web: done.\n' });
    expect(api.bodies.at(-1)).toEqual({ rewind: false });
    await runCli(api, ['restore', 'web@2', '--rewind']);
    expect(api.bodies.at(-1)).toEqual({ sequence: 2, rewind: true });
    expect(await runCli(api, ['restore', 'nobody'])).toMatchObject({ code: 3 });
  });
});
