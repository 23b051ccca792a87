// Base scores of CVSS 3.0 and 3.1 from their vectors: https://www.first.org/cvss/v3.1/specification-document, section 7.1, and
// the rating of section 5. Version 4.0 scores by a table of some hundred classes, and version 2 rates otherwise: feeds that use
// them say a word, too.
import type { FindingSeverity } from '../../inspection/finding.ts';

const WEIGHTS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  AV: { N: 0.85, A: 0.62, L: 0.55, P: 0.2 },
  AC: { L: 0.77, H: 0.44 },
  UI: { N: 0.85, R: 0.62 },
  C: { H: 0.56, L: 0.22, N: 0 },
  I: { H: 0.56, L: 0.22, N: 0 },
  A: { H: 0.56, L: 0.22, N: 0 },
};
/** By whether the scope changes. */
const PRIVILEGES: Readonly<Record<string, readonly [unchanged: number, changed: number]>> = {
  N: [0.85, 0.85],
  L: [0.62, 0.68],
  H: [0.27, 0.5],
};

/** Undefined where it is no whole vector of version 3. */
export function scoreCvss3(vector: string): number | undefined {
  const [version, ...parts] = vector.split('/', 40);
  if (version !== 'CVSS:3.0' && version !== 'CVSS:3.1') return undefined;
  const metrics = new Map(parts.map((part): [string, string] => [part.split(':')[0] ?? '', part.split(':')[1] ?? '']));
  const weight = (metric: string): number => WEIGHTS[metric]?.[metrics.get(metric) ?? ''] ?? Number.NaN;
  const changed = metrics.get('S') === 'C';
  if (!changed && metrics.get('S') !== 'U') return undefined;
  const privileges = PRIVILEGES[metrics.get('PR') ?? '']?.[changed ? 1 : 0] ?? Number.NaN;
  const impactBase = 1 - (1 - weight('C')) * (1 - weight('I')) * (1 - weight('A'));
  const impact = changed ? 7.52 * (impactBase - 0.029) - 3.25 * (impactBase - 0.02) ** 15 : 6.42 * impactBase;
  const exploitability = 8.22 * weight('AV') * weight('AC') * privileges * weight('UI');
  if (Number.isNaN(impact) || Number.isNaN(exploitability)) return undefined;
  if (impact <= 0) return 0;
  return roundUp(Math.min((changed ? 1.08 : 1) * (impact + exploitability), 10));
}

export function severityOfScore(score: number): FindingSeverity {
  if (score >= 9) return 'critical';
  if (score >= 7) return 'high';
  if (score >= 4) return 'medium';
  return score > 0 ? 'low' : 'info';
}

/** Appendix A: to one decimal, upwards, without what floating point adds. */
function roundUp(value: number): number {
  const whole = Math.round(value * 100_000);
  return whole % 10_000 === 0 ? whole / 100_000 : (Math.floor(whole / 10_000) + 1) / 10;
}
