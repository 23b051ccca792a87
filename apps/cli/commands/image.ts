// `ringwall image`: judges container images before they run. Offline, and without a service: the name of one, or the
// Dockerfile that builds it, with the names that it begins from.
import { readFileSync, statSync } from 'node:fs';
import { RingwallError } from '@ringwall/api/errors';
import {
  compileLookalikes,
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

/** The parser's own limit is 512 KiB; a list of names may be longer. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

const SEVERITIES = ['error', 'warning', 'info', 'style'] as const;
type Severity = (typeof SEVERITIES)[number];
const DEFAULT_FAIL_ON: Severity = 'error';

interface JudgedBase {
  readonly line: number;
  readonly name: string;
  readonly verdict: NameVerdict;
}

export function run(invocation: Invocation): Promise<number> {
  const [action, subject] = invocation.arguments;
  if (action !== 'scan' && action !== 'judge') {
    throw usage(`image has no ${JSON.stringify(action)}`, 'it has scan and judge');
  }
  if (subject === undefined) {
    const example = action === 'scan' ? 'Dockerfile' : 'docker.io/library/nginx';
    throw usage(`image ${action} needs something to judge`, `as in: ${invocation.self} image ${action} ${example}`);
  }
  const lookalikes = compileNames(invocation);
  return Promise.resolve(
    action === 'judge' ? judge(invocation, lookalikes, subject) : scan(invocation, lookalikes, subject),
  );
}

function judge(invocation: Invocation, lookalikes: Lookalikes, name: string): number {
  const { out, json } = invocation;
  const verdict = reading(name, () => lookalikes.judge(name));
  if (json) printJson(invocation, { name, ...verdict });
  else for (const line of renderName(name, verdict, out)) out.line(line);
  return verdict.verdict === 'allow' ? EXIT_CODES.ok.code : EXIT_CODES.refused.code;
}

function scan(invocation: Invocation, lookalikes: Lookalikes, file: string): number {
  const { out, json } = invocation;
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

function renderName(name: string, { verdict, reason }: NameVerdict, out: Terminal): string[] {
  const sign = verdict === 'allow' ? out.tick : verdict === 'ask' ? out.bang : out.cross;
  return [
    `  ${sign} ${out.paint('bold', plainText(name))}: ${verdict}`,
    ...wrapText(plainText(reason), out.textColumns, 4),
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

/** One name a line; `#` begins a comment. */
function compileNames({ values }: Invocation): Lookalikes {
  const list = (option: string): string[] => {
    const file = values.get(option);
    if (file === undefined) return [];
    const lines = readText(file)
      .split('\n')
      .map((line) => line.replace(/#.*$/, '').trim());
    return lines.filter((line) => line !== '');
  };
  return reading('the lists of names', () => compileLookalikes({ allowed: list('allow'), history: list('history') }));
}

function severityOf({ values }: Invocation): Severity {
  const wanted = values.get('fail-on') ?? DEFAULT_FAIL_ON;
  const severity = SEVERITIES.find((each) => each === wanted);
  if (severity === undefined) throw usage(`--fail-on ${JSON.stringify(wanted)}`, `one of ${SEVERITIES.join(', ')}`);
  return severity;
}

function readText(file: string): string {
  try {
    if (!statSync(file).isFile()) throw usage(`${file} is no file`, 'name a Dockerfile');
    if (statSync(file).size > MAX_FILE_BYTES) throw new RingwallError('too-large', `${file} has more than 4 MiB`);
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof RingwallError) throw cause;
    throw new RingwallError('not-found', `${file} cannot be read`, { cause });
  }
}

function reading<Result>(what: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof OciError)) throw cause;
    throw new RingwallError('bad-request', `${what}: ${cause.message}`, { cause });
  }
}

function usage(message: string, hint: string): RingwallError {
  return new RingwallError('bad-request', message, { hint });
}
