// What was found in an image, as text: an image that was judged once by the same rules is not judged again.
import { isObject } from '../manifests/json.ts';
import { OciError } from '../oci-error.ts';
import { FINDING_SEVERITIES, type Finding } from './finding.ts';

export function encodeFindings(findings: readonly Finding[]): string {
  return JSON.stringify(findings);
}

/** Throws OciError `malformed`: a file of a cache may hold anything. */
export function decodeFindings(record: string): readonly Finding[] {
  const findings: unknown = JSON.parse(record);
  if (!Array.isArray(findings)) broken();
  return findings.map(findingOf);
}

function findingOf(value: unknown): Finding {
  if (!isObject(value)) broken();
  const { severity, layer, hiddenBy, references } = value;
  const text = (field: 'rule' | 'message' | 'fix' | 'path' | 'subject'): string => textOf(value[field]);
  if (!Array.isArray(references)) broken();
  return {
    rule: text('rule'),
    severity: FINDING_SEVERITIES.find((each) => each === severity) ?? broken(),
    message: text('message'),
    fix: text('fix'),
    path: text('path'),
    layer: layerOf(layer),
    hiddenBy: layerOf(hiddenBy),
    references: references.map(textOf),
    subject: text('subject'),
  };
}

/** JSON leaves out what is undefined. */
function layerOf(value: unknown): number | undefined {
  if (value === undefined || Number.isSafeInteger(value)) return value === undefined ? undefined : Number(value);
  return broken();
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : broken();
}

function broken(): never {
  throw new OciError('malformed', 'what was kept of a verdict is damaged');
}
