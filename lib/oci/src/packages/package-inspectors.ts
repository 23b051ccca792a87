// All inspectors that find packages.
import type { Inspector } from '../inspection/inspector.ts';
import { apkInspector } from './apk/apk.ts';
import { dpkgInspector } from './dpkg/dpkg.ts';
import { rpmInspector } from './rpm/rpm.ts';

export const PACKAGE_INSPECTORS: readonly Inspector[] = [dpkgInspector, apkInspector, rpmInspector];
