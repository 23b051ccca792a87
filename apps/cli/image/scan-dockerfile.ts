// A Dockerfile judged, and the names that it begins from.
import {
  judgeDockerfile,
  OciError,
  parseDockerfile,
  type DockerfileFinding,
  type Lookalikes,
  type NameVerdict,
} from '@ringwall/oci';
import { EXIT_CODES } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { plainText, wrapText, type Terminal } from '../terminal.ts';
import { reading, readText, usage } from './given.ts';
import { compileNames } from './names.ts';
import { renderName } from './render-name.ts';

const SEVERITIES = ['error', 'warning', 'info', 'style'] as const;
type Severity = (typeof SEVERITIES)[number];
const DEFAULT_FAIL_ON: Severity = 'error';

interface JudgedBase {
  readonly line: number;
  readonly name: string;
  readonly verdict: NameVerdict;
}

export function scanDockerfile(invocation: Invocation, file: string): number {
  const { out, json } = invocation;
  const lookalikes = compileNames(invocation);
  const failOn = severityOf(invocation);
  const text = readText(file);
  const { findings, bases } = reading(file, () => ({
    findings: judgeDockerfile(text),
    bases: basesOf(text, lookalikes),
  }));
  const worst = SEVERITIES.indexOf(failOn);
  const failed =
    findings.some(({ severity }) => SEVERITIES.indexOf(severity) <= worst) ||
    bases.some(({ verdict }) => verdict.verdict === 'block');
  if (json) printJson(invocation, { file, failed, bases, findings: findings.map(documentOf) });
  else for (const line of renderScan(file, findings, bases, out)) out.line(line);
  return failed ? EXIT_CODES.refused.code : EXIT_CODES.ok.code;
}

/** What FROM names, where it can be known and no earlier stage is meant. */
function basesOf(text: string, lookalikes: Lookalikes): JudgedBase[] {
  const { stages } = parseDockerfile(text);
  return stages.flatMap(({ base, baseImage, baseStage }): JudgedBase[] => {
    if (baseStage !== undefined || baseImage === undefined || baseImage === 'scratch') return [];
    try {
      return [{ line: base.at.line, name: baseImage, verdict: lookalikes.judge(baseImage) }];
    } catch (error) {
      // A name that is none is a finding of the rules.
      if (error instanceof OciError) return [];
      throw error;
    }
  });
}

function renderScan(
  file: string,
  findings: readonly DockerfileFinding[],
  bases: readonly JudgedBase[],
  out: Terminal,
): string[] {
  const odd = bases.filter(({ verdict }) => verdict.verdict !== 'allow');
  if (findings.length === 0 && odd.length === 0) return [`${out.tick} nothing to say about ${plainText(file)}`];
  const counts = SEVERITIES.flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [`${String(count)} ${severity}`];
  });
  return [
    ...odd.flatMap(({ line, name, verdict }) => [
      `${plainText(file)}:${String(line)}`,
      ...renderName(name, verdict, out),
      '',
    ]),
    ...findings.flatMap((finding) => renderFinding(file, finding, out)),
    counts.join(', '),
  ].filter((line, index, all) => line !== '' || index < all.length - 1);
}

function renderFinding(file: string, { rule, severity, at, message, fix }: DockerfileFinding, out: Terminal): string[] {
  const sign = severity === 'error' ? out.cross : severity === 'warning' ? out.bang : '·';
  return [
    `${plainText(file)}:${String(at.line)}:${String(at.column)}`,
    `  ${sign} ${out.paint('bold', rule.id)} ${plainText(message)}`,
    ...wrapText(plainText(rule.reason), out.textColumns, 4),
    ...(fix === ''
      ? []
      : plainText(fix)
          .split('\n')
          .map((line) => out.paint('cyan', `    ${line}`))),
    '',
  ];
}

function documentOf({ rule, severity, at, message, fix }: DockerfileFinding): unknown {
  const { id, title, reason, reference, cis } = rule;
  return {
    rule: id,
    title,
    severity,
    line: at.line,
    column: at.column,
    message,
    reason,
    fix,
    reference,
    ...(cis === undefined ? {} : { cis }),
  };
}

function severityOf({ values }: Invocation): Severity {
  const wanted = values.get('fail-on') ?? DEFAULT_FAIL_ON;
  const severity = SEVERITIES.find((each) => each === wanted);
  if (severity === undefined) throw usage(`--fail-on ${JSON.stringify(wanted)}`, `one of ${SEVERITIES.join(', ')}`);
  return severity;
}
