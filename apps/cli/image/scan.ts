// `ringwall image scan`: looks into whatever is named, judges it, and reports.
import { createHash } from 'node:crypto';
import { readCatalogue } from '@ringwall/host/images';
import {
  compileReport,
  fails,
  findAncestors,
  FINDING_SEVERITIES,
  IMAGE_RULES,
  judgeImage,
  judgeVulnerabilities,
  MAX_SBOM_BYTES,
  MAX_VEX_BYTES,
  parseIgnoreList,
  parseSbom,
  parseVex,
  renderHtml,
  renderJunit,
  renderSarif,
  reportStyle,
  sortFindings,
  vulnerabilityRule,
  type FindingSeverity,
  type ParsedSbom,
  type ScanReport,
} from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import { readBuild } from '../installation.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { withAdvisories } from './advisories.ts';
import { catalogueFile } from './catalogue.ts';
import { bareImage, openScanned, type Scanned } from './inspect-subject.ts';
import { compileNames, readBytes, reading, usage } from './names.ts';
import { renderReport } from './render-report.ts';
import { scanDockerfile } from './scan-dockerfile.ts';
import { subjectKind } from './subject.ts';

const DEFAULT_FAIL_ON: FindingSeverity = 'high';
const NEVER = 'never';
const FORMATS = ['text', 'json', 'sarif', 'html', 'junit'] as const;
type Format = (typeof FORMATS)[number];

export async function scanSubject(invocation: Invocation, subject: string): Promise<number> {
  const kind = subjectKind(invocation, subject);
  if (kind === 'dockerfile') return scanDockerfile(invocation, compileNames(invocation), subject);
  const failOn = severityOf(invocation);
  const format = formatOf(invocation);
  const ignoreFile = invocation.values.get('ignore');
  const ignore = ignoreFile === undefined ? [] : reading(ignoreFile, () => parseIgnoreList(readBytes(ignoreFile)));
  const known = reading('the catalogue', () => readCatalogue(catalogueFile(invocation)));
  const vexFile = invocation.values.get('vex');
  const vex = vexFile === undefined ? [] : reading(vexFile, () => parseVex(readBytes(vexFile, MAX_VEX_BYTES)));
  const bill = kind === 'sbom' ? reading(subject, () => parseSbom(readBytes(subject, MAX_SBOM_BYTES))) : undefined;
  const scanned = bill === undefined ? await openScanned(invocation, subject) : scannedBill(bill);
  if (scanned === undefined) return EXIT_CODES.refused.code;
  const { image, digest, annotations, notes, signed } = scanned;
  const heed = { vex, imageDigest: digest };
  const ancestry = findAncestors({ ...image, annotations }, known);
  const report = compileReport({
    subject,
    digest,
    image,
    findings: withAdvisories(invocation, (source) =>
      bill === undefined
        ? judgeImage(image, [...IMAGE_RULES, vulnerabilityRule(source, heed)])
        : sortFindings(judgeVulnerabilities(bill.packages, source, heed)),
    ),
    ancestry,
    known,
    ignore,
    notes,
    signed,
    now: new Date(invocation.now()),
  });
  const failed = failOn !== NEVER && fails(report, failOn);
  show(invocation, report, format, failOn, failed);
  return failed ? EXIT_CODES.refused.code : EXIT_CODES.ok.code;
}

/** Only packages, without files: what else is wrong with the image, its bill does not say. */
function scannedBill({ format, name }: ParsedSbom): Scanned {
  return {
    image: bareImage({ entries: [], facts: [] }),
    digest: '',
    annotations: {},
    notes: [`a bill of materials (${format}${name === '' ? '' : `, of ${name}`}): only its packages are judged`],
    signed: '',
  };
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
