// Runs a program to its end: by absolute path, with an empty environment unless one is given, for a bounded time and
// with bounded output. At the end of the time the program's whole process group is killed.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { RingwallError } from '@ringwall/api/errors';
import { feed, FIRST_CHILD_FD } from './detached.ts';

/** Enough for the longest honest answer of the tools that we run (ldd, dpkg-query, luksDump). */
const DEFAULT_MAX_OUTPUT_BYTES: number = 4 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 30_000;
/** How much of a failed program's own words an error repeats. */
const ERROR_TAIL_CHARACTERS = 600;

export interface RunOptions {
  readonly timeoutMs?: number;
  /** Written to its standard input, which is empty otherwise. */
  readonly input?: string | Uint8Array;
  /** Written to it as it comes, instead of `input`; its end is the end of the input. */
  readonly inputStream?: Readable;
  /** For each of stdout and stderr. */
  readonly maxOutputBytes?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly signal?: AbortSignal;
  /** What its descriptors from 3 on say: read once at its start, never on a disk or a command line. */
  readonly descriptors?: readonly Uint8Array[];
  /** Called with each piece of stdout, which is then not kept: for more than anybody should hold. Throwing ends it. */
  readonly onOutput?: (chunk: Uint8Array) => void;
  /** Called with each whole line of stdout and stderr, for progress. */
  readonly onLine?: (line: string) => void;
}

export interface RunResult {
  /** The exit status, or 128 + the signal's number, as a shell would say it. */
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** An effect to be passed in, so that a fake can stand in for it. */
export type Run = (argv: readonly string[], options?: RunOptions) => Promise<RunResult>;

export const run: Run = (argv, options = {}) => {
  const [file, ...args] = argv;
  if (file === undefined || !file.startsWith('/')) {
    return Promise.reject(
      new RingwallError('internal', `a program is named by its absolute path, not ${String(file)}`),
    );
  }
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const maxOutputBytes = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
  const descriptors = options.descriptors ?? [];

  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      env: { ...options.env },
      cwd: options.cwd ?? '/',
      stdio: ['pipe', 'pipe', 'pipe', ...descriptors.map(() => 'pipe' as const)],
      detached: true,
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    });
    let failure: RingwallError | undefined;
    const fail = (error: RingwallError): void => {
      failure ??= error;
      killGroup(child.pid);
    };
    const timer = setTimeout(
      () => fail(new RingwallError('timeout', `${file} did not end within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    const onAbort = (): void => fail(new RingwallError('timeout', `${file} was cancelled`));
    options.signal?.addEventListener('abort', onAbort, { once: true });
    if (options.signal?.aborted === true) onAbort();
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
    };

    const collect = (stream: NodeJS.ReadableStream, take?: (chunk: Uint8Array) => void): Buffer[] => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      let line = '';
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxOutputBytes) {
          fail(new RingwallError('too-large', `${file} wrote more than ${maxOutputBytes} bytes`));
          return;
        }
        if (take === undefined) chunks.push(chunk);
        else if (failure === undefined) {
          try {
            take(chunk);
          } catch (cause) {
            fail(new RingwallError('internal', `what ${file} wrote is not taken`, { cause }));
          }
        }
        if (options.onLine === undefined) return;
        const lines = (line + chunk.toString('utf8')).split(/[\r\n]+/);
        line = lines.pop() ?? '';
        for (const whole of lines) options.onLine(whole);
      });
      return chunks;
    };
    const stdout = collect(child.stdout, options.onOutput);
    const stderr = collect(child.stderr);

    child.on('error', (cause: NodeJS.ErrnoException) => {
      settle();
      reject(
        cause.code === 'ENOENT'
          ? new RingwallError('host-lacks', `${file} is not installed`, { cause })
          : new RingwallError('internal', `${file} could not be started: ${cause.message}`, { cause }),
      );
    });
    child.on('close', (code, signal) => {
      settle();
      if (failure !== undefined) reject(failure);
      else {
        const status = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
        resolve({ code: status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) });
      }
    });
    // A program that ends without reading its input is no error of ours.
    child.stdin.on('error', () => undefined);
    if (options.inputStream === undefined) child.stdin.end(options.input ?? '');
    else options.inputStream.pipe(child.stdin);
    for (const [index, bytes] of descriptors.entries()) feed(child.stdio[FIRST_CHILD_FD + index], bytes);
  });
};

/** Runs a program that must succeed; the error repeats the end of what it said. */
export async function runChecked(runner: Run, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await runner(argv, options);
  if (result.code !== 0) {
    const said = (result.stderr.length > 0 ? result.stderr : result.stdout).toString('utf8').trim();
    throw new RingwallError(
      'internal',
      `${argv[0]} ended with status ${result.code}: ${said.slice(-ERROR_TAIL_CHARACTERS)}`,
    );
  }
  return result;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}
