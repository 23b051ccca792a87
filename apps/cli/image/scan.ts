// `ringwall image scan`: looks into whatever is named, judges it, and reports.
import { readCatalogue } from '@ringwall/host/images';
import {
  compileReport,
  fails,
  findAncestors,
  FINDING_SEVERITIES,
  parseIgnoreList,
  type FindingSeverity,
  type ScanReport,
} from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import { readBuild } from '../installation.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { catalogueFile } from './catalogue-file.ts';
import { readBytes, reading, usage } from './given.ts';
import { judgeSubject, readVex } from './judge-subject.ts';
import { subjectKind } from './subject.ts';

const DEFAULT_FAIL_ON: FindingSeverity = 'high';
const NEVER = 'never';
const FORMATS = ['text', 'json', 'sarif', 'html', 'junit'] as const;
type Format = (typeof FORMATS)[number];

export async function scanSubject(invocation: Invocation, subject: string): Promise<number> {
  const kind = subjectKind(invocation, subject);
  if (kind === 'dockerfile') {
    const { scanDockerfile } = await import('./scan-dockerfile.ts');
    return scanDockerfile(invocation, subject);
  }
  const failOn = severityOf(invocation);
  const format = formatOf(invocation);
  const ignoreFile = invocation.values.get('ignore');
  const ignore = ignoreFile === undefined ? [] : reading(ignoreFile, () => parseIgnoreList(readBytes(ignoreFile)));
  const known = reading('the catalogue', () => readCatalogue(catalogueFile(invocation)));
  const judged = await judgeSubject(invocation, kind, subject, readVex(invocation));
  if (judged === undefined) return EXIT_CODES.refused.code;
  const report = compileReport({
    ...judged,
    subject,
    ancestry: findAncestors({ ...judged.image, annotations: judged.annotations }, known),
    known,
    ignore,
    now: new Date(invocation.now()),
  });
  const failed = failOn !== NEVER && fails(report, failOn);
  await show(invocation, report, format, failOn, failed);
  return failed ? EXIT_CODES.refused.code : EXIT_CODES.ok.code;
}

/** Each form of the report is loaded only where it is wanted. */
async function show(
  invocation: Invocation,
  report: ScanReport,
  format: Format,
  failOn: FindingSeverity | typeof NEVER,
  failed: boolean,
): Promise<void> {
  const { out, flags, installation } = invocation;
  switch (format) {
    case 'text': {
      const { renderReport } = await import('./render-report.ts');
      for (const line of renderReport(report, out, flags.has('all'))) out.line(line);
      break;
    }
    case 'json':
      printJson(invocation, { ...report, failed });
      break;
    case 'sarif': {
      const { renderSarif } = await import('@ringwall/oci');
      out.write(renderSarif(report, readBuild(installation).version));
      break;
    }
    case 'junit': {
      const { renderJunit } = await import('@ringwall/oci');
      out.write(renderJunit(report, failOn === NEVER ? undefined : failOn));
      break;
    }
    case 'html': {
      const { renderPage } = await import('./render-page.ts');
      out.write(renderPage(report));
    }
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
