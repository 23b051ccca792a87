// The chain of a proof: from who vouches for it, over the TPM, to the last thing that was measured. It repeats no check;
// it sorts what a report found by the part of the machine it is about, so that people see where a chain ends.
// Which PCR is about what: TCG PC Client Platform Firmware Profile 1.05 section 3.3.4 (0 to 7), UAPI Group, Linux TPM PCR
// Registry (8 to 15).
import type { RanFile, RanVerdict } from './proof-ima.ts';
import type { Anchor, ProofReport } from './proof-report.ts';
import { GOOD_STATUSES, type Check, type JudgedEvent } from './verdict.ts';

/** In the order in which each rests on those before it. */
export const LINK_TITLES = {
  broker: 'Broker',
  host: 'Host',
  tpm: 'TPM',
  firmware: 'Firmware',
  'boot-loader': 'Boot loader',
  kernel: 'Kernel',
  'system-image': 'System image',
  processes: 'Processes',
} as const;

export type LinkId = keyof typeof LINK_TITLES;

/**
 * `holds`: checked, and all that it rests on holds. `claimed`: nothing contradicts it, but it rests on somebody's bare word
 * or on a link that does not hold. `broken`: it is not what was expected. `absent`: the proof says nothing about it.
 */
export type LinkState = 'holds' | 'claimed' | 'broken' | 'absent';

export interface Link {
  readonly id: LinkId;
  readonly title: string;
  readonly state: LinkState;
  /** One sentence, lower case, without a full stop. */
  readonly says: string;
  /** Why it does not hold; empty where it does, or is absent. */
  readonly reasons: readonly string[];
  readonly events: readonly JudgedEvent[];
  readonly checks: readonly Check[];
  readonly anchors: readonly Anchor[];
  /** What ran, in its order: of `processes` alone. */
  readonly files: readonly RanFile[];
}

/** What a report holds about one link. */
type Findings = Pick<Link, 'events' | 'checks' | 'anchors' | 'files'>;

const LINK_IDS: readonly LinkId[] = Object.keys(LINK_TITLES).filter((id): id is LinkId => id in LINK_TITLES);

/**
 * Links of a proof, in the order of LINK_TITLES, always all of them. Where a link does not hold, none that rests on it
 * does: a firmware that was replaced measures whatever it likes.
 */
export function chainOf(report: ProofReport): readonly Link[] {
  const links: Link[] = [];
  let weakest: Link | undefined;
  for (const id of LINK_IDS) {
    const link = linkOf(id, report, weakest);
    links.push(link);
    if (weakest === undefined && (link.state === 'claimed' || link.state === 'broken')) weakest = link;
  }
  return links;
}

/** The link that an event is about. Its type is authenticated by nobody, so only PCR and reference decide. */
export function linkOfEvent({ pcr, what }: Pick<JudgedEvent, 'pcr' | 'what'>): LinkId {
  switch (pcr) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 6:
    case 7:
      return 'firmware';
    case 4:
      return /^kernel\b/.test(what) ? 'kernel' : 'boot-loader';
    case 5:
    case 8:
    case 14:
      return 'boot-loader';
    // The command line carries the root hash of the system image.
    case 9:
      return /^command line\b/.test(what) ? 'system-image' : 'kernel';
    case 11:
      return 'kernel';
    case 12:
    case 13:
    case 15:
      return 'system-image';
    default:
      return 'processes';
  }
}

const LINK_OF_ANCHOR: Readonly<Record<Anchor['id'], readonly LinkId[]>> = {
  'broker-key': ['broker'],
  policy: ['broker'],
  freshness: ['broker'],
  'vtpm-ca': ['tpm'],
  activation: ['tpm'],
  host: ['host'],
  watch: ['processes'],
  reference: ['firmware', 'boot-loader', 'kernel', 'system-image'],
};

/** Of the verdict's checks, those about the question that the broker asked; the others are about the TPM's answer. */
const BROKER_CHECKS: ReadonlySet<string> = new Set([
  'policy',
  'reference',
  'challenge',
  'reference-signature',
  'reference-time',
  'reference-authority',
  'reference-quoted',
]);

/** Whether what runs the machine has shown itself, and has named this TPM. */
const KINDS_CHECK = 'evidence-kinds';

function linkOf(id: LinkId, report: ProofReport, weakest: Link | undefined): Link {
  const findings = findingsOf(id, report);
  const title = LINK_TITLES[id];
  if (isAbsent(id, findings, report)) return { id, title, state: 'absent', says: ABSENT[id], reasons: [], ...findings };
  const wrong = wrongOf(id, findings, report);
  const bare = bareWords(findings, weakest);
  const base = { id, title, reasons: [...wrong, ...bare], ...findings };
  if (wrong.length > 0) return { ...base, state: 'broken', says: describeBroken(findings, wrong) };
  const says = describe(id, findings, report);
  if (bare.length > 0) return { ...base, state: 'claimed', says: `${says}, but only as a claim` };
  return { ...base, state: 'holds', says };
}

function findingsOf(id: LinkId, report: ProofReport): Findings {
  const { checks, verdict, host, ran } = report;
  const anchors = report.anchors.filter((anchor) => LINK_OF_ANCHOR[anchor.id].includes(id));
  const ofVerdict = verdict.checks.filter((check) => linkOfCheck(check.id, report) === id);
  if (id === 'host') {
    return { events: host?.events ?? [], checks: [...(host?.checks ?? []), ...ofVerdict], anchors, files: [] };
  }
  const measured = verdict.events.filter(({ status }) => status !== 'not-measured' || id === 'firmware');
  return {
    events: measured.filter((event) => linkOfEvent(event) === id),
    checks: [...(id === 'broker' ? checks : []), ...ofVerdict, ...(id === 'processes' ? (ran?.checks ?? []) : [])],
    anchors,
    files: id === 'processes' ? (ran?.files ?? []) : [],
  };
}

