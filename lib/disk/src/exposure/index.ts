// The public names of @ringwall/disk/exposure: what a thief would find, for whoever has files that are in no file system.
export { FileContent, HEAD_BYTES } from './file-content.ts';
export { passwordKind, type PasswordKind, type PasswordStrength } from './password-hashes.ts';
export { indexPaths, type PathIndex } from './path-pattern.ts';
export { recognisePem } from './private-keys.ts';
export { EXPOSURE_CATEGORIES, type ExposureCategory, type ExposureRule } from './rule.ts';
export { EXPOSURE_RULES } from './rules/index.ts';
export type { Sighting } from './sighting.ts';
