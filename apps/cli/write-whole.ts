// Writes a file that the user asked for, whole or not at all.
import { chownSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Invocation } from './invocation.ts';

export function writeWhole(file: string, content: string | Uint8Array, environment: Invocation['environment']): void {
  const beside = `${file}.unfinished-${String(process.pid)}`;
  try {
    writeFileSync(beside, content, { flag: 'wx' });
    // Through sudo, the file is still for who asked for it.
    const [uid, gid] = [Number(environment['SUDO_UID']), Number(environment['SUDO_GID'])];
    if (process.getuid?.() === 0 && uid > 0 && gid > 0) chownSync(beside, uid, gid);
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}
