// A report for code hosts and editors. OASIS Static Analysis Results Interchange Format (SARIF) 2.1.0: sections 3.13 (sarifLog),
// 3.19 (toolComponent), 3.27 (result), 3.35 (suppression).
import type { FindingSeverity } from '../inspection/finding.ts';
import type { ReportedFinding, ScanReport } from './scan-report.ts';

const SCHEMA = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';

const LEVELS: Readonly<Record<FindingSeverity, 'error' | 'warning' | 'note'>> = {
  critical: 'error',
  high: 'error',
  medium: 'warning',
  low: 'note',
  info: 'note',
};
/** What code hosts sort by, from 0 to 10, as CVSS has it. */
const SECURITY_SEVERITY: Readonly<Record<FindingSeverity, string>> = {
  critical: '9.5',
  high: '8.0',
  medium: '5.5',
  low: '2.0',
  info: '0.0',
};

/** `version` of the program. */
export function renderSarif(report: ScanReport, version: string): string {
  const all = [...report.findings, ...report.ignored.map(({ finding }) => finding)];
  const rules = [...new Set(all.map(({ rule }) => rule))].toSorted();
  const log = {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'ringwall',
            version,
            rules: rules.map((id) => ({
              id,
              properties: {
                'security-severity': worstOf(all.filter(({ rule }) => rule === id)),
              },
            })),
          },
        },
        automationDetails: { id: `ringwall image scan/${report.subject}` },
        results: [
          ...report.findings.map((finding) => resultOf(finding, rules, report)),
          ...report.ignored.map(({ finding, entry }) => ({
            ...resultOf(finding, rules, report),
            suppressions: [{ kind: 'external', status: 'accepted', justification: entry.reason }],
          })),
        ],
      },
    ],
  };
  return `${JSON.stringify(log, undefined, 2)}\n`;
}

function resultOf(finding: ReportedFinding, rules: readonly string[], { subject }: ScanReport): object {
  const { rule, severity, message, fix, path, id, layer, hiddenBy, instruction, inheritedFrom, references } = finding;
  return {
    ruleId: rule,
    ruleIndex: rules.indexOf(rule),
    level: LEVELS[severity],
    message: { text: fix === '' ? message : `${message}. ${fix}` },
    locations: [
      {
        // Consumers want a file; a finding about the image as a whole is about its name.
        physicalLocation: { artifactLocation: { uri: uriOf(path === '' ? subject : path) } },
        logicalLocations: [{ fullyQualifiedName: `${subject}:/${path}`, kind: 'resource' }],
      },
    ],
    partialFingerprints: { 'ringwall/1': id },
    properties: {
      severity,
      references,
      ...(layer === undefined ? {} : { layer: layer + 1, instruction, inheritedFrom }),
      ...(hiddenBy === undefined ? {} : { hiddenByLayer: hiddenBy + 1 }),
    },
  };
}

function worstOf(findings: readonly ReportedFinding[]): string {
  return findings
    .map(({ severity }) => SECURITY_SEVERITY[severity])
    .reduce((worst, each) => (Number(each) > Number(worst) ? each : worst), '0.0');
}

/** A relative reference of RFC 3986, whatever bytes a path has: each segment encoded, none that could be a scheme. */
function uriOf(path: string): string {
  return path
    .split('/')
    .map((segment) => encodeURIComponent(segment.toWellFormed()))
    .join('/');
}
