// What commands do about services that are missing, die while something is watched, or are of another build.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Services } from '../command-line.ts';
import type { Installation } from '../installation.ts';
import { FakeApi } from '../testing/fake-api.ts';
import { runCli } from '../testing/harness.ts';

const OWN = '0123456789abcdef';
const OTHER = 'fedcba9876543210';

let directory: string;
let installation: Installation;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rw-build-'));
  writeFileSync(join(directory, 'build.json'), JSON.stringify({ version: '0.1.0', id: OWN }));
  writeFileSync(join(directory, 'packages.txt'), '');
  installation = { kind: 'bundles', directory, entry: join(directory, 'ringwall.mjs') };
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function fakeServices(): { readonly [Name in keyof Services]: ReturnType<typeof vi.fn<Services[Name]>> } {
  return {
    start: vi.fn<Services['start']>(() => Promise.resolve()),
    revive: vi.fn<Services['revive']>(() => Promise.resolve()),
    renew: vi.fn<Services['renew']>(() => Promise.resolve()),
  };
}

describe('a service that dies while an operation is watched', () => {
  it.each(['run hello', 'start web', 'stop web'])('is started again by %s, once', async (line) => {
    await using api = await FakeApi.start();
    api.add('web');
    api.waitsFor = 'ringwall-broker';
    const services = fakeServices();
    const { code } = await runCli(api, line.split(' '), { services });
    expect(services.revive).toHaveBeenCalledTimes(1);
    expect(services.start).not.toHaveBeenCalled();
    expect(code).toBe(0);
  });

  it('is started again where it is ringwalld, and the command is never begun anew', async () => {
    await using api = await FakeApi.start();
    api.brokenStreams = 2;
    const services = fakeServices();
    const { code } = await runCli(api, ['run', 'hello'], { services });
    expect(services.revive).toHaveBeenCalledTimes(2);
    expect(services.start).not.toHaveBeenCalled();
    expect(api.bodies).toHaveLength(1);
    expect(code).toBe(0);
  });

  it('and cannot be started ends the watching with the reason', async () => {
    await using api = await FakeApi.start();
    api.waitsFor = 'ringwall-warden';
    const services = fakeServices();
    services.revive.mockRejectedValue(new RingwallError('warden-unavailable', 'the warden ended with exit code 1'));
    const { code, stderr } = await runCli(api, ['run', 'hello'], { services });
    expect(stderr).toContain('the warden ended with exit code 1');
    expect(code).toBe(6);
  });
});

describe('services of another build', () => {
  it('are warned of by every command, with what to do', async () => {
    await using api = await FakeApi.start();
    api.build = OTHER;
    for (const line of ['ls', 'logs nosuch']) {
      const { stderr } = await runCli(api, line.split(' '), { installation });
      expect(stderr, line).toContain('The services run another build of Ringwall than this command.');
      expect(stderr, line).toContain('ringwall down');
    }
  });

  it.each([
    ['of this build', OWN, []],
    ['from the sources', undefined, []],
    ['of another build, where a program asks', OTHER, ['--json']],
  ])('no word of services %s', async (_, build, options) => {
    await using api = await FakeApi.start();
    api.build = build;
    expect((await runCli(api, ['ls', ...options], { installation })).stderr).toBe('');
  });

  it('are offered for renewal before work that needs them', async () => {
    await using api = await FakeApi.start();
    const services = fakeServices();
    await runCli(api, ['run', 'hello'], { services });
    expect(services.renew.mock.calls.map(([, health]) => health.operations)).toEqual([0]);
    expect(services.start).not.toHaveBeenCalled();
  });

  it('are a finding of doctor', async () => {
    await using api = await FakeApi.start();
    api.processes = api.processes.map((process) => ({ ...process, build: OTHER }));
    api.hostProcesses = api.processes;
    const { stdout } = await runCli(api, ['doctor'], { installation });
    expect(stdout).toContain('another build runs as ringwalld, ringwall-warden, ringwall-broker');
    api.hostProcesses = api.processes.map((process) => ({ ...process, build: OWN }));
    expect((await runCli(api, ['doctor'], { installation })).stdout).not.toContain('another build');
  });
});
