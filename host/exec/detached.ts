// Starts a process that outlives us: in a session of its own, its output in a file, holding only the descriptors that
// it is given. Nothing that it holds breaks when we die: a pipe is used only for bytes that it reads at its start.
import { spawn, type StdioOptions } from 'node:child_process';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { RingwallError } from '@ringwall/api/errors';
import { readStat, type ProcessRef } from './process.ts';

/**
 * A descriptor for the child. The first is its fd 3, the next 4, and so on.
 * `file`: an open file, still ours to close. `socket`: one end of a connection; ours is closed once the child has it.
 * `bytes`: read once by the child at its start (a key, a seccomp program), never on a disk or a command line.
 */
export type ChildDescriptor =
  | { readonly kind: 'file'; readonly fd: number }
  | { readonly kind: 'socket'; readonly socket: Socket }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

export const FIRST_CHILD_FD = 3;

export interface SpawnDetachedOptions {
  /** An open file for stdout and stderr; it stays ours to close. */
  readonly logFd: number;
  readonly descriptors?: readonly ChildDescriptor[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface ExitStatus {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

export interface DetachedProcess extends ProcessRef {
  /** Settles at its exit, for as long as we live; never rejects. */
  readonly exited: Promise<ExitStatus>;
}

export type SpawnDetached = (argv: readonly string[], options: SpawnDetachedOptions) => Promise<DetachedProcess>;

export const spawnDetached: SpawnDetached = async (argv, options) => {
  const [file, ...args] = argv;
  if (file === undefined || !file.startsWith('/')) {
    throw new RingwallError('internal', `a program is named by its absolute path, not ${String(file)}`);
  }
  const descriptors = options.descriptors ?? [];
  const stdio: StdioOptions = ['ignore', options.logFd, options.logFd, ...descriptors.map(inherited)];
  const child = spawn(file, args, { env: { ...options.env }, cwd: options.cwd ?? '/', stdio, detached: true });
  const exited = new Promise<ExitStatus>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
    child.once('error', () => resolve({ code: undefined, signal: undefined }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === 'ENOENT'
          ? new RingwallError('host-lacks', `${file} is not installed`, { cause })
          : new RingwallError('internal', `${file} could not be started: ${cause.message}`, { cause }),
      ),
    );
  });
  // No signal may reach a child before its pid is known to be its own: a zombie keeps the pid until node reaps it,
  // which happens on a later turn of the event loop than this one.
  const stat = child.pid === undefined ? undefined : readStat(child.pid);

  for (const [index, descriptor] of descriptors.entries()) {
    if (descriptor.kind === 'socket') descriptor.socket.destroy();
    if (descriptor.kind === 'bytes') feed(child.stdio[FIRST_CHILD_FD + index], descriptor.bytes);
  }
  child.unref();
  if (stat === undefined) throw new RingwallError('internal', `${file} ended before it could be named`);
  return { pid: stat.pid, startTime: stat.startTime, exited };
};

function inherited(descriptor: ChildDescriptor): number | Socket | 'pipe' {
  if (descriptor.kind === 'file') return descriptor.fd;
  return descriptor.kind === 'socket' ? descriptor.socket : 'pipe';
}

/** Hands the child what one of its descriptors says. */
export function feed(stream: unknown, bytes: Uint8Array): void {
  if (!(stream instanceof Writable)) throw new RingwallError('internal', 'no pipe to the child');
  // A child that ends before it reads is reported by its exit, not by this.
  stream.on('error', () => undefined);
  stream.end(bytes, () => stream.destroy());
}
