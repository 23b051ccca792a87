// The scanners of malware that look at what is scanned, unless somebody does without.
import type { hostScanner as openHostScanner } from '@ringwall/host/images';
import type { Invocation } from '../invocation.ts';
import { readBytes, usage } from './given.ts';

export interface Scanning {
  readonly scanner: Awaited<ReturnType<typeof openHostScanner>> | undefined;
  /** What does not look, and why. */
  readonly notes: readonly string[];
}

/** A bill of materials needs none. */
export async function scannerFor(invocation: Invocation): Promise<Scanning> {
  const { flags, values, now } = invocation;
  const rules = values.get('yara');
  if (invocation.arguments[0] === 'sbom') return { scanner: undefined, notes: [] };
  if (flags.has('no-scanners')) {
    if (rules !== undefined) throw usage('--yara and --no-scanners contradict each other', 'leave one of them out');
    return { scanner: undefined, notes: ['not looked at by YARA and ClamAV: --no-scanners'] };
  }
  const { hostScanner } = await import('@ringwall/host/images');
  const scanner = await hostScanner(new Date(now()), rules === undefined ? undefined : readBytes(rules));
  return { scanner, notes: scanner.notes };
}
