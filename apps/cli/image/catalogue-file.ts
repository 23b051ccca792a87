// Where the images that this user knows are kept.
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Invocation } from '../invocation.ts';

/** As the XDG Base Directory Specification has it: it is the user's own, and no cache. */
export function catalogueFile({ environment }: Invocation): string {
  const data = environment['XDG_DATA_HOME'] || join(environment['HOME'] ?? homedir(), '.local', 'share');
  return join(data, 'ringwall', 'images.json');
}
