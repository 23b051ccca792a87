// Fetches Debian packages for what goes into a guest: by apt-get, which checks them against the signed index, into a
// cache, and never from what happens to be installed on this host. Works for a user without any privilege.
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import type { Run } from '../exec/index.ts';
import { sha256File } from './image.ts';

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Where the cache has it. */
  readonly file: string;
}

export interface PackageOptions {
  readonly run: Run;
  readonly cacheDir: string;
  readonly progress: (step: string) => void;
}

interface Candidate {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly sha256: string;
  readonly depends: string;
}

/** 35 MB in all; ten minutes are enough for a slow line. */
const DOWNLOAD_TIMEOUT_MS = 600_000;
/** An unprivileged apt-cache builds its index anew at each call. */
const INDEX_TIMEOUT_MS = 60_000;
const UNPACK_TIMEOUT_MS = 120_000;
/** The kernel is configured for clouds: virtio, TPM and IMA, none of the drivers of real machines. */
const KERNEL_METAPACKAGE = 'linux-image-cloud-amd64';

/** The package that holds the kernel itself; the metapackage only depends on it. */
export async function kernelPackageName(options: PackageOptions): Promise<string> {
  const [meta] = await candidates([KERNEL_METAPACKAGE], options);
  const name = /\blinux-image-[0-9][a-z0-9.+-]*-cloud-amd64\b/.exec(meta?.depends ?? '')?.[0];
  if (name === undefined) throw new RingwallError('image-failed', `${KERNEL_METAPACKAGE} names no kernel`);
  return name;
}

/** The packages in the version that apt would install now. */
export async function fetchPackages(names: readonly string[], options: PackageOptions): Promise<DebianPackage[]> {
  await requireOwnDirectory(options.cacheDir);
  const found = await candidates(names, options);
  const missing: Candidate[] = [];
  for (const candidate of found) {
    if (!(await isIntact(candidate, options.cacheDir))) missing.push(candidate);
  }
  if (missing.length > 0) await download(missing, options);
  return found.map((candidate) => ({
    name: candidate.name,
    version: candidate.version,
    sha256: candidate.sha256,
    file: join(options.cacheDir, fileName(candidate)),
  }));
}

/** Unpacks the files of a package into a directory, and names them; none of its scripts run. */
export async function unpackPackage(run: Run, archive: DebianPackage, directory: string): Promise<string[]> {
  const result = await run(['/usr/bin/dpkg-deb', '--vextract', archive.file, directory], {
    timeoutMs: UNPACK_TIMEOUT_MS,
    env: APT_ENVIRONMENT,
  });
  if (result.code !== 0) throw failed(`${archive.name} could not be unpacked`, result.stderr, 'is the disk full?');
  return result.stdout
    .toString('utf8')
    .split('\n')
    .filter((path) => path !== '' && !path.endsWith('/'));
}

/** Parses the stanzas of `apt-cache show`. */
export function parseCandidates(text: string): Candidate[] {
  return text
    .split(/\n\n+/)
    .filter((stanza) => stanza.trim() !== '')
    .map((stanza) => {
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
      return {
        name: field('Package'),
        version: field('Version'),
        architecture: field('Architecture'),
        sha256: field('SHA256'),
        depends: field('Depends'),
      };
    });
}

const APT_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  ...Object.fromEntries(
    ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  ),
};

async function candidates(names: readonly string[], { run, progress }: PackageOptions): Promise<Candidate[]> {
  progress('reading the package index');
  const result = await run(['/usr/bin/apt-cache', 'show', '--no-all-versions', ...names], {
    timeoutMs: INDEX_TIMEOUT_MS,
    env: APT_ENVIRONMENT,
  });
  const known = parseCandidates(result.stdout.toString('utf8'));
  return names.map((name) => {
    const found = known.find((candidate) => candidate.name === name);
    if (found === undefined || !/^[0-9a-f]{64}$/.test(found.sha256)) {
      throw new RingwallError('image-failed', `apt knows no package ${name}`, {
        hint: 'run `apt-get update` as root; images are built from the packages of Debian 12',
      });
    }
    return found;
  });
}

async function download(wanted: readonly Candidate[], { run, cacheDir, progress }: PackageOptions): Promise<void> {
  const directory = await mkdtemp(join(cacheDir, '.download-'));
  try {
    progress(`downloading ${wanted.length} packages`);
    const names = wanted.map(({ name, version }) => `${name}=${version}`);
    const result = await run(['/usr/bin/apt-get', 'download', '-q', '-o', 'APT::Sandbox::User=', ...names], {
      cwd: directory,
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
      env: APT_ENVIRONMENT,
      onLine: (line) => {
        // `Get:3 http://deb.debian.org/debian bookworm/main amd64 libc6 amd64 2.36-9 [2758 kB]`
        const name = /^Get:\d+ \S+ \S+ \S+ (\S+)/.exec(line)?.[1];
        if (name !== undefined) progress(`downloading ${name}`);
      },
    });
    if (result.code !== 0) {
      throw failed(
        'packages could not be downloaded',
        result.stderr,
        'check the network and /etc/apt/sources.list, then run `apt-get update` as root',
      );
    }
    for (const candidate of wanted) {
      if (!(await isIntact(candidate, directory))) {
        throw new RingwallError('image-failed', `${candidate.name} is not the package that the index promises`);
      }
      await rename(join(directory, fileName(candidate)), join(cacheDir, fileName(candidate)));
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Whoever may write into the cache can swap a package between its check and its use. */
async function requireOwnDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const { uid, mode } = await lstat(path);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0) {
    throw new RingwallError('image-failed', `others may write into ${path}`, {
      hint: 'name a cache directory that only the user who builds may write to',
    });
  }
}

/** As apt names it: the colon of an epoch is escaped. */
function fileName({ name, version, architecture }: Candidate): string {
  return `${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb`;
}

async function isIntact(candidate: Candidate, directory: string): Promise<boolean> {
  const file = join(directory, fileName(candidate));
  if (!existsSync(file)) return false;
  return (await sha256File(file)) === candidate.sha256;
}

function failed(message: string, said: Buffer, hint: string): RingwallError {
  return new RingwallError('image-failed', `${message}: ${lastLine(said)}`, { hint });
}

function lastLine(said: Buffer): string {
  return said.toString('utf8').trim().split('\n').at(-1) ?? '';
}
