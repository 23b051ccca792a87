// Which build a process of ours was started from: its program lies in a folder that is called by its build's id.
import { readFile } from 'node:fs/promises';

/** As the command line lays it out in the state directory: runtime/ID/PROGRAM.mjs. */
const PROGRAM = /\/runtime\/([0-9a-f]{16})\/[a-z]+\.mjs(?:\0|$)/;

/** Undefined where it is gone, or runs from the sources. */
export async function readBuildOf(pid: number): Promise<string | undefined> {
  try {
    return parseBuild(await readFile(`/proc/${String(pid)}/cmdline`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Pure: argv as proc(5) has it, each word ended by a NUL. */
export function parseBuild(cmdline: string): string | undefined {
  return PROGRAM.exec(cmdline)?.[1];
}
