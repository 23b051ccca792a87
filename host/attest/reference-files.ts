// The files that machines are started with on this host: QEMU and swtpm with all that their loader brings, Node, and
// Ringwall itself. Their digests are of the files as they lie there now, and not of a package's list, which has none but
// MD5 and which whoever altered a file would have altered too. Whoever signs the result has reason to believe in them.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { MAX_HOST_FILES, type HostFile } from '@ringwall/evidence';
import { RingwallError } from '@ringwall/api';
import { ImaReplay } from '@ringwall/tpm';
import type { Run } from '../exec/index.ts';
import { readClosure } from '../jail/index.ts';

const DPKG_QUERY = '/usr/bin/dpkg-query';
const BUNDLE = /\.mjs$/;

export interface HostFilesOptions {
  readonly run: Run;
  /** QEMU and swtpm: without them no machine runs, so they must have been measured. */
  readonly programs: readonly string[];
  /** Node, absolute. */
  readonly node: string;
  /** The program that Node runs as warden: the other bundles lie beside it. */
  readonly warden: string;
  /** IMA's list as it is now. */
  readonly imaLog: Uint8Array;
  /** All that has run, too: for a host on which nothing else may run. */
  readonly everything: boolean;
}

export interface HostFiles {
  readonly files: readonly HostFile[];
  /** Files of Ringwall that this host's IMA policy does not measure: nobody will see when they change. */
  readonly unmeasured: readonly string[];
}

export async function describeHostFiles(options: HostFilesOptions): Promise<HostFiles> {
  const { run, programs, warden, imaLog } = options;
  const ran = readMeasured(imaLog);
  const node = await realpath(options.node);
  const required = new Set([...(await Promise.all(programs.map((path) => realpath(path)))), node]);
  const closure = (await readClosure(run, [...programs, node])).map(({ source }) => source);
  const bundles = await findBundles(warden);
  const found = new Map<string, string>();
  for (const path of new Set([...closure, ...required, ...bundles])) found.set(path, await sha256Of(path));
  const measured = new Set(ran.map(({ sha256 }) => sha256));
  const known = new Set(found.values());
  const others = options.everything ? ran.filter(({ sha256 }) => !known.has(sha256)) : [];
  if (found.size + others.length > MAX_HOST_FILES) {
    throw new RingwallError('too-large', `${found.size + others.length} files, at most ${MAX_HOST_FILES}`, {
      hint: 'leave what else runs out of the reference, and let the policy show it',
    });
  }
  const packages = await packagesOf(run, [...found.keys(), ...others.map(({ path }) => path)]);
  const described = (path: string, sha256: string): HostFile => {
    const from = packages.get(path);
    const isBundle = bundles.includes(path);
    // A bundle is read, not executed: where IMA does not see that, to demand it would refuse this host for ever.
    const isRequired = required.has(path) || (isBundle && measured.has(sha256) && path === bundles[0]);
    return { path, sha256, ...(from === undefined ? {} : { package: from }), required: isRequired };
  };
  return {
    files: [
      ...[...found].map(([path, sha256]) => described(path, sha256)),
      ...others.map(({ path, sha256 }) => described(path, sha256)),
    ].toSorted((left, right) => (left.path < right.path ? -1 : 1)),
    unmeasured: bundles.slice(0, 1).filter((path) => !measured.has(found.get(path) ?? '')),
  };
}

/** The warden's first. One that runs from its sources is one file of many, and says so by being none of a bundle. */
async function findBundles(warden: string): Promise<readonly string[]> {
  const path = await realpath(warden);
  if (!BUNDLE.test(path)) return [path];
  const names = (await readdir(dirname(path))).filter((name) => BUNDLE.test(name) && name !== basename(path));
  return [path, ...names.toSorted().map((name) => join(dirname(path), name))];
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Files of the list by SHA-256, each once; the first entry stands for the boot. */
function readMeasured(imaLog: Uint8Array): readonly { readonly path: string; readonly sha256: string }[] {
  const seen = new Map<string, { path: string; sha256: string }>();
  const replay = new ImaReplay({
    onEntry: ({ index, name, template, digest, violation }) => {
      if (index === 0 || violation || template === 'ima-buf' || digest?.algorithm !== 'sha256') return;
      const sha256 = Buffer.from(digest.value).toString('hex');
      if (name.startsWith('/')) seen.set(`${sha256} ${name}`, { path: name, sha256 });
    },
  });
  replay.push(imaLog);
  return [...seen.values()];
}

/** `name version` of those that Debian packages brought. A merged /usr has two names for a file; dpkg knows one. */
async function packagesOf(run: Run, paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const names = paths.flatMap((path) => (path.startsWith('/usr/') ? [path, path.slice('/usr'.length)] : [path]));
  try {
    // Ends with status 1 where one of them belongs to no package, and still lists the others.
    const searched = await run([DPKG_QUERY, '--search', '--', ...names], { env: { LC_ALL: 'C' } });
    const owners = parseOwners(searched.stdout.toString('utf8'));
    const format = '${Package} ${Version}\\n';
    const shown = await run([DPKG_QUERY, '--show', `--showformat=${format}`, '--', ...new Set(owners.values())]);
    const versions = new Map(
      shown.stdout
        .toString('utf8')
        .split('\n')
        .map((line) => [line.split(' ')[0] ?? '', line] as const),
    );
    return new Map(
      paths.flatMap((path) => {
        const owner =
          owners.get(path) ?? (path.startsWith('/usr/') ? owners.get(path.slice('/usr'.length)) : undefined);
        const version = owner === undefined ? undefined : versions.get(owner.split(':')[0] ?? '');
        return version === undefined ? [] : [[path, version] as const];
      }),
    );
  } catch {
    return new Map(); // a host without dpkg: files have no packages
  }
}

/** Pure: lines of `package[:arch][, package…]: path`; a diversion has no package. */
function parseOwners(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, owner, path] = /^([a-z0-9][a-z0-9+.:-]*)(?:, [^/]*)?: (\/.*)$/.exec(line) ?? [];
      return owner === undefined || path === undefined ? [] : [[path, owner] as const];
    }),
  );
}
