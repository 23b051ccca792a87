// Bundles the programs and pages of apps/ into dist/, so that a start is one file to read instead of hundreds to resolve, and so
// that a service can be run by a user who may not enter this checkout.
//
//   node tools/build.ts [TARGET...]       builds all, or those named
//   node tools/build.ts --check-stale     exit code 0 where dist/ is what the sources say, else 1
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { deflateRawSync } from 'node:zlib';
import { build, type BuildOptions, type BuildResult, type Message, type Metafile } from 'esbuild';
import { QUICK_IMPORTS } from './quick-imports.ts';
import { isFileOfBundle, REQUIRED_BUILTINS } from './required-builtins.ts';
import { renderSinglePage } from './single-page.ts';

const ROOT = resolve(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');
const STAMP = join(DIST, 'build.json');

interface Target {
  readonly entry: string;
  /** Where it is not a program but one HTML file: its template, style sheet and worker, beside the entry. */
  readonly page?: { readonly template: string; readonly style: string; readonly judge: string };
  /** What it imports on demand lies in files of its own: a short command reads none of it. */
  readonly split?: true;
  /** Somebody waits for it to start. */
  readonly quick?: true;
  /** Folders and files that the program reads at run time, from the repository root to below dist/. */
  readonly files?: Readonly<Record<string, string>>;
}

/** For what digests (host/seal/digest.ts), where there is one for this platform. */
const NATIVE_BLAKE3: Readonly<Record<string, string>> = {
  'node_modules/@napi-rs/blake-hash-linux-x64-gnu/blake.linux-x64-gnu.node': 'blake3.node',
};

const TARGETS: Readonly<Record<string, Target>> = {
  ringwall: {
    entry: 'apps/cli/main.ts',
    split: true,
    quick: true,
    files: { 'tools/setup/packages.txt': 'packages.txt' },
  },
  ringwalld: { entry: 'apps/daemon/main.ts' },
  warden: { entry: 'apps/warden/main.ts' },
  broker: { entry: 'apps/broker/main.ts' },
  // A worker thread of the programs that read disk images; it lies beside them (host/threads).
  'convert-worker': { entry: 'host/disk/convert-worker.ts', quick: true },
  'read-back-worker': { entry: 'host/disk/read-back-worker.ts', quick: true },
  // And of those that read the layers of images (host/images/layer-threads.ts).
  'layer-worker': { entry: 'host/images/layer-worker.ts', quick: true },
  'digest-worker': { entry: 'host/images/digest-worker.ts', quick: true },
  // And of the one that saves machines and puts them back (host/threads/crew.ts).
  'crew-worker': { entry: 'host/threads/crew-worker.ts', quick: true },
  // And of those that seal files (host/seal/run-lanes.ts).
  'seal-lane-worker': { entry: 'host/seal/seal-lane-worker.ts', quick: true, files: NATIVE_BLAKE3 },
  // The process between a VMM and its TPM (host/witness/start.ts).
  witness: { entry: 'host/witness/main.ts' },
  imagebuilder: { entry: 'apps/imagebuilder/main.ts', files: { 'apps/guest': 'guest' } },
  drills: { entry: 'drills/index.ts' },
  'ringwall-proof': {
    entry: 'apps/console/proof/main.ts',
    page: {
      template: 'apps/console/proof/page.html',
      style: 'apps/console/proof/style.css',
      judge: 'apps/console/proof/judge-worker.ts',
    },
  },
};

/** What was built from what: the sources by their digests, so that a touched but equal file is not stale. */
interface Stamp {
  readonly id: string;
  readonly version: string;
  readonly node: string;
  readonly targets: readonly string[];
  readonly sources: Readonly<Record<string, string>>;
}

const COMMON: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  conditions: ['ringwall-source'],
  // Names stay, for stack traces in logs; white space and syntax go.
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: false,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'none',
  absWorkingDir: ROOT,
  outExtension: { '.js': '.mjs' },
  metafile: true,
  logLevel: 'silent',
};

/** For browsers of the last two years: WebCrypto on pages from files, Trusted Types where there are any. */
const BROWSER: BuildOptions = {
  ...COMMON,
  platform: 'browser',
  target: 'es2023',
  format: 'iife',
  minify: true,
  sourcemap: false,
  outExtension: {},
  write: false,
};

await main();

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'check-stale': { type: 'boolean' } },
  });
  if (values['check-stale'] === true) {
    process.exitCode = isStale() ? 1 : 0;
    return;
  }
  const unknown = positionals.filter((name) => !(name in TARGETS));
  if (unknown.length > 0) {
    fail(`no such target: ${unknown.join(', ')}`, `the targets are ${Object.keys(TARGETS).join(', ')}`);
    return;
  }
  const names = positionals.length > 0 ? positionals : Object.keys(TARGETS);
  const absent = names.filter((name) => !existsSync(join(ROOT, entryOf(name))));
  if (absent.length > 0) {
    fail(
      `not written yet: ${absent.map((name) => `${name} (${entryOf(name)})`).join(', ')}`,
      `build the others by name: node tools/build.ts ${names.filter((name) => !absent.includes(name)).join(' ')}`,
    );
    return;
  }
  await buildTargets(names);
}

function entryOf(name: string): string {
  return TARGETS[name]?.entry ?? '';
}

