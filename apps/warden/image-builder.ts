// Runs the image builder as a user of its own, without privilege: what it unpacks comes from the network. Its output is
// JSON lines; none of them is believed further than an operator's screen.
import { chown, mkdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { errorBodySchema, RingwallError } from '@ringwall/api';
import type { ProgressListener } from '@ringwall/control/warden';
import type { Run } from '@ringwall/host/exec';
import { z } from 'zod';
import type { Account } from './accounts.ts';

/** A Debian system over a slow line takes a quarter of an hour. */
const BUILD_TIMEOUT_MS = 60 * 60 * 1000;
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;
/** A step is shown on one line of a terminal. */
const STEP_CHARACTERS = 120;

const progressSchema = z.object({ step: z.string(), fraction: z.number().min(0).max(1).optional() });
const failureSchema = z.object({ error: errorBodySchema });

export interface Build {
  readonly name: string;
  /** An empty directory, handed to the builder's user. */
  readonly outDir: string;
  /** The builder's own, kept between builds. */
  readonly homeDir: string;
  readonly user: Account;
  readonly progress: ProgressListener;
}

export async function runImageBuilder(run: Run, build: Build): Promise<void> {
  const { uid, gid } = build.user;
  await mkdir(build.homeDir, { recursive: true, mode: 0o700 });
  await chown(build.homeDir, uid, gid);
  await chown(build.outDir, uid, gid);
  let failure: RingwallError | undefined;
  const { code, stderr } = await run(
    [...builderProgram(), build.name, '--out', build.outDir, '--cache', join(build.homeDir, 'cache')],
    {
      uid,
      gid,
      cwd: build.homeDir,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: build.homeDir, TMPDIR: build.outDir, LANG: 'C.UTF-8' },
      timeoutMs: BUILD_TIMEOUT_MS,
      maxOutputBytes: OUTPUT_LIMIT_BYTES,
      onLine: (line) => {
        const said = parseLine(line);
        if (said instanceof RingwallError) failure = said;
        else if (said !== undefined) build.progress(said);
      },
    },
  );
  if (code === 0) return;
  const words = stderr.toString('utf8').trim().split('\n').at(-1) ?? '';
  throw failure ?? new RingwallError('image-failed', `the builder ended with status ${code}: ${words.slice(-300)}`);
}

/** Pure: one line of the builder's output; undefined where it says nothing to us. */
export function parseLine(line: string): { step: string; fraction?: number } | RingwallError | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const failure = failureSchema.safeParse(value);
  if (failure.success) {
    const { code, message, hint } = failure.data.error;
    return new RingwallError(code, message, hint === undefined ? {} : { hint });
  }
  const progress = progressSchema.safeParse(value);
  if (!progress.success) return undefined;
  const { step, fraction } = progress.data;
  return { step: step.slice(0, STEP_CHARACTERS), ...(fraction === undefined ? {} : { fraction }) };
}

/** Beside this program's bundle, or in the source tree, run by the same Node with the same conditions. */
function builderProgram(): string[] {
  const bundle = join(import.meta.dirname, 'imagebuilder.mjs');
  const source = join(import.meta.dirname, '../imagebuilder/main.ts');
  return [process.execPath, ...process.execArgv, existsSync(bundle) ? bundle : source];
}
