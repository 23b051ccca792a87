// The program `ringwall`: this process's argv, streams and environment into runCommandLine, and its exit code out.
import { runCommandLine } from './command-line.ts';
import { findInstallation } from './installation.ts';
import type * as OnDemand from './services/on-demand.ts';

// The launcher keeps our compiled code; what we start has none of its business there.
delete process.env['NODE_COMPILE_CACHE'];
// `ringwall ls | head` ends us without a word.
process.stdout.on('error', endOnClosedPipe);
process.stderr.on('error', endOnClosedPipe);

process.exitCode = await runCommandLine({
  argv: process.argv.slice(2),
  environment: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  installation: findInstallation(import.meta.dirname, import.meta.filename),
  services: {
    start: async (...with_) => (await onDemand()).startServices(...with_),
    revive: async (...with_) => (await onDemand()).reviveServices(...with_),
    renew: async (...with_) => (await onDemand()).renewServices(...with_),
  },
});

/** Loaded by the commands that need it: most find the services running. */
function onDemand(): Promise<typeof OnDemand> {
  return import('./services/on-demand.ts');
}

function endOnClosedPipe(error: Error): void {
  if ('code' in error && error.code === 'EPIPE') process.exit(0);
  throw error;
}
