import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAccounts } from './accounts.ts';
import { readRecord, stopServices, writeRecord } from './control.ts';
import { pathsOf, type Paths } from './paths.ts';
import { answers, endProcess, isAlive, refOf } from './processes.ts';
import { isReachable, prepareRuntime, removeOldRuntimes } from './runtime.ts';
import {
  MALLOC_SETTINGS,
  NODE_FLAGS,
  serviceArgv,
  serviceDirectories,
  serviceEnvironment,
  SERVICES,
  type Runtime,
} from './table.ts';

let directory: string;
let paths: Paths;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rw-services-'));
  chmodSync(directory, 0o755);
  paths = pathsOf({ RINGWALL_STATE: join(directory, 'state'), RINGWALL_RUN: join(directory, 'run') });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const RUNTIME: Runtime = { kind: 'bundles', node: '/opt/node', directory: '/srv/r', id: '0123456789abcdef' };

describe('pathsOf()', () => {
  it('has defaults, and takes others', () => {
    expect(pathsOf({})).toMatchObject({ state: '/var/lib/ringwall', apiSocket: '/run/ringwall/api.sock' });
    expect(pathsOf({ RINGWALL_RUN: '/tmp/x/' }).brokerSocket).toBe('/tmp/x/broker/broker.sock');
    expect(pathsOf({ RINGWALL_STATE: '' }).state).toBe('/var/lib/ringwall');
  });

  it.each(['x', './x', '~'])('refuses %j', (path) => {
    expect(() => pathsOf({ RINGWALL_STATE: path })).toThrow('absolute');
  });
});

describe('serviceArgv()', () => {
  it('makes the daemon and the broker users without a capability, for good', () => {
    const prlimit = ['/usr/bin/prlimit', '--core=1', '--'];
    const setpriv = [
      '--init-groups',
      '--inh-caps=-all',
      '--ambient-caps=-all',
      '--bounding-set=-all',
      '--no-new-privs',
      '--',
    ];
    expect(SERVICES.map((service) => serviceArgv(service, RUNTIME))).toEqual([
      [...prlimit, '/opt/node', ...NODE_FLAGS, '/srv/r/warden.mjs'],
      [
        ...prlimit,
        '/usr/bin/setpriv',
        '--reuid=ringwall-broker',
        '--regid=ringwall-broker',
        ...setpriv,
        '/opt/node',
        ...NODE_FLAGS,
        '/srv/r/broker.mjs',
      ],
      [
        ...prlimit,
        '/usr/bin/setpriv',
        '--reuid=ringwall',
        '--regid=ringwall',
        ...setpriv,
        '/opt/node',
        ...NODE_FLAGS,
        '/srv/r/ringwalld.mjs',
      ],
    ]);
  });

  it('lets nothing of our environment through', () => {
    expect(serviceEnvironment(paths)).toEqual({
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      LANG: 'C.UTF-8',
      ...MALLOC_SETTINGS,
      RINGWALL_STATE: paths.state,
      RINGWALL_RUN: paths.run,
    });
  });
});

describe('serviceDirectories()', () => {
  it('come with their parents first, and give no service another’s', () => {
    const directories = serviceDirectories(paths);
    const roots = new Set([dirname(paths.state), dirname(paths.run)]);
    for (const [index, { path }] of directories.entries()) {
      const parentIsThere =
        roots.has(dirname(path)) || directories.slice(0, index).some((each) => each.path === dirname(path));
      expect(parentIsThere, path).toBe(true);
    }
    const open = directories
      .filter(({ mode }) => (mode & 0o022) !== 0)
      .map(({ path, mode }) => [path, mode.toString(8)]);
    // The one directory that a service shares: sticky, so that it cannot take away what others made there.
    expect(open).toEqual([[paths.run, '1775']]);
  });
});

describe('readAccounts()', () => {
  it('reads ids, and says how a missing one is made', () => {
    const [passwd, group] = [join(directory, 'passwd'), join(directory, 'group')];
    writeFileSync(passwd, 'root:x:0:0:root:/root:/bin/sh\nringwall:x:990:991::/nonexistent:/usr/sbin/nologin\n');
    writeFileSync(group, 'root:x:0:\nringwall:x:991:alice\n');
    const accounts = readAccounts('./ringwall', passwd, group);
    expect(accounts.uidOf('ringwall')).toBe(990);
    expect(accounts.gidOf('ringwall')).toBe(991);
    expect(() => accounts.uidOf('ringwall-broker')).toThrow('the system user ringwall-broker is missing');
  });
});

