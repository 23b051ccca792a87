// Finds the files that a program needs to start: itself, its loader and every shared library, as the loader itself
// resolves them. The jail then shows these, and nothing else of the host's /usr.
import { realpath, stat } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import { runChecked, type Run } from '../exec/index.ts';
import type { JailFile } from './compile.ts';

/** The loader of the x86-64 psABI: every dynamic program of the platform names this path. */
export const LOADER = '/lib64/ld-linux-x86-64.so.2';

/** The answers of this process's life: packages do not change under a running machine without a restart of it. */
const known = new Map<string, { readonly changedMs: number; readonly files: readonly JailFile[] }>();

/** `programs`: absolute paths of programs and of modules that they load later. */
export async function readClosure(run: Run, programs: readonly string[]): Promise<JailFile[]> {
  const files = new Map<string, string>();
  for (const program of programs) {
    for (const { source, target } of await readClosureOfOne(run, program)) files.set(target, source);
  }
  return [...files].map(([target, source]) => ({ source, target })).toSorted((a, b) => (a.target < b.target ? -1 : 1));
}

async function readClosureOfOne(run: Run, program: string): Promise<readonly JailFile[]> {
  const info = await stat(program).catch((cause: unknown) => {
    throw new RingwallError('host-lacks', `${program} is not installed`, { hint: 'run ringwall doctor', cause });
  });
  const before = known.get(program);
  if (before?.changedMs === info.ctimeMs) return before.files;
  const { stdout } = await runChecked(run, [LOADER, '--list', program]);
  const targets = [program, LOADER, ...parseLoaderList(stdout.toString('utf8'))];
  const files = await Promise.all(
    [...new Set(targets)].map(async (target) => ({ source: await realpath(target), target })),
  );
  known.set(program, { changedMs: info.ctimeMs, files });
  return files;
}

/** Pure: the paths in the output of `ld.so --list`. */
export function parseLoaderList(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    if (/=> not found/.test(line)) {
      throw new RingwallError('host-lacks', `the library ${line.trim().split(' ')[0]} is missing`);
    }
    const path = /^\s*(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/.exec(line)?.[1];
    return path === undefined ? [] : [path];
  });
}
