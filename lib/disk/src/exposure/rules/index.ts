// All rules of exposure.
import type { ExposureRule } from '../rule.ts';
import { CLOUD_RULES } from './cloud.ts';
import { CREDENTIAL_RULES } from './credentials.ts';
import { KEY_RULES } from './keys.ts';
import { RECORD_RULES } from './records.ts';

export const EXPOSURE_RULES: readonly ExposureRule[] = [
  ...CREDENTIAL_RULES,
  ...KEY_RULES,
  ...CLOUD_RULES,
  ...RECORD_RULES,
];
