// All that looks into layers, and all rules that judge an image.
import { judgeArchive } from '../findings/archive/judge-archive.ts';
import type { ImageRule } from './inspected-image.ts';
import type { Inspector } from './inspector.ts';

export const INSPECTORS: readonly Inspector[] = [];

export const IMAGE_RULES: readonly ImageRule[] = [judgeArchive];
