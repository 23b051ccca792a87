// Starts the services for a command that found them missing, and says so: as root at once, else through sudo. Replaces
// those that were started from an older build of the same installation.
import type { Health } from '@ringwall/api';
import type { RingwallError } from '@ringwall/api/errors';
import { readBuild, SOURCE_BUILD } from '../installation.ts';
import type { Invocation } from '../invocation.ts';
import { ensureServices, readRecord, stopServices, type ServiceContext } from './control.ts';
import { goOnAsRoot, isRoot } from './privilege.ts';
import { isAlive } from './processes.ts';

export async function startServices(invocation: Invocation, error: RingwallError): Promise<void> {
  if (!isRoot()) {
    goOnAsRoot(
      invocation,
      error.code === 'unauthorized'
        ? `only the group ringwall may open ${invocation.paths.apiSocket}`
        : 'the services must be started',
    );
  }
  // As root, a socket that may not be opened is no matter of starting anything.
  if (error.code === 'unauthorized') throw error;
  await withProgress(invocation, (step) => ensureServices(contextOf(invocation, step)));
}

/**
 * For a command that watches an operation which waits for a service. The command must not be handed over to sudo here: it
 * would do everything a second time.
 */
export async function reviveServices(invocation: Invocation, step: (text: string) => void): Promise<void> {
  if (isRoot()) await ensureServices(contextOf(invocation, step));
}

/**
 * Machines are adopted, and operations gone on with, so that replacing services loses nothing; but consoles are cut, and
 * two installations must not replace each other's in turn. So only where nothing is under way, and only what this very
 * installation has started; everything else is warned of.
 */
export async function renewServices(invocation: Invocation, { processes, operations }: Health): Promise<void> {
  const { installation, paths } = invocation;
  const own = readBuild(installation).id;
  const old = processes.some(({ build }) => build !== undefined && build !== own);
  if (!old || own === SOURCE_BUILD || operations > 0 || !isRoot()) return;
  const ours = processes.every(({ name }) => {
    const record = readRecord(paths, name);
    return record !== undefined && isAlive(record) && record.startedFrom === installation.directory;
  });
  if (!ours) return;
  await withProgress(invocation, async (step) => {
    step('replacing the services by those of the new build');
    await stopServices(paths, () => {});
    await ensureServices(contextOf(invocation, () => {}));
  });
}

function contextOf({ installation, paths, self }: Invocation, step: (text: string) => void): ServiceContext {
  return { installation, paths, self, step };
}

async function withProgress(
  invocation: Invocation,
  work: (step: (text: string) => void) => Promise<unknown>,
): Promise<void> {
  using progress = invocation.progress();
  try {
    await work((text) => progress.step(text));
    progress.done();
  } catch (failure) {
    progress.fail();
    throw failure;
  }
}
