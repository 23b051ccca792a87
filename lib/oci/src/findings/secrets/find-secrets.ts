// Looks for secrets in the text of one file. What it tells holds no part of any.
import { findAssignedSecrets } from './assigned-secrets.ts';
import { TOKEN_FORMATS } from './token-formats.ts';

/** Of one file and one form: what matters is clear by then. */
const MAX_MATCHES = 200;

export interface SecretSighting {
  /** Of the format, or `assigned`. */
  readonly kind: string;
  /** The setting that it is the value of; '' where its form says it. */
  readonly name: string;
  /** Of the first, counted from 1. */
  readonly line: number;
  readonly count: number;
}

export interface SearchOptions {
  /** How settings are written in this file; undefined where it has none. */
  readonly assignments?: 'any' | 'quoted' | undefined;
}

export function findSecrets(text: string, { assignments }: SearchOptions): readonly SecretSighting[] {
  const sightings: SecretSighting[] = [];
  const covered = new Set<number>();
  for (const { id, pattern, isReal } of TOKEN_FORMATS) {
    let [count, matches, line] = [0, 0, 0];
    for (const match of text.matchAll(pattern)) {
      matches += 1;
      if (matches > MAX_MATCHES) break;
      if (!isReal(match)) continue;
      count += 1;
      if (count === 1) line = lineAt(text, match.index);
      covered.add(lineAt(text, match.index));
    }
    if (count > 0) sightings.push({ kind: id, name: '', line, count });
  }
  if (assignments === undefined) return sightings;
  const assigned = findAssignedSecrets(text, { quotedOnly: assignments === 'quoted' });
  return [
    ...sightings,
    // What a form has told already is not told again by its name.
    ...assigned
      .filter(({ line }) => !covered.has(line))
      .map(({ name, line }) => ({ kind: ASSIGNED, name, line, count: 1 })),
  ];
}

export const ASSIGNED = 'assigned';

function lineAt(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}