function linkOfCheck(id: string, { verdict, demanded }: ProofReport): LinkId | undefined {
  if (BROKER_CHECKS.has(id)) return 'broker';
  if (id === KINDS_CHECK) return demanded.length === 0 ? 'broker' : 'host';
  // Whether events are as expected is said by the events themselves, where they are there to say it.
  return id === 'events' && verdict.events.some(isWrong) ? undefined : 'tpm';
}

function isAbsent(id: LinkId, { events, checks }: Findings, { verdict, ran }: ProofReport): boolean {
  if (events.length > 0 || checks.length > 0 || (id === 'processes' && ran !== undefined)) return false;
  // Where nothing at all could be judged, that is no reason to call a part of the machine absent.
  const judged = verdict.events.length > 0;
  return judged || id === 'host' || id === 'processes';
}

function isWrong({ status }: JudgedEvent): boolean {
  return !GOOD_STATUSES.has(status);
}

function wrongOf(id: LinkId, { events, checks }: Findings, { brokerSaid, verdict, ran }: ProofReport): string[] {
  // All that ran, where a failed check names only the first.
  if (id === 'processes' && ran?.outcome === 'unexpected') return [...ran.reasons];
  const wrong = checks.filter(({ ok }) => !ok).map(({ detail }) => detail);
  wrong.push(...events.filter(isWrong).map(({ sentence }) => sentence));
  if (id === 'broker' && brokerSaid === 'refused' && verdict.outcome === 'accepted') {
    wrong.push('the broker refused this evidence, for reasons of its own');
  }
  return wrong;
}

/** What a link rests on that nobody but the bundle says. */
function bareWords({ anchors }: Findings, weakest: Link | undefined): string[] {
  const words = anchors.flatMap(({ source, what }) => {
    if (source === 'bundle') return [`only the bundle itself says: ${what}`];
    return source === 'nobody' ? [`nobody says: ${what}`] : [];
  });
  if (weakest !== undefined) {
    const state = weakest.state === 'broken' ? 'is broken' : 'is only a claim';
    words.push(`it rests on the link “${weakest.title}”, which ${state}`);
  }
  return words;
}

const ABSENT: Readonly<Record<LinkId, string>> = {
  broker: 'not part of this proof',
  host: 'not part of this proof: nothing here shows which computer ran the machine, or whether its owner looked inside',
  tpm: 'not part of this proof',
  firmware: 'not part of this proof: its rules demand no measurement of it',
  'boot-loader': 'not part of this proof: its rules demand no measurement of it',
  kernel: 'not part of this proof: its rules demand no measurement of it',
  'system-image': 'not part of this proof: its rules demand no measurement of it',
  processes: 'not part of this proof: it shows what was started, not what has run since',
};

/** Links that are more than a list of measurements. */
const WORDS: Readonly<Partial<Record<LinkId, string>>> = {
  broker: 'a broker asked, judged the answer and sealed it',
  host: 'its TPM has shown what it booted and ran, and that it vouches for the machine’s TPM',
  tpm: 'a TPM that was made for this machine signed what was measured, for this question alone',
};

function describe(id: LinkId, { events }: Findings, { ran }: ProofReport): string {
  const words = WORDS[id];
  if (words !== undefined) return words;
  if (id === 'processes' && ran !== undefined) return describeRan(ran);
  const measured = events.filter(({ status }) => status !== 'not-measured');
  const all = counted(measured);
  if (id !== 'boot-loader' || !isDirectBoot(measured)) return all;
  return `none ran, the firmware started the kernel itself: ${all}`;
}

function describeRan({ outcome, files }: RanVerdict): string {
  if (outcome === 'refused') return 'what ran was not judged';
  return `all ${files.length} files that ran since are of the image`;
}

/** Whatever the firmware starts, it measures as an application; where only digests are known, into PCR 4. */
function isDirectBoot(events: readonly JudgedEvent[]): boolean {
  return !events.some(
    ({ pcr, type }) =>
      pcr === 8 || type.startsWith('EV_EFI_BOOT_SERVICES_') || (pcr === 4 && type === 'EV_COMPACT_HASH'),
  );
}

function counted(events: readonly JudgedEvent[]): string {
  if (events.length === 0) return 'nothing of it could be judged';
  const names = [...new Set(events.map(({ what }) => what))];
  const what = names.length <= MAX_NAMES ? ` (${names.join(', ')})` : '';
  const allowed = events.filter(({ status }) => status === 'allowed').length;
  const but = allowed === 0 ? '' : `, but for ${allowed} that the policy allows to differ`;
  if (events.length === 1)
    return allowed === 0
      ? `its one measurement is as expected${what}`
      : `its one measurement differs, as the policy allows${what}`;
  return `its ${events.length} measurements are as expected${what}${but}`;
}

/** More names than this are a list, not a sentence. */
const MAX_NAMES = 3;

function describeBroken({ events, files }: Findings, wrong: readonly string[]): string {
  const strays = files.filter(({ status }) => status !== 'expected').length;
  if (strays > 0) return `${strays} of ${files.length} files that ran are not of the image`;
  const differing = events.filter(isWrong).length;
  if (differing === 0) return wrong.length === 1 ? 'a check of it failed' : `${wrong.length} checks of it failed`;
  return differing === 1 ? 'one measurement is not as expected' : `${differing} measurements are not as expected`;
}
