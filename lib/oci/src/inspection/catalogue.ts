// All that looks into layers, and all rules that judge an image.
import { judgeArchive } from '../findings/archive/judge-archive.ts';
import { FINDING_INSPECTORS, FINDING_JUDGES } from '../findings/finding-rules.ts';
import type { ImageRule } from './inspected-image.ts';
import { copyrightInspector } from '../packages/dpkg/copyright.ts';
import { dpkgListInspector } from '../packages/dpkg/dpkg.ts';
import { elfLinksInspector } from '../packages/programs/elf-links.ts';
import { osReleaseInspector } from '../packages/os-release.ts';
import { PACKAGE_INSPECTORS } from '../packages/package-inspectors.ts';
import type { Inspector } from './inspector.ts';

export const INSPECTORS: readonly Inspector[] = [
  ...PACKAGE_INSPECTORS,
  dpkgListInspector,
  copyrightInspector,
  elfLinksInspector,
  osReleaseInspector,
  ...FINDING_INSPECTORS,
];

export const IMAGE_RULES: readonly ImageRule[] = [judgeArchive, ...FINDING_JUDGES];
