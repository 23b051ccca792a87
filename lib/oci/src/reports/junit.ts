// A report for build servers: a test case for each finding, failed where it is as bad as asked. JUnit's XML has no standard; this
// is the form that Ant's and Maven's reporters write, and that all servers read.
import { FINDING_SEVERITIES, type FindingSeverity } from '../inspection/finding.ts';
import { escapeMarkup } from './markup.ts';
import type { ReportedFinding, ScanReport } from './scan-report.ts';

/** Without `failOn` none is a failure. */
export function renderJunit(report: ScanReport, failOn: FindingSeverity | undefined): string {
  const limit = failOn === undefined ? -1 : FINDING_SEVERITIES.indexOf(failOn);
  const failed = (finding: ReportedFinding): boolean => FINDING_SEVERITIES.indexOf(finding.severity) <= limit;
  const failures = report.findings.filter(failed).length;
  // Servers take a suite without tests for one that did not run.
  const whole = report.findings.length + report.ignored.length === 0 ? [testCase('image', report.subject, '')] : [];
  const cases = [
    ...whole,
    ...report.findings.map((finding) => testCase(finding.rule, finding.id, failed(finding) ? failureOf(finding) : '')),
    ...report.ignored.map(({ finding, entry }) =>
      testCase(finding.rule, finding.id, `<skipped message="${escapeMarkup(entry.reason)}"/>`),
    ),
  ];
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="ringwall image scan" tests="${String(cases.length)}" failures="${String(failures)}">`,
    `  <testsuite name="${escapeMarkup(report.subject)}" tests="${String(cases.length)}" failures="${String(failures)}" skipped="${String(report.ignored.length)}" errors="0" timestamp="${escapeMarkup(report.scannedAt)}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function testCase(rule: string, id: string, inside: string): string {
  const open = `    <testcase classname="${escapeMarkup(rule)}" name="${escapeMarkup(id)}"`;
  return inside === '' ? `${open}/>` : `${open}>${inside}</testcase>`;
}

function failureOf({ severity, message, fix, instruction, inheritedFrom }: ReportedFinding): string {
  const lines = [
    fix,
    instruction === '' ? '' : `written by: ${instruction}`,
    inheritedFrom === '' ? '' : `inherited from: ${inheritedFrom}`,
  ];
  const text = lines.filter((line) => line !== '').join('\n');
  return `<failure type="${severity}" message="${escapeMarkup(message)}">${escapeMarkup(text)}</failure>`;
}
