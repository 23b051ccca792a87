// What a rule about a finished image is: data that says what is wrong, why, and what to do. The checks beside them make
// findings of it.
import type { Finding, FindingSeverity } from '../inspection/finding.ts';

export interface FindingRule {
  /** Kebab-case; never given to another: ignore files name it. */
  readonly id: string;
  readonly severity: FindingSeverity;
  readonly title: string;
  /** What happens to whoever ignores it: one sentence without a full stop. */
  readonly reason: string;
  /** The smallest change that ends it. */
  readonly fix: string;
  /** CWE, CVE, CIS, MITRE ATT&CK. */
  readonly references: readonly string[];
}

export interface FoundAt {
  readonly path?: string;
  readonly layer?: number | undefined;
  readonly hiddenBy?: number | undefined;
}

export interface FoundHow {
  /** Where this one differs from its rule. */
  readonly severity?: FindingSeverity;
  readonly fix?: string;
  readonly subject?: string;
}

/** `message` says what was found just here, and holds no part of a secret. */
export function found(rule: FindingRule, message: string, at: FoundAt, how: FoundHow = {}): Finding {
  return {
    rule: rule.id,
    severity: how.severity ?? rule.severity,
    message,
    fix: how.fix ?? rule.fix,
    path: at.path ?? '',
    layer: at.layer,
    hiddenBy: at.hiddenBy,
    references: rule.references,
    subject: how.subject ?? '',
  };
}
