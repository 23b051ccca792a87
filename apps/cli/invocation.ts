// What a command gets: its options and arguments as they were typed, and everything that it may touch.
import type { ApiClient } from './api-client.ts';
import type { Installation } from './installation.ts';
import type { Progress } from './progress.ts';
import type { Paths } from './services/paths.ts';
import type { Terminal } from './terminal.ts';

export interface Invocation {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly arguments: readonly string[];
  readonly json: boolean;
  /** How the user calls us: `ringwall`, or `./ringwall` in a checkout. What we tell them to type begins with it. */
  readonly self: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly installation: Installation;
  readonly paths: Paths;
  /** Results. */
  readonly out: Terminal;
  /** Progress and errors. */
  readonly err: Terminal;
  readonly now: () => number;
  readonly progress: () => Progress;
  readonly api: ApiClient;
  /**
   * All three services answer, or are started: before work that one of them would only fail at later. Those of an older
   * build of this installation are replaced where nobody would notice.
   */
  readonly needServices: () => Promise<void>;
  /** While an operation is watched: starts what has died, where this process may. Never hands the command over. */
  readonly reviveServices: (step: (text: string) => void) => Promise<void>;
  /** Does something with the API; starts the services first where they do not run. */
  readonly withApi: <Result>(use: (api: ApiClient) => Promise<Result>) => Promise<Result>;
}

/** The argument that parsing has made sure of. */
export function argumentOf(invocation: Invocation, index: number): string {
  return invocation.arguments[index] ?? '';
}

export function printJson(invocation: Invocation, document: unknown): void {
  invocation.out.line(JSON.stringify(document, undefined, 2));
}
