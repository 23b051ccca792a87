// Every shell script of the repository passes shellcheck: those of the guest, the one command, setup and CI.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const SHELLCHECK = '/usr/bin/shellcheck';
const NEEDED = existsSync(SHELLCHECK) ? '' : ' (skipped: needs shellcheck)';
const ROOT = resolve(import.meta.dirname, '..');
const ROOMS = ['apps/guest', 'tools', '.ci'];
/** Read by another script, so that no first line tells what they are. */
const PARTS = /\.sh$|^apps\/guest\/hello\/profile$/;

function isShell(path: string): boolean {
  return PARTS.test(path) || /^#!.*\b(?:ba)?sh\b/.test(readFileSync(join(ROOT, path), 'utf8'));
}

function scripts(): string[] {
  const files = ROOMS.flatMap((room) =>
    readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true, encoding: 'utf8' })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name))),
  );
  return ['ringwall', ...files].filter((path) => isShell(path));
}

describe('the shell scripts', () => {
  it('are found', () => {
    expect(scripts()).toEqual(
      expect.arrayContaining(['ringwall', '.ci/run', 'tools/setup/setup.sh', 'apps/guest/initrd/init']),
    );
    expect(scripts().length).toBeGreaterThan(15);
  });

  it.skipIf(NEEDED !== '')(`pass shellcheck${NEEDED}`, () => {
    const { status, stdout, stderr } = spawnSync(SHELLCHECK, ['--format=gcc', ...scripts()], {
      cwd: ROOT,
      encoding: 'utf8',
      // The busybox of the guest is told of in apps/guest/.shellcheckrc.
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
    });
    expect(stdout + stderr).toBe('');
    expect(status).toBe(0);
  });
});