describe('prepareRuntime()', () => {
  const id = '0123456789abcdef';
  function dist(): string {
    const made = join(directory, 'private/dist');
    mkdirSync(join(made, 'guest'), { recursive: true });
    for (const { bundle } of SERVICES) writeFileSync(join(made, bundle), '');
    writeFileSync(join(made, 'guest/init'), '', { mode: 0o700 });
    writeFileSync(join(made, 'build.json'), JSON.stringify({ id, version: '1' }));
    chmodSync(join(directory, 'private'), 0o700);
    mkdirSync(paths.runtime, { recursive: true });
    chmodSync(paths.state, 0o755);
    return made;
  }

  it('copies the bundles of a private checkout to where every service may read them', () => {
    const from = dist();
    expect(isReachable(from)).toBe(false);
    const runtime = prepareRuntime({ kind: 'bundles', directory: from, entry: '' }, paths);
    expect(runtime).toMatchObject({ kind: 'bundles', directory: join(paths.runtime, id), id });
    for (const file of ['warden.mjs', 'guest/init'])
      expect(isReachable(join(runtime.directory, file)), file).toBe(true);
    expect(statSync(join(runtime.directory, 'guest/init')).mode & 0o777).toBe(0o744);
    expect(isReachable(runtime.node)).toBe(true);
    expect(readdirSync(paths.runtime).filter((name) => name.includes('unfinished'))).toEqual([]);
  });

  it('keeps what was copied, so that a running service never changes', () => {
    const installation = { kind: 'bundles', directory: dist(), entry: '' } as const;
    const { directory: copied } = prepareRuntime(installation, paths);
    writeFileSync(join(installation.directory, 'warden.mjs'), 'changed without a build');
    prepareRuntime(installation, paths);
    expect(statSync(join(copied, 'warden.mjs')).size).toBe(0);
  });

  it('says which bundle is missing', () => {
    const from = dist();
    rmSync(join(from, 'broker.mjs'));
    expect(() => prepareRuntime({ kind: 'bundles', directory: from, entry: '' }, paths)).toThrow('lacks broker.mjs');
  });

  it('refuses a state directory that the services cannot come to', () => {
    const from = dist();
    chmodSync(paths.state, 0o700);
    expect(() => prepareRuntime({ kind: 'bundles', directory: from, entry: '' }, paths)).toThrow('may not enter');
  });

  it('removes older builds, and only those', () => {
    const runtime = prepareRuntime({ kind: 'bundles', directory: dist(), entry: '' }, paths);
    mkdirSync(join(paths.runtime, 'fedcba9876543210'));
    removeOldRuntimes(paths, runtime);
    expect(readdirSync(paths.runtime)).toContain(id);
    expect(readdirSync(paths.runtime)).not.toContain('fedcba9876543210');
  });
});

describe('processes', () => {
  it('are ended by their pid and start time', async () => {
    const child = spawn('/bin/sleep', ['60']);
    const ref = refOf(child.pid ?? 0);
    expect(ref).toBeDefined();
    if (ref === undefined) return;
    expect(isAlive(ref)).toBe(true);
    // A pid that was given away again is not ours.
    expect(isAlive({ ...ref, startTicks: '1' })).toBe(false);
    expect(await endProcess({ ...ref, startTicks: '1' }, 0)).toBe('ended');
    expect(isAlive(ref)).toBe(true);
    expect(await endProcess(ref, 60_000)).toBe('ended');
    expect(isAlive(ref)).toBe(false);
  });

  it('that do not listen to reason are killed', async () => {
    const child = spawn('/bin/sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done']);
    await new Promise((resolve) => {
      child.stdout.once('data', resolve);
    });
    const ref = refOf(child.pid ?? 0);
    expect(ref === undefined ? 'gone' : await endProcess(ref, 100)).toBe('killed');
  });

  it('answers() tells a listener from a dead socket', async () => {
    const socket = join(directory, 's');
    expect(await answers(socket)).toBe(false);
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(socket, resolve);
    });
    expect(await answers(socket)).toBe(true);
    server.close();
  });
});

describe('records', () => {
  it('come back as they were, and a broken one is none', () => {
    mkdirSync(paths.records, { recursive: true });
    writeRecord(paths, 'ringwalld', { pid: 1, startTicks: '2', build: 'x' });
    expect(readRecord(paths, 'ringwalld')).toEqual({ pid: 1, startTicks: '2', build: 'x' });
    for (const text of ['', '{', '{"pid":"1"}', '[]', 'null']) {
      writeFileSync(join(paths.records, 'ringwalld.json'), text);
      expect(readRecord(paths, 'ringwalld'), text).toBeUndefined();
    }
  });

  it('stopServices() ends what they name, and leaves a process that has the pid by chance', async () => {
    mkdirSync(paths.records, { recursive: true });
    const child = spawn('/bin/sleep', ['60']);
    const ref = refOf(child.pid ?? 0) ?? { pid: 0, startTicks: '' };
    writeRecord(paths, 'ringwalld', { ...ref, build: '' });
    writeRecord(paths, 'ringwall-warden', { pid: process.pid, startTicks: '1', build: '' });
    expect(await stopServices(paths, () => {})).toEqual([
      { name: 'ringwalld', outcome: 'ended' },
      { name: 'ringwall-broker', outcome: 'did not run' },
      { name: 'ringwall-warden', outcome: 'did not run' },
    ]);
    expect(readRecord(paths, 'ringwalld')).toBeUndefined();
  });
});
