// The rule that tells known vulnerabilities as findings: one for each package that was built (of Debian: each source package) and
// vulnerability. What can be fixed, what has no fix, and what the distribution has decided not to fix have rules of their own, so
// that one can fail a build for the first and live with the last.
import { FINDING_SEVERITIES, type Finding, type FindingSeverity } from '../inspection/finding.ts';
import type { ImageRule } from '../inspection/inspected-image.ts';
import { installedPackages, type ImagePackages, type InstalledPackage } from '../packages/installed-packages.ts';
import type { AdvisorySource } from './advisory-source.ts';
import type { Priority } from './feeds/priorities.ts';
import { matchPackages, type Matches, type VulnerabilityMatch } from './match-packages.ts';
import { smallestChange } from './smallest-change.ts';
import { findStatement, type VexStatement } from './vex/statement.ts';

/** One in ten is exploited within 30 days: EPSS puts about 2 % of all CVEs above it. */
const LIKELY_EPSS = 0.1;
/** Feeds that say no severity say so of most that nobody has looked at. */
const SEVERITY_WHERE_UNSAID: FindingSeverity = 'medium';
/** Of the names in one message. */
const MAX_NAMES = 5;

/** Whose word is taken for what does not matter. */
export interface Heeded {
  readonly vex: readonly VexStatement[];
  /** Of the manifest, for statements about one image; '' where there is none. */
  readonly imageDigest: string;
}

const NOTHING_HEEDED: Heeded = { vex: [], imageDigest: '' };

/** For `judgeImage`. */
export function vulnerabilityRule(source: AdvisorySource, heed: Heeded = NOTHING_HEEDED): ImageRule {
  return (image) => judgeVulnerabilities(installedPackages(image), source, heed);
}

/** Also for a bill of materials, where no image is at hand. */
export function judgeVulnerabilities(
  packages: ImagePackages,
  source: AdvisorySource,
  heed: Heeded = NOTHING_HEEDED,
): readonly Finding[] {
  const matched = matchPackages(packages, source);
  return [
    ...groupsOf(matched.matches).map((group) => withHint(findingOf(group, source, heed), group, packages)),
    ...unjudgedFindings(packages, matched),
    ...kernelFindings(matched.kernels),
  ];
}

/** Told, and nothing is found less bad for it. */
function withHint(finding: Finding, group: Group, { unlinked }: ImagePackages): Finding {
  const isHinted = group.every(({ found }) => found.type === 'deb' && unlinked?.has(found.name) === true);
  if (!isHinted || finding.rule === 'vulnerability-excluded') return finding;
  const names = [...new Set(group.map(({ found }) => found.name))].slice(0, MAX_NAMES).join(', ');
  const hint = `; a hint: no program of the image is linked with ${names} (what one loads by itself is not seen)`;
  return { ...finding, message: `${finding.message}${hint}` };
}

type Group = readonly [VulnerabilityMatch, ...VulnerabilityMatch[]];

/** Binary packages of one source that have the same vulnerability. */
function groupsOf(matches: readonly VulnerabilityMatch[]): readonly Group[] {
  const groups = new Map<string, [VulnerabilityMatch, ...VulnerabilityMatch[]]>();
  for (const match of matches) {
    const { found, vulnerability, status, fixed } = match;
    const key = [
      found.type,
      found.source,
      found.sourceVersion,
      found.layer,
      found.path,
      vulnerability,
      status,
      fixed,
    ].join('\0');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [match]);
    else group.push(match);
  }
  return [...groups.values()];
}

const RULES: Readonly<Record<VulnerabilityMatch['status'], string>> = {
  affected: 'known-vulnerability',
  'end-of-life': 'vulnerability-end-of-life',
  ignored: 'vulnerability-not-to-be-fixed',
  minor: 'vulnerability-minor',
  undetermined: 'vulnerability-undetermined',
};
const WITHOUT_FIX = 'vulnerability-without-fix';
const VULNERABILITY_RULES: ReadonlySet<string> = new Set([...Object.values(RULES), WITHOUT_FIX]);

/** Whether findings of the rule are known vulnerabilities of packages. */
export function isVulnerabilityRule(rule: string): boolean {
  return VULNERABILITY_RULES.has(rule);
}

const WORDS: Readonly<Record<VulnerabilityMatch['status'], string>> = {
  affected: 'no fix yet',
  'end-of-life': 'its distribution fixes nothing in it any more',
  ignored: 'its distribution will not fix it',
  minor: 'minor by the word of its distribution',
  undetermined: 'whether it is affected is not known yet',
};

