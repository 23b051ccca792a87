// What is wrong with an image, as every report shows it.

export const FINDING_SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'] as const;
export type FindingSeverity = (typeof FINDING_SEVERITIES)[number];

export interface Finding {
  /** Of the rule, kebab-case, and never given to another: ignore files and reports of last year name it. */
  readonly rule: string;
  readonly severity: FindingSeverity;
  /** One sentence; no part of a secret. */
  readonly message: string;
  /** What to do about it: the smallest change. '' where nothing better than the message is known. */
  readonly fix: string;
  /** From the root of the image; '' where it is about the image as a whole. */
  readonly path: string;
  /** That brought it, counted from 0, the base; undefined where it is of the configuration. */
  readonly layer: number | undefined;
  /** The layer that deleted or replaced the file: no container sees it, whoever has the image does. */
  readonly hiddenBy: number | undefined;
  /** CWE, CVE, CIS and the like. */
  readonly references: readonly string[];
  /** Tells two findings of one rule at one path apart, and stays the same from build to build: `openssl CVE-2024-1`. */
  readonly subject: string;
}
