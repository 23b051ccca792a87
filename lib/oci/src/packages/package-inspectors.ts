// All inspectors that find packages.
import type { Inspector } from '../inspection/inspector.ts';
import { apkInspector } from './apk/apk.ts';
import { composerInspector } from './composer/composer.ts';
import { dotnetInspector } from './dotnet/dotnet.ts';
import { dpkgInspector } from './dpkg/dpkg.ts';
import { javaInspector } from './java/java.ts';
import { npmInspector } from './npm/npm.ts';
import { programInspector } from './programs/programs.ts';
import { pypiInspector } from './pypi/pypi.ts';
import { rpmInspector } from './rpm/rpm.ts';
import { gemInspector } from './rubygems/rubygems.ts';

export const PACKAGE_INSPECTORS: readonly Inspector[] = [
  dpkgInspector,
  apkInspector,
  rpmInspector,
  npmInspector,
  pypiInspector,
  programInspector,
  javaInspector,
  gemInspector,
  composerInspector,
  dotnetInspector,
];
