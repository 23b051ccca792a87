// `ringwall uninstall` on directories of its own; the services and units of this host are never touched.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pathsOf, type Paths } from '../services/paths.ts';
import { findRemains } from '../services/remains.ts';
import { renderUnits } from '../systemd-units.ts';
import { runCli, type Run } from '../testing/harness.ts';

const MACHINE = 'mch_aaaaaaaaaaaaaaaaaaaa';

let directory: string;
let paths: Paths;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rw-un-'));
  chmodSync(directory, 0o755);
  paths = pathsOf(environment());
  for (const path of ['state/runtime/x', `state/machines/${MACHINE}`, 'state/broker', 'run/services', 'run/machines']) {
    mkdirSync(join(directory, path), { recursive: true });
  }
  writeFileSync(join(directory, 'state/broker/root.key'), 'secret');
  writeFileSync(join(directory, 'state/not-ours'), '');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function environment(): Record<string, string> {
  return { RINGWALL_STATE: join(directory, 'state'), RINGWALL_RUN: join(directory, 'run') };
}

function uninstall(...options: string[]): Promise<Run> {
  return runCli(undefined, ['uninstall', ...options], { environment: environment() });
}

describe.skipIf(process.getuid?.() !== 0)('uninstall', () => {
  it('removes what the services run from, keeps machines and keys, and says what stays', async () => {
    const { code, stdout } = await uninstall();
    expect(code).toBe(0);
    expect(readdirSync(paths.state).toSorted()).toEqual(['broker', 'machines', 'not-ours']);
    expect(existsSync(paths.run)).toBe(false);
    expect(stdout).toContain(`${paths.state}: 1 machine, keys and images (ringwall uninstall --purge)`);
    expect(stdout).toContain('qemu-system-x86');
  });

  it('--dry-run changes nothing', async () => {
    const { code, stdout } = await uninstall('--purge', '--dry-run');
    expect(code).toBe(0);
    expect(stdout).toContain(join(paths.state, 'broker'));
    expect(existsSync(join(paths.state, 'broker/root.key'))).toBe(true);
    expect(existsSync(paths.runtime)).toBe(true);
  });

  it('--purge asks, and where nobody can be asked it removes nothing', async () => {
    const { code, stderr } = await uninstall('--purge');
    expect(code).toBe(2);
    expect(stderr).toContain('then say --yes');
    expect(existsSync(paths.runtime)).toBe(true);
  });

  it('--purge --yes removes all that is ours, and nothing else', async () => {
    expect((await uninstall('--purge', '--yes')).code).toBe(0);
    expect(readdirSync(paths.state)).toEqual(['not-ours']);
    expect(await uninstall('--purge', '--yes')).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing') });
  });

  it.each([[[]], [['--purge', '--yes']]])('is refused while a machine runs (%j)', async (options) => {
    mkdirSync(join(paths.run, 'machines', MACHINE));
    const { code, stderr } = await uninstall(...options);
    expect(code).toBe(7);
    expect(stderr).toContain(`a machine runs: ${MACHINE}`);
    expect(stderr).toContain(`ringwall stop ${MACHINE}`);
    expect(existsSync(paths.runtime)).toBe(true);
  });
});

it('findRemains() takes the units of this instance, and not those of another', () => {
  const units = join(directory, 'units');
  mkdirSync(units);
  const write = (state: string): void => {
    const runtime = { kind: 'bundles', node: '/n', directory: '/d', id: 'x' } as const;
    for (const { path, content } of renderUnits(pathsOf({ RINGWALL_STATE: state }), runtime)) {
      writeFileSync(join(units, path.slice(path.lastIndexOf('/') + 1)), content);
    }
  };
  write('/srv/another');
  expect(findRemains(paths, units).units).toEqual([]);
  write(paths.state);
  expect(findRemains(paths, units).units).toHaveLength(4);
});
