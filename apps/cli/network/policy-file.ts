// A file with a policy: read whole, and JSON. What it says is for the daemon to judge.
import { readFile, stat } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api/errors';
import type { Invocation } from '../invocation.ts';

/** As the daemon takes a body. */
const MAX_POLICY_BYTES = 1_000_000;

export async function readPolicyFile(path: string): Promise<unknown> {
  const { size } = await stat(path).catch((cause: unknown) => {
    throw new RingwallError('not-found', `${path} cannot be read`, { cause });
  });
  if (size > MAX_POLICY_BYTES) {
    throw new RingwallError('too-large', `${path} has ${String(size)} bytes, at most ${String(MAX_POLICY_BYTES)}`, {
      hint: 'a policy of this size is several networks',
    });
  }
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RingwallError('bad-request', `${path} is not JSON: ${error instanceof Error ? error.message : ''}`, {
      hint: 'see what a policy looks like: ringwall net export',
      cause: error,
    });
  }
}

/** The one word that `plan` and `apply` take. */
export function fileOf({ arguments: words, self }: Invocation, action: string): string {
  const [file, more] = words;
  if (file !== undefined && more === undefined) return file;
  throw new RingwallError('bad-request', `net ${action} takes one file`, {
    hint: `as in: ${self} net ${action} policy.json`,
  });
}
