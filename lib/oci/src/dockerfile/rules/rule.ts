// What a rule is: data that says what is wrong and why, and a pure check over a Dockerfile that was looked through once.
import type { Position } from '../logical-lines.ts';
import type { DockerfileView } from './view.ts';

export type Severity = 'error' | 'warning' | 'info' | 'style';

export interface Flaw {
  readonly at: Position;
  /** What is wrong just here; the rule's title where that says it all. */
  readonly detail?: string;
  /** The smallest change that ends it; the rule's own where that fits. */
  readonly fix?: string;
}

export interface Rule {
  /** `DL…` as hadolint numbers them, `RW…` where it has none. Never given to another rule. */
  readonly id: string;
  readonly title: string;
  readonly severity: Severity;
  /** What happens to whoever ignores it. */
  readonly reason: string;
  /** Where the rule comes from. */
  readonly reference: string;
  /** What to write instead, as an example. */
  readonly fix: string;
  /** Recommendation of the CIS Docker Benchmark 1.7, where it is one. */
  readonly cis?: string;
  readonly check: (view: DockerfileView) => Iterable<Flaw>;
}

export type LabelType = 'text' | 'url' | 'rfc3339' | 'spdx' | 'hash' | 'semver' | 'email';

export interface RuleOptions {
  /** Domains, or prefixes of names, that FROM may use; all where absent. */
  readonly trustedRegistries?: readonly string[];
  /** Labels that an image must have, by type. */
  readonly requiredLabels?: Readonly<Record<string, LabelType>>;
  /** Labels beyond the required ones are superfluous. */
  readonly strictLabels?: boolean;
}

export function hadolint(id: string): string {
  return `https://github.com/hadolint/hadolint/wiki/${id}`;
}
