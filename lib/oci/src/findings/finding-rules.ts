// All that looks for what is wrong in a finished image, in one place: inspectors, judges, and their rules as data.
import type { ImageRule } from '../inspection/inspected-image.ts';
import type { Inspector } from '../inspection/inspector.ts';
import { CONFIGURATION_RULES, judgeConfiguration } from './configuration/configuration-rules.ts';
import type { FindingRule } from './finding-rule.ts';
import { loginInspector } from './logins/login-inspector.ts';
import { judgeLogins, LOGIN_RULES } from './logins/login-rules.ts';
import { malwareInspector } from './malware/malware-inspector.ts';
import { judgeMalware, MALWARE_RULES } from './malware/malware-rules.ts';
import { judgePrivileges, PRIVILEGE_RULES } from './privileges/privilege-rules.ts';
import { secretInspector } from './secrets/secret-inspector.ts';
import { judgeSecrets, SECRET_RULES } from './secrets/secret-rules.ts';
import { sshInspector } from './ssh/ssh-inspector.ts';
import { judgeSsh, SSH_RULES } from './ssh/ssh-rules.ts';

export const FINDING_INSPECTORS: readonly Inspector[] = [
  loginInspector,
  secretInspector,
  sshInspector,
  malwareInspector,
];

export const FINDING_JUDGES: readonly ImageRule[] = [
  judgeLogins,
  judgeSecrets,
  judgePrivileges,
  judgeConfiguration,
  judgeSsh,
  judgeMalware,
];

/** For reports that explain them. */
export const FINDING_RULES: readonly FindingRule[] = [
  ...LOGIN_RULES,
  ...SECRET_RULES,
  ...PRIVILEGE_RULES,
  ...CONFIGURATION_RULES,
  ...SSH_RULES,
  ...MALWARE_RULES,
];