async function buildTargets(names: readonly string[]): Promise<void> {
  const startedAt = performance.now();
  // All is built beside and renamed at the end: a build that fails, or is cut off, leaves the last good one.
  const fresh = join(ROOT, '.ringwall', `dist.new-${String(process.pid)}`);
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  try {
    if (names.length < Object.keys(TARGETS).length && existsSync(DIST)) cpSync(DIST, fresh, { recursive: true });
    const results = await Promise.all(names.map((name) => buildTarget(name, fresh)));
    const inputs = new Set(results.flatMap((metafile) => Object.keys(metafile.inputs).filter(isFileOfBundle)));
    for (const name of names) for (const file of copyFiles(name, fresh)) inputs.add(file);
    const kept = names.length < Object.keys(TARGETS).length ? readStamp() : undefined;
    writeStamp(fresh, names, inputs, kept);
    const old = join(ROOT, '.ringwall', `dist.old-${String(process.pid)}`);
    if (existsSync(DIST)) renameSync(DIST, old);
    renameSync(fresh, DIST);
    rmSync(old, { recursive: true, force: true });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    process.stdout.write(`built ${names.join(', ')} in ${seconds} s\n`);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    fail('the bundles could not be built', describe(error));
  }
}

async function buildTarget(name: string, outdir: string): Promise<Metafile> {
  const target = TARGETS[name];
  if (target === undefined) throw new Error(`no target ${name}`);
  if (target.page !== undefined) return buildPage(name, target.entry, target.page, outdir);
  const parts = `${name}.parts`;
  rmSync(join(outdir, parts), { recursive: true, force: true });
  const result = await build({
    ...COMMON,
    metafile: true,
    entryPoints: { [name]: target.entry },
    plugins: [REQUIRED_BUILTINS, ...(target.quick === true ? [QUICK_IMPORTS] : [])],
    ...(target.split === true ? { splitting: true, chunkNames: `${parts}/[name]-[hash]` } : {}),
    outdir,
  });
  return result.metafile;
}

async function buildPage(
  name: string,
  entry: string,
  { template, style, judge }: NonNullable<Target['page']>,
  outdir: string,
): Promise<Metafile> {
  const [script, worker, css] = await Promise.all(
    [entry, judge, style].map((file) => build({ ...BROWSER, metafile: true, entryPoints: [file], outdir })),
  );
  const page = renderSinglePage({
    template: readFileSync(join(ROOT, template), 'utf8'),
    style: textOf(css),
    script: textOf(script),
    version: version(),
    // Three quarters of the page: packed, as judge-client.ts unpacks it.
    data: { judge: deflateRawSync(textOf(worker), { level: 9 }).toString('base64') },
  });
  writeFileSync(join(outdir, `${name}.html`), page);
  const inputs = Object.assign(
    { [template]: {} },
    script?.metafile.inputs,
    worker?.metafile.inputs,
    css?.metafile.inputs,
  );
  return { inputs, outputs: {} };
}

function textOf(result: BuildResult | undefined): string {
  return result?.outputFiles?.[0]?.text.trim() ?? '';
}

/** Copies what the target reads at run time, and says which sources those are. */
function copyFiles(name: string, outdir: string): string[] {
  return Object.entries(TARGETS[name]?.files ?? {}).flatMap(([from, to]) => {
    if (!existsSync(join(ROOT, from))) return [];
    cpSync(join(ROOT, from), join(outdir, to), { recursive: true });
    return filesIn(from);
  });
}

function filesIn(path: string): string[] {
  const whole = join(ROOT, path);
  if (!statSync(whole).isDirectory()) return [path];
  const entries = readdirSync(whole, { withFileTypes: true, recursive: true, encoding: 'utf8' });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

function writeStamp(outdir: string, names: readonly string[], inputs: ReadonlySet<string>, kept?: Stamp): void {
  const sources = {
    ...kept?.sources,
    ...Object.fromEntries([...inputs].toSorted().map((file) => [file, digestOf(file)])),
  };
  const id = createHash('sha256').update(JSON.stringify(sources)).digest('hex').slice(0, 16);
  const targets = [...new Set([...(kept?.targets ?? []), ...names])].toSorted();
  const stamp: Stamp = { id, version: version(), node: process.version, targets, sources };
  writeFileSync(join(outdir, 'build.json'), `${JSON.stringify(stamp, undefined, 1)}\n`);
}

function version(): string {
  return /"version": "([^"]+)"/.exec(readFileSync(join(ROOT, 'package.json'), 'utf8'))?.[1] ?? 'unknown';
}

function readStamp(): Stamp | undefined {
  try {
    const stamp: Stamp = JSON.parse(readFileSync(STAMP, 'utf8'));
    return stamp;
  } catch {
    return undefined;
  }
}

function isStale(): boolean {
  const stamp = readStamp();
  if (stamp === undefined || Object.keys(TARGETS).some((name) => !stamp.targets.includes(name))) return true;
  return Object.entries(stamp.sources).some(([file, digest]) => digestOf(file) !== digest);
}

function digestOf(file: string): string {
  const path = join(ROOT, file);
  return existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16) : 'gone';
}

function describe(error: unknown): string {
  if (error instanceof Error && 'errors' in error && Array.isArray(error.errors)) {
    const messages: readonly Message[] = error.errors;
    return messages
      .map(({ text, location }) => (location === null ? text : `${location.file}:${String(location.line)}: ${text}`))
      .join('\n  ');
  }
  return error instanceof Error ? error.message : String(error);
}

function fail(what: string, hint: string): void {
  process.stderr.write(`build: ${what}\n  ${hint}\n`);
  process.exitCode = 1;
}
