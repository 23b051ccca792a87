// The system of the `debian` image: Debian 12 with systemd, made by mmdebstrap from this host's Debian sources. It works
// without privilege (fakechroot), and gives the same bytes for the same packages whoever builds it.
import { mkdir, readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { utf8 } from '@ringwall/bytes';
import { RingwallError } from '@ringwall/api';
import type { Run } from '../exec/index.ts';
import type { MadeSystem, SystemContext } from './build.ts';
import type { CpioEntry } from './cpio.ts';
import type { ImageSource } from './manifest.ts';
import { runtimeFilesIn } from './runtime-list.ts';
import { squashArchive } from './system-image.ts';
import { writeTree } from './tree.ts';

const SUITE = 'bookworm';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** Besides the essential packages and apt. */
const PACKAGES = ['systemd', 'systemd-sysv', 'udev', 'kmod', 'procps', 'iproute2'];
/** Neither is read on a server's serial console; together a third of the system. */
const EXCLUDED = ['/usr/share/man/*', '/usr/share/locale/*', '/usr/share/doc/*', '/usr/share/info/*'];
/** The licence of each package stays. */
const INCLUDED = ['/usr/share/doc/*/copyright'];
/** The day of Debian 12's release: what programs write down as "now" while they are installed. */
const SOURCE_DATE_EPOCH = '1686355200';
/** A slow line and two slow cores. */
const TIMEOUT_MS = 30 * 60 * 1000;
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;
const EXECUTABLE = 0o755;
const READABLE = 0o644;

const TOOLS = [
  { path: '/usr/bin/mmdebstrap', debianPackage: 'mmdebstrap' },
  { path: '/usr/bin/fakechroot', debianPackage: 'fakechroot' },
  { path: '/usr/bin/fakeroot', debianPackage: 'fakeroot' },
  { path: KEYRING, debianPackage: 'debian-archive-keyring' },
];

export async function debianSystem(image: string, context: SystemContext): Promise<MadeSystem> {
  const missing = TOOLS.filter(({ path }) => !existsSync(path)).map(({ debianPackage }) => debianPackage);
  if (missing.length > 0) {
    throw new RingwallError('host-lacks', `the debian image needs ${missing.join(', ')}`, {
      hint: `apt-get install ${missing.join(' ')}`,
    });
  }
  const { run, work, guestDir } = context;
  const files = join(work, 'files');
  const archive = join(work, 'system.tar');
  const status = join(work, 'dpkg-status');
  const tree = join(work, 'tree');
  const temporary = join(work, 'tmp');
  await writeTree(files, await debianEntries(guestDir));
  await mkdir(temporary, { mode: 0o755 });

  // Root has a real chroot; what only pretends to be one would let a package's script at this host's own files.
  const mode = process.getuid?.() === 0 ? 'root' : 'fakechroot';
  const customize = ['/bin/sh', join(guestDir, 'debian/customize')].map(quoted).join(' ');
  const argv = [
    ...['/usr/bin/mmdebstrap', `--mode=${mode}`, '--variant=minbase', '--format=tar', `--keyring=${KEYRING}`],
    '--skip=cleanup/apt', // `customize` does it
    `--include=${PACKAGES.join(',')}`,
    ...EXCLUDED.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    ...INCLUDED.map((pattern) => `--dpkgopt=path-include=${pattern}`),
    `--customize-hook=${customize} "$1" ${quoted(files)}`,
    `--customize-hook=cp "$1/var/lib/dpkg/status" ${quoted(status)}`,
    ...[SUITE, archive, ...(await debianSources(run))],
  ];
  const result = await run(argv, {
    timeoutMs: TIMEOUT_MS,
    maxOutputBytes: OUTPUT_LIMIT_BYTES,
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C.UTF-8',
      TZ: 'UTC',
      TMPDIR: temporary,
      SOURCE_DATE_EPOCH,
      ...PROXIES,
    },
    onLine: (line) => {
      const step = /^I: ([a-z][^/]*)$/.exec(line)?.[1];
      if (step !== undefined) context.progress(`Debian: ${step}`);
    },
  });
  if (result.code !== 0) throw failure(result.stderr.toString('utf8'));
  context.progress('making the system image');
  await squashArchive(archive, image, { run });
  context.progress('listing what may run');
  await unpackArchive(run, archive, tree);
  await rm(archive);
  const sources = parseDpkgStatus(await readFile(status, 'utf8'));
  const versions = new Map(sources.map(({ name, version }) => [name, version]));
  return { sources, files: await runtimeFilesIn(tree, versions) };
}

/** To be looked at: with nobody's owners and without devices, so that it takes no privilege. */
async function unpackArchive(run: Run, archive: string, tree: string): Promise<void> {
  await mkdir(tree);
  const argv = ['/usr/bin/tar', '--extract', `--file=${archive}`, `--directory=${tree}`, '--no-same-owner'];
  const result = await run([...argv, '--delay-directory-restore', '--exclude=./dev'], { timeoutMs: TIMEOUT_MS });
  if (result.code !== 0) throw failure(result.stderr.toString('utf8'));
}

