// `ringwall image scan`: looks into whatever is named, judges it, and reports.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import { hostFinishers, inspectFolder, openImage, openLayerReader, type StoredImage } from '@ringwall/host/images';
import {
  compileReport,
  fails,
  findAncestors,
  finishFacts,
  FINDING_SEVERITIES,
  IMAGE_RULES,
  inspectImage,
  INSPECTORS,
  judgeImage,
  judgeVulnerabilities,
  MAX_SBOM_BYTES,
  parseIgnoreList,
  parseSbom,
  renderHtml,
  renderJunit,
  renderSarif,
  reportStyle,
  sortFindings,
  vulnerabilityRule,
  type FindingSeverity,
  canonicalReference,
  type InspectedImage,
  type LayerContents,
  type ParsedSbom,
  type Reference,
  type ScanReport,
} from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import { readBuild } from '../installation.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { judging } from './judging.ts';
import { withAdvisories } from './advisories.ts';
import { compileNames, readBytes, reading, usage } from './names.ts';
import { platformOf } from './platform.ts';
import { admitName, asking, openRemote } from './remote.ts';
import { renderReport } from './render-report.ts';
import { scanDockerfile } from './scan-dockerfile.ts';
import { kindOf, type SubjectKind } from './subject.ts';

const DEFAULT_FAIL_ON: FindingSeverity = 'high';
const NEVER = 'never';
const FORMATS = ['text', 'json', 'sarif', 'html', 'junit'] as const;
type Format = (typeof FORMATS)[number];
/** Of what could not be read, so many are named. */
const MAX_UNREAD_NAMED = 5;

