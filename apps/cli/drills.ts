// Loads the drills, which are a program of their own: from their bundle, or from their source in a checkout. Types only
// are imported here, so that no command but `drill` ever reads them.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RingwallError } from '@ringwall/api/errors';
import type * as Drills from '@ringwall/drills';
import type { Installation } from './installation.ts';

export type { DrillResult } from '@ringwall/drills';

export async function loadDrills({ kind, directory }: Installation): Promise<typeof Drills> {
  const file = join(directory, kind === 'bundles' ? 'drills.mjs' : 'drills/index.ts');
  if (!existsSync(file)) {
    throw new RingwallError('host-lacks', 'this installation brings no drills', { hint: 'run them from a checkout' });
  }
  // A file of our own installation, and its type is what was built into it.
  const loaded: typeof Drills = await import(pathToFileURL(file).href);
  return loaded;
}
