import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeRun, type FakeAnswer } from '../exec/index.ts';
import { parseDpkgStatus, parseIndexTargets } from './debian.ts';
import { fetchPackages, kernelPackageName, parseCandidates } from './packages.ts';

const CONTENT = 'the package';
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');
const SHOW = '/usr/bin/apt-cache show';
const DOWNLOAD = '/usr/bin/apt-get download';
const STANZA = `Package: busybox-static\nVersion: 1:1.35.0-4\nArchitecture: amd64\nSHA256: ${SHA256}\n\n`;

describe('fetchPackages()', () => {
  let cacheDir: string;
  beforeEach(async () => {
    cacheDir = await mkdtemp(join(tmpdir(), 'ringwall-cache-'));
  });
  afterEach(async () => {
    await rm(cacheDir, { recursive: true, force: true });
  });
  const fetchWith = (rules: Readonly<Record<string, FakeAnswer>>): ReturnType<typeof fetchPackages> =>
    fetchPackages(['busybox-static'], { run: fakeRun(rules).run, cacheDir, progress: () => {} });
  const cached = (content: string): Promise<void> =>
    writeFile(join(cacheDir, 'busybox-static_1%3a1.35.0-4_amd64.deb'), content);

  it('takes a package that the cache has, without the network', async () => {
    await cached(CONTENT);
    expect(await fetchWith({ [SHOW]: { stdout: STANZA } })).toMatchObject([{ version: '1:1.35.0-4', sha256: SHA256 }]);
  });

  it('does not take a cached package that was changed', async () => {
    await cached('another package');
    await expect(fetchWith({ [SHOW]: { stdout: STANZA }, [DOWNLOAD]: { code: 100 } })).rejects.toMatchObject({
      code: 'image-failed',
    });
  });

  it('says what to do where a download fails, and leaves nothing behind', async () => {
    const offline = {
      code: 100,
      stderr: "E: Failed to fetch http://deb.debian.org/x  Could not resolve 'deb.debian.org'",
    };
    await expect(fetchWith({ [SHOW]: { stdout: STANZA }, [DOWNLOAD]: offline })).rejects.toMatchObject({
      message: `packages could not be downloaded: ${offline.stderr}`,
      hint: expect.stringContaining('check the network'),
    });
    expect(await readdir(cacheDir)).toEqual([]);
  });

  it('refuses a download that is not what the index promises', async () => {
    await expect(fetchWith({ [SHOW]: { stdout: STANZA }, [DOWNLOAD]: { code: 0 } })).rejects.toThrow(
      'busybox-static is not the package that the index promises',
    );
  });

  it('says what to do where apt knows no package', async () => {
    await expect(fetchWith({ [SHOW]: { code: 100, stderr: 'E: No packages found' } })).rejects.toMatchObject({
      message: 'apt knows no package busybox-static',
      hint: expect.stringContaining('apt-get update'),
    });
  });

  it('refuses a cache into which others may write', async () => {
    await chmod(cacheDir, 0o777);
    await expect(fetchWith({ [SHOW]: { stdout: STANZA } })).rejects.toThrow(/others may write into/);
  });
});

describe('kernelPackageName()', () => {
  const nameIn = (depends: string): Promise<string> => {
    const stdout = `Package: linux-image-cloud-amd64\nVersion: 6.1\nSHA256: ${SHA256}\nDepends: ${depends}\n`;
    return kernelPackageName({
      run: fakeRun({ [SHOW]: { stdout } }).run,
      cacheDir: '/nonexistent',
      progress: () => {},
    });
  };
  it('is what the metapackage depends on', async () => {
    expect(await nameIn('linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)')).toBe('linux-image-6.1.0-56-cloud-amd64');
    await expect(nameIn('coreutils')).rejects.toThrow('linux-image-cloud-amd64 names no kernel');
  });
});

describe('what apt and dpkg print', () => {
  it('is read by stanzas', () => {
    expect(
      parseCandidates(`${STANZA}Package: x\nVersion: 2\n`).map(({ name, version }) => `${name} ${version}`),
    ).toEqual(['busybox-static 1:1.35.0-4', 'x 2']);
    const status =
      'Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: deinstall ok config-files\nVersion: 2\n';
    expect(parseDpkgStatus(status)).toEqual([{ name: 'a', version: '1' }]);
  });

  it('gives only the sources that Debian signs', () => {
    const targets = [
      'Debian|main|bookworm|http://deb.debian.org/debian/',
      'Debian|main|bookworm|http://deb.debian.org/debian/',
      'Debian-Security|main|bookworm-security|http://deb.debian.org/debian-security/',
      'Debian|contrib|bookworm|http://deb.debian.org/debian/',
      'Debian|main|trixie|http://deb.debian.org/debian/',
      'Node Source|main|nodistro|https://deb.nodesource.com/node_20.x/',
      'Debian|main|bookworm|file:///x [trusted=yes]',
      '',
    ];
    expect(parseIndexTargets(targets.join('\n'))).toEqual([
      'deb http://deb.debian.org/debian/ bookworm main',
      'deb http://deb.debian.org/debian-security/ bookworm-security main',
    ]);
  });
});
