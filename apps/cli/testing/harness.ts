// Runs one command line in this process against a FakeApi, with streams that only remember.
import { resolve } from 'node:path';
import { runCommandLine, type Services } from '../command-line.ts';
import type { Installation } from '../installation.ts';
import type { Stream } from '../terminal.ts';
import { FAKE_NOW, type FakeApi } from './fake-api.ts';

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order in which they were written. */
  readonly all: string;
}

export interface RunOptions {
  /** A terminal of so many columns; a pipe where absent. */
  readonly columns?: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly services?: Services;
  /** This checkout's sources where absent. */
  readonly installation?: Installation;
}

export const REPOSITORY: string = resolve(import.meta.dirname, '../../..');

export async function runCli(
  api: FakeApi | undefined,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<Run> {
  const written: { readonly stream: 'stdout' | 'stderr'; readonly text: string }[] = [];
  const stream = (name: 'stdout' | 'stderr'): Stream => ({
    write: (text, done) => {
      written.push({ stream: name, text: typeof text === 'string' ? text : Buffer.from(text).toString('latin1') });
      done?.();
    },
    ...(options.columns === undefined ? {} : { isTTY: true, columns: options.columns }),
  });
  const code = await runCommandLine({
    argv,
    environment: {
      LANG: 'C.UTF-8',
      RINGWALL_STATE: '/nonexistent/ringwall',
      RINGWALL_RUN: api?.directory ?? '/nonexistent/run',
      XDG_CONFIG_HOME: api?.directory ?? '/nonexistent/config',
      ...options.environment,
    },
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    installation: options.installation ?? {
      kind: 'sources',
      directory: REPOSITORY,
      entry: resolve(REPOSITORY, 'apps/cli/main.ts'),
    },
    ...(options.services === undefined ? {} : { services: options.services }),
    now: () => FAKE_NOW,
  });
  const text = (wanted?: string): string =>
    written
      .filter(({ stream: name }) => wanted === undefined || name === wanted)
      .map((each) => each.text)
      .join('');
  return { code, stdout: text('stdout'), stderr: text('stderr'), all: text() };
}
