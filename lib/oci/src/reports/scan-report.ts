// What a scan says, before it is shown: findings with their origin, and without those that somebody answered for.
import { newerOf, originOf, type Ancestry, type KnownImage, type NewerImage } from '../inheritance/ancestors.ts';
import { FINDING_SEVERITIES, type Finding, type FindingSeverity } from '../inspection/finding.ts';
import type { InspectedImage } from '../inspection/inspected-image.ts';
import { applyIgnoreList, type IgnoredFinding, type IgnoreEntry } from './ignore-list.ts';
import { hideSecrets } from '../findings/secrets/hide-secrets.ts';
import { instructionOf } from './instruction.ts';

export interface ReportedFinding extends Finding {
  /** The same from build to build, and from scan to scan. */
  readonly id: string;
  /** That wrote its layer, as a Dockerfile would have it; '' where it is not known. */
  readonly instruction: string;
  /** The ancestor that brought it; '' where it is of the image's own. */
  readonly inheritedFrom: string;
}

export interface ReportedLayer {
  readonly digest: string;
  readonly instruction: string;
  readonly inheritedFrom: string;
}

/** The smallest change that takes findings away, and how many. */
export interface Remedy {
  readonly change: string;
  readonly findings: number;
}

export interface ScanReport {
  readonly subject: string;
  /** Of its manifest, '' where it has none. */
  readonly digest: string;
  readonly platform: string;
  /** Who signed it, in a sentence; '' where nobody asked. */
  readonly signed: string;
  /** ISO 8601. */
  readonly scannedAt: string;
  readonly layers: readonly ReportedLayer[];
  readonly ancestry: Ancestry;
  /** The worst first. */
  readonly findings: readonly ReportedFinding[];
  readonly ignored: readonly IgnoredFinding<ReportedFinding>[];
  /** Of the ignore list: not heeded any more, and never needed. */
  readonly expired: readonly IgnoreEntry[];
  readonly unused: readonly IgnoreEntry[];
  readonly remedies: readonly Remedy[];
  /** What was not seen, and other things to know. */
  readonly notes: readonly string[];
}

export interface ReportInputs {
  readonly subject: string;
  readonly digest: string;
  readonly image: Pick<InspectedImage, 'config' | 'layers'>;
  readonly findings: readonly Finding[];
  readonly ancestry: Ancestry;
  readonly known: readonly KnownImage[];
  readonly ignore: readonly IgnoreEntry[];
  readonly notes: readonly string[];
  readonly signed: string;
  readonly now: Date;
}

export function compileReport(inputs: ReportInputs): ScanReport {
  const { image, ancestry, ignore, now } = inputs;
  const layers = image.layers.map(({ digest, createdBy }, at) => ({
    digest,
    instruction: hideSecrets(instructionOf(createdBy)),
    inheritedFrom: originOf(at, ancestry)?.name ?? '',
  }));
  const reported = inputs.findings.map((finding): ReportedFinding => {
    const layer = finding.layer === undefined ? undefined : layers[finding.layer];
    return {
      ...finding,
      id: findingId(finding),
      instruction: layer?.instruction ?? '',
      inheritedFrom: layer?.inheritedFrom ?? '',
    };
  });
  const { left, ignored, expired, unused } = applyIgnoreList(reported, ignore, now);
  const { architecture, os } = image.config;
  return {
    subject: inputs.subject,
    digest: inputs.digest,
    platform: os === '' && architecture === '' ? '' : `${os}/${architecture}`,
    signed: inputs.signed,
    scannedAt: now.toISOString(),
    layers,
    ancestry,
    findings: left,
    ignored,
    expired,
    unused,
    remedies: remediesOf(left, inputs.known),
    notes: [...inputs.notes, ...ancestry.doubts],
  };
}

/** What ignore files and fingerprints name. */
export function findingId({ rule, path, subject }: Pick<Finding, 'rule' | 'path' | 'subject'>): string {
  return `${rule}@${path}${subject === '' ? '' : `#${subject}`}`;
}

/** True where a finding is as bad as `failOn`, or worse. */
export function fails({ findings }: ScanReport, failOn: FindingSeverity): boolean {
  const limit = FINDING_SEVERITIES.indexOf(failOn);
  return findings.some(({ severity }) => FINDING_SEVERITIES.indexOf(severity) <= limit);
}

/** Those of severity `info` need none. */
function remediesOf(findings: readonly ReportedFinding[], known: readonly KnownImage[]): readonly Remedy[] {
  const toMend = findings.filter(({ severity }) => severity !== 'info');
  const byAncestor = Map.groupBy(toMend, ({ inheritedFrom }) => inheritedFrom);
  const remedies = [...byAncestor].flatMap(([ancestor, inherited]): Remedy[] => {
    if (ancestor === '') {
      const byFix = Map.groupBy(inherited, ({ fix }) => fix);
      return [...byFix].flatMap(([fix, all]) => (fix === '' ? [] : [{ change: fix, findings: all.length }]));
    }
    const ids = inherited.map(({ id }) => id);
    const [best]: readonly (NewerImage | undefined)[] = newerOf(ancestor, ids, known);
    return best === undefined
      ? [{ change: `build on a newer ${ancestor}: it brought these`, findings: inherited.length }]
      : [{ change: `build on ${best.name} instead of ${ancestor}`, findings: best.fixes }];
  });
  return remedies.toSorted((one, other) => other.findings - one.findings);
}
