// Packs the packages of lib/ as npm would publish them: ES modules with declarations, made by tsc, in one tarball each.
//
//   node tools/pack-libs.ts FOLDER       writes FOLDER/ringwall-NAME-VERSION.tgz for each package
//
// In this repository a package's `ringwall-source` condition leads to its TypeScript; what is packed has no sources, so
// that condition goes, and with it what only its tests need.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');
const LIB = join(ROOT, 'lib');
const SOURCE_CONDITION = 'ringwall-source';
/** In a manifest of ours, and of no use to who installs the package. */
const NOT_PACKED: ReadonlySet<string> = new Set(['devDependencies', 'private', 'scripts']);

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

main();

function main(): void {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) {
    process.stderr.write('usage: node tools/pack-libs.ts FOLDER\n');
    process.exitCode = 2;
    return;
  }
  const target = resolve(folder);
  mkdirSync(target, { recursive: true });
  const stage = mkdtempSync(join(tmpdir(), 'ringwall-pack-'));
  try {
    const built = join(stage, 'built');
    run('npx', ['--no-install', 'tsc', '-p', join(LIB, 'tsconfig.build.json'), '--outDir', built], ROOT);
    for (const name of packageNames()) {
      const packed = stagePackage(name, built, stage);
      run('npm', ['pack', '--pack-destination', target, '--ignore-scripts'], packed);
    }
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

function packageNames(): string[] {
  return readdirSync(LIB).filter((name) => statSync(join(LIB, name)).isDirectory());
}

/** A folder with exactly what the package consists of. */
function stagePackage(name: string, built: string, stage: string): string {
  const folder = join(stage, name);
  const manifest: Readonly<Record<string, Json>> = JSON.parse(readFileSync(join(LIB, name, 'package.json'), 'utf8'));
  cpSync(join(built, name, 'src'), join(folder, 'dist'), { recursive: true });
  const { files = [] } = manifest;
  for (const file of Array.isArray(files) ? files : []) {
    if (typeof file === 'string' && file !== 'dist')
      cpSync(join(LIB, name, file), join(folder, file), { recursive: true });
  }
  cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
  const kept = Object.fromEntries(Object.entries(manifest).filter(([key]) => !NOT_PACKED.has(key)));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(withoutSourceCondition(kept), undefined, 2)}\n`);
  return folder;
}

function withoutSourceCondition(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (isList(value)) return value.map((part) => withoutSourceCondition(part));
  const kept = Object.entries(value).filter(([key]) => key !== SOURCE_CONDITION);
  return Object.fromEntries(kept.map(([key, part]) => [key, withoutSourceCondition(part)]));
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args[0] ?? ''} failed: ${stderr}${stdout}`);
}
