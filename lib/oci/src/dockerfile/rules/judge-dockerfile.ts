// A Dockerfile against all rules: findings with stable ids, places and the smallest fix.
import { parseDockerfile, type Dockerfile } from '../dockerfile.ts';
import type { Position } from '../logical-lines.ts';
import { BUILD_CACHE_RULES } from './build-caches.ts';
import { COPY_RULES } from './copies.ts';
import { LABEL_RULES } from './labels.ts';
import { LANGUAGE_PACKAGE_RULES } from './language-packages.ts';
import type { Rule, RuleOptions, Severity } from './rule.ts';
import { SECURITY_RULES } from './security.ts';
import { SETTING_RULES } from './settings.ts';
import { SHELL_COMMAND_RULES } from './shell-commands.ts';
import { STRUCTURE_RULES } from './structure.ts';
import { SYSTEM_PACKAGE_RULES } from './system-packages.ts';
import { viewDockerfile } from './view.ts';

/** More help nobody, and a hostile file could have millions. */
export const MAX_FINDINGS_PER_RULE = 1000;

/** By id. */
export const DOCKERFILE_RULES: readonly Rule[] = [
  ...STRUCTURE_RULES,
  ...SYSTEM_PACKAGE_RULES,
  ...LANGUAGE_PACKAGE_RULES,
  ...BUILD_CACHE_RULES,
  ...COPY_RULES,
  ...SETTING_RULES,
  ...SHELL_COMMAND_RULES,
  ...LABEL_RULES,
  ...SECURITY_RULES,
].toSorted((one, other) => (one.id < other.id ? -1 : 1));

export interface DockerfileFinding {
  readonly rule: Rule;
  readonly severity: Severity;
  readonly at: Position;
  readonly message: string;
  readonly fix: string;
}

export interface JudgeOptions extends RuleOptions {
  /** Comments `hadolint ignore=DL…` are obeyed. Leave it out for a file that somebody else wrote. */
  readonly obeyPragmas?: boolean;
}

/** In the order of the file. Throws OciError `malformed` and `limit` where the file itself cannot be read. */
export function judgeDockerfile(source: string, options: JudgeOptions = {}): readonly DockerfileFinding[] {
  const file = parseDockerfile(source);
  const view = viewDockerfile(file, options);
  const excepted = options.obeyPragmas === true ? exceptionsOf(file) : undefined;
  const findings = DOCKERFILE_RULES.flatMap((rule) =>
    firstOf(rule.check(view)).map(({ at, detail, fix }): DockerfileFinding => ({
      rule,
      severity: rule.severity,
      at,
      message: detail === undefined ? rule.title : `${rule.title}: ${detail}`,
      fix: fix ?? rule.fix,
    })),
  );
  return findings
    .filter(({ rule, at }) => excepted === undefined || !excepted(rule.id, at.line))
    .toSorted((one, other) => one.at.line - other.at.line || one.at.column - other.at.column);
}

function firstOf<T>(flaws: Iterable<T>): readonly T[] {
  const first: T[] = [];
  for (const flaw of flaws) {
    if (first.length >= MAX_FINDINGS_PER_RULE) break;
    first.push(flaw);
  }
  return first;
}

/** `# hadolint ignore=DL3006,DL3008` holds for the next instruction, `# hadolint global ignore=…` for all. */
function exceptionsOf({ comments, instructions }: Dockerfile): (id: string, line: number) => boolean {
  const everywhere = new Set<string>();
  const byInstruction = new Map<number, Set<string>>();
  for (const { text, line } of comments) {
    const [, global, ids = ''] = /^hadolint\s+(global\s+)?ignore\s*=\s*([A-Za-z0-9,\s]*)/.exec(text) ?? [];
    const next = instructions.findIndex(({ at }) => at.line > line);
    const set = global === undefined ? (byInstruction.get(next) ?? new Set<string>()) : everywhere;
    for (const id of ids.split(',')) set.add(id.trim());
    if (global === undefined && next >= 0) byInstruction.set(next, set);
  }
  return (id, line) => {
    const index = instructions.findLastIndex(({ at }) => at.line <= line);
    return everywhere.has(id) || (byInstruction.get(index)?.has(id) ?? false);
  };
}
