// Holds the import rules of ARCHITECTURE.md: every import in every source file against the layer map and the manifests.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LAYERS, ONLY_SPAWNERS, type Layer } from './layers.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const ROOMS = ['lib', 'host', 'control', 'api', 'apps', 'drills', 'testkit', 'tests', 'bench', 'tools', 'examples'];
const IMPORT =
  /^\s*(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

interface Import {
  readonly file: string;
  readonly specifier: string;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name === 'fixtures') return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sourceFiles(path);
    return /\.[cm]?tsx?$/.test(entry.name) ? [path] : [];
  });
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(IMPORT)].map((match) => ({ file, specifier: match[1] ?? match[2] ?? match[3] ?? '' }));
}

function layerOf(file: string): Layer | undefined {
  return LAYERS.filter((layer) => file.startsWith(`${layer.folder}/`)).toSorted(
    (a, b) => b.folder.length - a.folder.length,
  )[0];
}

/** The room that a specifier leads to, or undefined where it leaves the repository. */
function roomOf({ file, specifier }: Import): string | undefined {
  if (specifier.startsWith('.')) return relative(ROOT, resolve(ROOT, dirname(file), specifier));
  const name = /^@ringwall\/([a-z]+)(?:\/(.*))?$/.exec(specifier);
  if (name === null) return undefined;
  const [, room = '', rest = 'index.ts'] = name;
  return existsSync(join(ROOT, 'lib', room)) ? `lib/${room}/${rest}` : `${room}/${rest}`;
}

function manifestOf(file: string): { name: string; dependencies: Record<string, string> } {
  return { dependencies: {}, ...JSON.parse(readFileSync(join(ROOT, packageOf(file), 'package.json'), 'utf8')) };
}

/** The folder whose package.json a file belongs to. */
function packageOf(file: string): string {
  return /^(lib|apps)\//.test(file) ? file.split('/').slice(0, 2).join('/') : (file.split('/')[0] ?? '');
}

const files = ROOMS.flatMap((room) => sourceFiles(room));
const imports = files.flatMap((file) => importsOf(file));
const isTest = (file: string): boolean => /\.test\.ts$|\/(test|fixtures|testing)\//.test(file);

describe('the import rules', () => {
  it('see the imports that are there', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(imports.length).toBeGreaterThan(files.length);
  });

  it('give every source file a layer', () => {
    expect(files.filter((file) => layerOf(file) === undefined)).toEqual([]);
  });

  it('hold between the rooms', () => {
    const broken = imports.flatMap((found) => {
      const layer = layerOf(found.file);
      const room = roomOf(found);
      if (layer === undefined || room === undefined || room.startsWith(`${layer.folder}/`)) return [];
      if (layer.mayImport.some((allowed) => room === allowed || room.startsWith(`${allowed}/`))) return [];
      if (isTest(found.file) && room.startsWith('testkit/')) return [];
      return [`${found.file} imports ${found.specifier}; ${layer.folder} may not: ${layer.why}`];
    });
    expect(broken).toEqual([]);
  });

  it('keep Node out of what must run in a browser', () => {
    const broken = imports.flatMap((found) => {
      const layer = layerOf(found.file);
      if (layer === undefined || layer.node === 'all' || isTest(found.file) || !found.specifier.startsWith('node:'))
        return [];
      return layer.node.includes(found.specifier) ? [] : [`${found.file} imports ${found.specifier}; ${layer.why}`];
    });
    expect(broken).toEqual([]);
  });

  it('keep Node’s globals out of it, too', () => {
    const broken = files.filter((file) => {
      const layer = layerOf(file);
      if (layer === undefined || layer.node === 'all' || isTest(file) || file.startsWith('lib/disk/src/node/'))
        return false;
      const code = readFileSync(join(ROOT, file), 'utf8')
        .replaceAll(/\/\/.*$|\/\*[^]*?\*\//gm, '')
        // What may be imported may be loaded on demand.
        .replaceAll(/process\.getBuiltinModule\('([^']+)'\)/g, (load, name) => (layer.node.includes(name) ? '' : load));
      return /(?<![.\w'])(?:Buffer|process|__dirname|__filename|setImmediate|require)\s*[.(]/.test(code);
    });
    expect(broken).toEqual([]);
  });

  it('let one folder alone start processes', () => {
    const broken = imports.filter(
      ({ file, specifier }) =>
        /^(node:)?child_process$/.test(specifier) &&
        !isTest(file) &&
        !ONLY_SPAWNERS.some((room) => file.startsWith(`${room}/`)),
    );
    expect(broken).toEqual([]);
  });

  it('never reach into a package past its exports', () => {
    const broken = imports.filter(({ file, specifier }) => {
      if (!specifier.startsWith('.') || isTest(file)) return false;
      const room = roomOf({ file, specifier });
      return room !== undefined && packageOf(room) !== packageOf(file);
    });
    expect(broken).toEqual([]);
  });

  it('are in each package’s own manifest', () => {
    const broken = imports.flatMap(({ file, specifier }) => {
      if (isTest(file) || specifier.startsWith('.') || specifier.startsWith('node:')) return [];
      if (/^(tests|bench|tools|examples)\//.test(file)) return [];
      const parts = specifier.split('/');
      const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
      const manifest = manifestOf(file);
      return name === manifest.name || name in manifest.dependencies
        ? []
        : [`${file} imports ${name}, which ${manifest.name} does not list`];
    });
    expect(broken).toEqual([]);
  });
});
