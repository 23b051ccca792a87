// The serial console's log: bounded, and kept past the boot. It lies in a directory that the VMM's uid may write to, so
// that it is opened as if somebody hostile had put it there.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { writeFileAtomic } from '../files/index.ts';
import { openNoFollow } from './files.ts';

/** A guest may print without end; more than this of its past is nobody's need, and /run is memory. */
export const CONSOLE_LOG_LIMIT_BYTES: number = 1024 * 1024;
/** What is left after a cut: so much that a screen of history is never lost, so little that cuts are rare. */
export const CONSOLE_LOG_KEPT_BYTES: number = 512 * 1024;

/** The last `bytes` of the log; empty where there is none. */
export async function readConsoleTail(path: string, bytes: number): Promise<Uint8Array> {
  await using file = await openNoFollow(path);
  if (file === undefined) return new Uint8Array();
  const { size } = await file.stat();
  const length = Math.min(size, bytes);
  const buffer = new Uint8Array(length);
  const { bytesRead } = await file.read(buffer, 0, length, size - length);
  return buffer.subarray(0, bytesRead);
}

/**
 * Cuts a log that has grown past its bound, keeping its last part; true where it was cut. QEMU appends (O_APPEND) and is
 * not told: what it writes between our reading and our cutting is lost, which a console log may.
 */
export async function rotateConsoleLog(path: string, limitBytes = CONSOLE_LOG_LIMIT_BYTES): Promise<boolean> {
  await using seen = await openNoFollow(path);
  if (seen === undefined) return false;
  const { size, ino } = await seen.stat();
  if (size <= limitBytes) return false;
  const kept = await readConsoleTail(path, Math.min(CONSOLE_LOG_KEPT_BYTES, limitBytes));
  await using file = await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW);
  const now = await file.stat();
  if (now.ino !== ino || !now.isFile() || now.nlink !== 1) return false;
  await file.truncate(0);
  await file.write(kept);
  return true;
}

/** Keeps the end of a boot's console where its run directory goes: `logs` of a stopped machine shows it. */
export async function keepLastConsole(from: string, to: string): Promise<void> {
  await writeFileAtomic(to, await readConsoleTail(from, CONSOLE_LOG_KEPT_BYTES));
}