/** What was scanned, and from where. */
export interface Scanned {
  readonly image: InspectedImage;
  readonly digest: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

export async function scanSubject(invocation: Invocation, subject: string): Promise<number> {
  const kind = kindOf(subject);
  if (kind === 'dockerfile') return scanDockerfile(invocation, compileNames(invocation), subject);
  const failOn = severityOf(invocation);
  const format = formatOf(invocation);
  const ignoreFile = invocation.values.get('ignore');
  const ignore = ignoreFile === undefined ? [] : reading(ignoreFile, () => parseIgnoreList(readBytes(ignoreFile)));
  const bill = kind === 'sbom' ? reading(subject, () => parseSbom(readBytes(subject, MAX_SBOM_BYTES))) : undefined;
  const scanned = bill === undefined ? await openScanned(invocation, subject) : scannedBill(bill);
  if (scanned === undefined) return EXIT_CODES.refused.code;
  const { image, digest, annotations, notes } = scanned;
  const ancestry = findAncestors({ ...image, annotations }, []);
  const report = compileReport({
    subject,
    digest,
    image,
    findings: withAdvisories(invocation, (source) =>
      bill === undefined
        ? judgeImage(image, [...IMAGE_RULES, vulnerabilityRule(source)])
        : sortFindings(judgeVulnerabilities(bill.packages, source)),
    ),
    ancestry,
    known: [],
    ignore,
    notes,
    now: new Date(invocation.now()),
  });
  const failed = failOn !== NEVER && fails(report, failOn);
  show(invocation, report, format, failOn, failed);
  return failed ? EXIT_CODES.refused.code : EXIT_CODES.ok.code;
}

/** Undefined where its name was refused, which has been said then. */
export async function openScanned(invocation: Invocation, subject: string): Promise<Scanned | undefined> {
  const kind = kindOf(subject);
  const reference = kind === 'name' ? admitName(invocation, subject) : undefined;
  if (kind === 'name' && reference === undefined) return undefined;
  return await judging(subject, () => inspectSubject(invocation, subject, kind, reference));
}

async function inspectSubject(
  invocation: Invocation,
  subject: string,
  kind: SubjectKind,
  reference: Reference | undefined,
): Promise<Scanned> {
  if (reference !== undefined) {
    const { signal } = new AbortController();
    const stored = await openRemote(invocation, reference, signal);
    return await asking(canonicalReference(reference), () => inspectStored(invocation, stored, signal));
  }
  if (kind === 'image') return await inspectArchive(invocation, subject);
  if (kind === 'root') return await inspectRoot(subject);
  throw usage(`${subject} is neither an image, a folder nor a Dockerfile`, 'disk images: ringwall disk inspect');
}

async function inspectArchive(invocation: Invocation, path: string): Promise<Scanned> {
  const signal = new AbortController().signal;
  const image = invocation.values.get('image') ?? '';
  using opened = await openImage(path, { image, platform: platformOf(invocation), signal });
  if (opened === undefined) {
    throw new RingwallError('image-failed', `${path} is no image`, {
      hint: 'an OCI layout, or what docker save, podman save or skopeo copy wrote',
    });
  }
  return await inspectStored(invocation, opened, signal);
}

async function inspectStored(invocation: Invocation, stored: StoredImage, signal: AbortSignal): Promise<Scanned> {
  const { digest, annotations } = stored;
  await using reader = openLayerReader({ cacheFolder: cacheFolder(invocation), finishers: hostFinishers(), signal });
  return { image: await reader.inspect(stored), digest, annotations, notes: [] };
}

async function inspectRoot(path: string): Promise<Scanned> {
  const unread: string[] = [];
  const contents = await finishFacts(
    inspectFolder(path, INSPECTORS, (file) => unread.push(file)),
    INSPECTORS,
    hostFinishers(),
  );
  const named = unread.slice(0, MAX_UNREAD_NAMED).map((file) => `/${file}`);
  return {
    image: bareImage(contents),
    digest: '',
    annotations: {},
    notes: [
      'a folder shows no file capabilities and no other extended attributes',
      ...(unread.length === 0 ? [] : [`${String(unread.length)} files could not be read: ${named.join(', ')}`]),
    ],
  };
}

/** Only packages, without files: what else is wrong with the image, its bill does not say. */
function scannedBill({ format, name }: ParsedSbom): Scanned {
  return {
    image: bareImage({ entries: [], facts: [] }),
    digest: '',
    annotations: {},
    notes: [`a bill of materials (${format}${name === '' ? '' : `, of ${name}`}): only its packages are judged`],
  };
}

/** Files without a configuration: what would run in them is not known. */
function bareImage(contents: LayerContents): InspectedImage {
  const config = {
    architecture: '',
    os: '',
    created: '',
    user: '',
    env: [],
    entrypoint: [],
    cmd: [],
    workingDir: '',
    exposedPorts: [],
    volumes: [],
    labels: {},
    hasHealthcheck: false,
    onBuild: [],
    history: [],
  };
  return inspectImage(config, [{ digest: '', diffId: '', createdBy: '' }], [contents]);
}

function show(
  invocation: Invocation,
  report: ScanReport,
  format: Format,
  failOn: FindingSeverity | typeof NEVER,
  failed: boolean,
): void {
  const { out, flags, installation } = invocation;
  switch (format) {
    case 'text':
      for (const line of renderReport(report, out, flags.has('all'))) out.line(line);
      break;
    case 'json':
      printJson(invocation, { ...report, failed });
      break;
    case 'sarif':
      out.write(renderSarif(report, readBuild(installation).version));
      break;
    case 'junit':
      out.write(renderJunit(report, failOn === NEVER ? undefined : failOn));
      break;
    case 'html':
      out.write(renderHtml(report, `sha256-${createHash('sha256').update(reportStyle()).digest('base64')}`));
  }
}

/** Where what is known of layers is kept; `--no-cache` reads all anew, and keeps nothing. */
function cacheFolder({ flags, environment }: Invocation): string | undefined {
  if (flags.has('no-cache')) return undefined;
  const caches = environment['XDG_CACHE_HOME'] || join(environment['HOME'] ?? homedir(), '.cache');
  return join(caches, 'ringwall', 'layers');
}

function severityOf({ values }: Invocation): FindingSeverity | typeof NEVER {
  const wanted = values.get('fail-on') ?? DEFAULT_FAIL_ON;
  if (wanted === NEVER) return NEVER;
  const severity = FINDING_SEVERITIES.find((each) => each === wanted);
  if (severity === undefined) {
    throw usage(`--fail-on ${JSON.stringify(wanted)}`, `of an image one of ${FINDING_SEVERITIES.join(', ')}, ${NEVER}`);
  }
  return severity;
}

function formatOf({ values, json }: Invocation): Format {
  const wanted = values.get('format') ?? (json ? 'json' : 'text');
  const format = FORMATS.find((each) => each === wanted);
  if (format === undefined || (json && format !== 'json'))
    throw usage(`--format ${JSON.stringify(wanted)}`, `one of ${FORMATS.join(', ')}`);
  return format;
}