/** Package and version of each installed package in /var/lib/dpkg/status. */
export function parseDpkgStatus(text: string): ImageSource[] {
  return text.split(/\n\n+/).flatMap((stanza) => {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
    return field('Status').endsWith(' installed') ? [{ name: field('Package'), version: field('Version') }] : [];
  });
}

/** Where this host's apt gets Debian 12 from, as lines of a sources.list. */
async function debianSources(run: Run): Promise<string[]> {
  const format = '--format=$(LABEL)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)';
  const { stdout } = await run(['/usr/bin/apt-get', 'indextargets', format, 'Created-By: Packages'], { env: PROXIES });
  const sources = parseIndexTargets(stdout.toString('utf8'));
  if (sources.length === 0) {
    throw new RingwallError('image-failed', `this host’s apt has no sources of Debian 12 (${SUITE})`, {
      hint: `add "deb http://deb.debian.org/debian ${SUITE} main" to /etc/apt/sources.list, then run \`apt-get update\``,
    });
  }
  return sources;
}

/** Pure. Only what Debian itself signs; this host's other sources do not belong into the image. */
export function parseIndexTargets(text: string): string[] {
  const lines = text.split('\n').flatMap((line) => {
    const [label = '', component = '', codename = '', uri = ''] = line.split('|');
    const known =
      /^Debian(-Security)?$/.test(label) && component === 'main' && /^bookworm(-updates|-security)?$/.test(codename);
    return known && /^[a-z+]+:\/\/[^\s[\]]+$/.test(uri) ? [`deb ${uri} ${codename} main`] : [];
  });
  return [...new Set(lines)];
}

async function debianEntries(guestDir: string): Promise<CpioEntry[]> {
  const copied = async (path: string, from: string, mode: number): Promise<CpioEntry> => ({
    kind: 'file',
    path,
    mode,
    content: await readFile(join(guestDir, from)),
  });
  const units = 'etc/systemd/system';
  return [
    await copied('usr/lib/ringwall/start', 'debian/start', EXECUTABLE),
    await copied('usr/lib/ringwall/power-button', 'common/power-button', EXECUTABLE),
    await copied('usr/lib/ringwall/show-machine', 'common/show-machine', EXECUTABLE),
    // For the initrd: this system wants a writable root.
    { kind: 'file', path: 'usr/lib/ringwall/writable', mode: READABLE, content: new Uint8Array(0) },
    await copied(`${units}/ringwall-start.service`, 'debian/ringwall-start.service', READABLE),
    {
      kind: 'link',
      path: `${units}/multi-user.target.wants/ringwall-start.service`,
      target: '../ringwall-start.service',
    },
    // Its file system is not in this kernel.
    { kind: 'link', path: `${units}/proc-sys-fs-binfmt_misc.automount`, target: '/dev/null' },
    await copied(`${units}/serial-getty@ttyS0.service.d/autologin.conf`, 'debian/autologin.conf', READABLE),
    await copied('etc/systemd/network/80-ringwall.network', 'debian/card.network', READABLE),
    await copied('etc/systemd/network/80-ringwall.link', 'debian/card.link', READABLE),
    await copied('usr/lib/ringwall/resolv.conf', 'debian/resolv.conf', READABLE),
    {
      kind: 'link',
      path: `${units}/multi-user.target.wants/systemd-networkd.service`,
      target: '/lib/systemd/system/systemd-networkd.service',
    },
    await copied('etc/apt/sources.list', 'debian/sources.list', READABLE),
    { kind: 'file', path: 'etc/hostname', mode: READABLE, content: utf8('ringwall\n') },
    { kind: 'file', path: 'etc/fstab', mode: READABLE, content: utf8('# The initrd mounts / and /data.\n') },
    { kind: 'directory', path: 'data', mode: 0o755 },
  ];
}

const PROXIES: Readonly<Record<string, string>> = Object.fromEntries(
  ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  }),
);

/** For mmdebstrap's hooks, which are lines of shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function failure(said: string): RingwallError {
  if (/No space left on device/.test(said)) {
    return new RingwallError('host-full', 'the disk is full', {
      hint: 'free some disk space: this image needs 2 GiB for a while',
    });
  }
  // The first error is the cause; what follows it is mmdebstrap giving up.
  const lines = said.trim().split('\n');
  const reason = lines.find((line) => line.startsWith('E: ')) ?? lines.at(-1) ?? '';
  return new RingwallError('image-failed', `mmdebstrap failed: ${reason.slice(0, 300)}`, {
    hint: 'check the network and /etc/apt/sources.list, then run `apt-get update` as root',
  });
}
