// Real tools that make disks for the tests, and a folder of their own for what they make.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * QEMU 7.2 measures how fast it derives a key, by a clock of ticks, and gives up where none went by: one time in six on
 * some hosts. Twenty times in a row says that it is something else.
 */
const NOT_MEASURED = 'Unable to get accurate CPU usage';
const TRIES = 20;
const PATH = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Ends a test's title where one of `tools` is missing; '' where all are there. */
export function missingTools(...tools: readonly string[]): string {
  const missing = tools.filter((tool) => toolPath(tool) === undefined);
  return missing.length === 0 ? '' : ` (skipped: needs ${missing.join(', ')})`;
}

export interface RunTool {
  /** What it reads from its standard input. */
  readonly input?: string | Uint8Array;
  /** The folder that it runs in. */
  readonly cwd?: string;
}

/** What the tool writes to its standard output. Throws what it writes to the other one. */
export function runTool(argv: readonly string[], options: RunTool = {}, tries: number = TRIES): Buffer {
  const [tool = '', ...args] = argv;
  const child = spawnSync(toolPath(tool) ?? tool, args, {
    ...options,
    env: { PATH: PATH.join(':'), LC_ALL: 'C.UTF-8', MTOOLS_SKIP_CHECK: '1' },
    maxBuffer: 2 ** 28,
  });
  if (child.status === 0) return child.stdout;
  if (tries > 1 && String(child.stderr).includes(NOT_MEASURED)) return runTool(argv, options, tries - 1);
  throw new Error(`${argv.join(' ')}: ${String(child.stderr)}${String(child.stdout)}`, { cause: child.error });
}

export class TemporaryFolder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), 'ringwall-disk-'));

  /** The path of `name` in it. */
  at(...name: readonly string[]): string {
    return join(this.path, ...name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

function toolPath(tool: string): string | undefined {
  return PATH.map((folder) => join(folder, tool)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
