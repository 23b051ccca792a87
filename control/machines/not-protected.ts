// What is not protected on this host, as sentences: said of every machine, next to what was proven.
import type { Finding, Machine, Protection } from '@ringwall/api';

export const EMULATED_LABEL = 'emulated: no isolation boundary';

export interface NotProtectedFacts {
  readonly machine: Machine;
  /** Undefined where the warden did not say. */
  readonly findings: readonly Finding[] | undefined;
  /** Undefined where the warden did not say. */
  readonly protections: readonly Protection[] | undefined;
}

export function notProtected({ machine, findings, protections }: NotProtectedFacts): string[] {
  const sentences: string[] = [];
  if (findings === undefined) sentences.push('the warden does not say what this host protects');
  if (protections === undefined) sentences.push('the warden does not say which walls of this machine hold');
  for (const finding of findings ?? []) {
    if (finding.state !== 'present') sentences.push(sentenceOf(finding));
  }
  if (machine.status.accelerator === 'tcg' && !sentences.some((sentence) => sentence.startsWith(EMULATED_LABEL))) {
    sentences.push(EMULATED_LABEL);
  }
  for (const { title, state, seen } of protections ?? []) {
    if (state === 'missing') sentences.push(`a wall of this machine does not hold: ${title} (${seen})`);
    if (state === 'unknown') sentences.push(`nobody can say whether a wall of this machine holds: ${title} (${seen})`);
  }
  return [...new Set(sentences)];
}

/** The finding that says why there is no KVM. */
const ACCELERATOR_FINDING = 'accelerator';

function sentenceOf({ id, state, meaning, seen }: Finding): string {
  if (id === ACCELERATOR_FINDING) return `${EMULATED_LABEL} (${seen})`;
  return state === 'unknown' ? `${meaning} (it could not be found out: ${seen})` : meaning;
}