function findingOf(group: Group, source: AdvisorySource, heed: Heeded): Finding {
  const [{ vulnerability, advisory, found, status, fixed }] = group;
  const priority = source.priority(vulnerability);
  const { name, version } = nameOfGroup(found);
  const excluded = excludedBy(group, heed);
  if (excluded !== undefined) {
    const { status: said, reason, author } = excluded;
    return {
      rule: 'vulnerability-excluded',
      severity: 'info',
      message: `${vulnerability} in ${name} ${version}${partsOf(group, name)} is ${said.replace('_', ' ')} by the word of ${author || 'somebody without a name'}: ${reason}`,
      fix: '',
      path: found.path,
      layer: found.layer,
      hiddenBy: undefined,
      references: [vulnerability],
      subject: `${name} ${vulnerability}`,
    };
  }
  const about = advisory.summary();
  const words = [fixed === '' ? WORDS[status] : `fixed in ${fixed}`, ...wordsOf(priority)];
  if (fixed !== '' && status !== 'affected') words.unshift(WORDS[status]);
  return {
    rule: status === 'affected' && fixed === '' ? WITHOUT_FIX : RULES[status],
    severity: severityOf(group[0], priority),
    message: `${vulnerability} in ${name} ${version}${partsOf(group, name)} (${words.join('; ')})${about === '' ? '' : `: ${about}`}`,
    fix:
      fixed === ''
        ? ''
        : smallestChange(
            group.map((match) => match.found),
            fixed,
          ),
    path: found.path,
    layer: found.layer,
    hiddenBy: undefined,
    references: [...new Set([vulnerability, advisory.id])],
    subject: `${name} ${vulnerability}`,
  };
}

/** Only where each package of the group is meant. */
function excludedBy(group: Group, { vex, imageDigest }: Heeded): VexStatement | undefined {
  if (vex.length === 0) return undefined;
  const statements = group.map(({ vulnerability, advisory, found }) =>
    findStatement(vex, found, [vulnerability, advisory.id], imageDigest),
  );
  return statements.includes(undefined) ? undefined : statements[0];
}

function nameOfGroup({ type, name, version, source, sourceVersion }: InstalledPackage): {
  readonly name: string;
  readonly version: string;
} {
  return type === 'deb' || type === 'apk' || type === 'rpm'
    ? { name: source, version: sourceVersion }
    : { name, version };
}

function partsOf(group: Group, source: string): string {
  const names = [...new Set(group.map(({ found }) => found.name))].toSorted();
  if (names.length === 1 && names[0] === source) return '';
  const rest = names.length - MAX_NAMES;
  return `, as ${names.slice(0, MAX_NAMES).join(', ')}${rest > 0 ? ` and ${rest} more` : ''},`;
}

function wordsOf({ epss, exploitedSince }: Priority): readonly string[] {
  return [
    ...(exploitedSince === '' ? [] : [`exploited: in CISA's catalogue since ${exploitedSince}`]),
    ...(epss === undefined || epss < LIKELY_EPSS
      ? []
      : [`exploited within 30 days with a probability of ${Math.round(epss * 100)} %`]),
  ];
}

/** What is exploited is critical, what likely will be is one step worse; what the distribution finds minor is low. */
function severityOf({ advisory, status }: VulnerabilityMatch, { epss, exploitedSince }: Priority): FindingSeverity {
  if (exploitedSince !== '') return 'critical';
  const said = advisory.severity ?? SEVERITY_WHERE_UNSAID;
  if (status === 'minor' || status === 'ignored') return said === 'info' ? 'info' : 'low';
  if (epss === undefined || epss < LIKELY_EPSS) return said;
  return FINDING_SEVERITIES[Math.max(0, FINDING_SEVERITIES.indexOf(said) - 1)] ?? said;
}

function unjudgedFindings({ unread }: ImagePackages, { unjudged }: Matches): readonly Finding[] {
  const missing = unjudged.map(({ ecosystem, why, packages }): Finding => {
    const count = `${packages.length} ${packages.length === 1 ? 'package' : 'packages'}`;
    const [first] = packages;
    return {
      rule: 'packages-unjudged',
      severity: 'medium',
      message:
        why === 'no feed'
          ? `${count} of ${ecosystem} not judged: there is no whole feed for them here, so that nothing says that they are clean`
          : `${count} not judged: no advisories are known for ${ecosystem}`,
      fix: why === 'no feed' ? `ringwall advisories update FILE, with a feed for ${ecosystem}` : '',
      path: first?.path ?? '',
      layer: first?.layer,
      hiddenBy: undefined,
      references: [],
      subject: ecosystem,
    };
  });
  const broken = unread.map(({ path, layer, why }): Finding => ({
    rule: 'packages-unread',
    severity: 'medium',
    message: `packages could not be read, and are not known to be clean: ${why}`,
    fix: '',
    path,
    layer: path === '' ? undefined : layer,
    hiddenBy: undefined,
    references: [],
    subject: path,
  }));
  return [...missing, ...broken];
}

/** Headers are of no use to anybody but a compiler; an image of a kernel is dead weight that somebody may want to know of. */
function kernelFindings(kernels: readonly InstalledPackage[]): readonly Finding[] {
  const images = kernels.filter(
    ({ name }) => !/-(?:libc-dev|headers)|^linux-(?:headers|kbuild)|^kernel-headers$/.test(name),
  );
  return images.map(({ name, version, path, layer }) => ({
    rule: 'kernel-in-image',
    severity: 'info',
    message: `${name} ${version} is a kernel that no container runs: its vulnerabilities are not told, for the host's kernel is another`,
    fix: `leave ${name} out`,
    path,
    layer,
    hiddenBy: undefined,
    references: [],
    subject: name,
  }));
}
