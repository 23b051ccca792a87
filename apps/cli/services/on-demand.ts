// Starts the services for a command that found them missing, and says so: as root at once, else through sudo.
import type { RingwallError } from '@ringwall/api/errors';
import type { Invocation } from '../invocation.ts';
import { ensureServices } from './control.ts';
import { goOnAsRoot, isRoot } from './privilege.ts';

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
  const { installation, paths, self } = invocation;
  using progress = invocation.progress();
  try {
    await ensureServices({ installation, paths, self, step: (text) => progress.step(text) });
    progress.done();
  } catch (failure) {
    progress.fail();
    throw failure;
  }
}
