// Judges the secrets of an image: in its files, those that a later layer deleted too, and in its configuration.
import type { Finding, FindingSeverity } from '../../inspection/finding.ts';
import type { InspectedImage, PlacedFact } from '../../inspection/inspected-image.ts';
import { numberField, textField } from '../fact-fields.ts';
import { found, type FindingRule } from '../finding-rule.ts';
import { isAssignedSecret } from './assigned-secrets.ts';
import { ASSIGNED, findSecrets } from './find-secrets.ts';
import { EXPOSURES, SECRET_INSPECTOR_ID } from './secret-inspector.ts';
import { TOKEN_FORMATS } from './token-formats.ts';

const OUT =
  'take it back where it was issued: it is no secret any more; and bring it at run time, or to a build with RUN --mount=type=secret';

const SECRET: FindingRule = {
  id: 'secret-in-file',
  severity: 'high',
  title: 'a file of the image holds a secret',
  reason: 'whoever can pull the image has it, and a layer keeps what a later one deletes',
  fix: OUT,
  references: ['CWE-798', 'CWE-312', 'ATT&CK T1552.001', 'CIS Docker 4.10'],
};

const SETTING: FindingRule = {
  id: 'secret-setting',
  severity: 'medium',
  title: 'a setting of the image looks like a secret',
  reason: 'whoever can pull the image has it, and every container of it has the same',
  fix: OUT,
  references: ['CWE-798', 'CWE-260', 'ATT&CK T1552.001', 'CIS Docker 4.10'],
};

const CREDENTIAL_FILE: FindingRule = {
  id: 'credential-file',
  severity: 'high',
  title: 'a file of the image is one that programs log in with',
  reason: 'whoever can pull the image logs in with it as well',
  fix: OUT,
  references: ['CWE-312', 'ATT&CK T1552.001', 'CIS Docker 4.10'],
};

const CONFIGURED: FindingRule = {
  id: 'secret-in-configuration',
  severity: 'high',
  title: 'the environment or a label of the image holds a secret',
  reason: 'the configuration is readable for everybody who can pull the image, and for every process of a container',
  fix: OUT,
  references: ['CWE-526', 'CWE-798', 'CIS Docker 4.10'],
};

const IN_HISTORY: FindingRule = {
  id: 'secret-in-history',
  severity: 'high',
  title: 'the history of the image holds a secret',
  reason: 'the history is part of the image: arguments and commands of the build are readable for whoever can pull it',
  fix: OUT,
  references: ['CWE-532', 'CWE-798', 'CIS Docker 4.10'],
};

export const SECRET_RULES: readonly FindingRule[] = [SECRET, SETTING, CREDENTIAL_FILE, CONFIGURED, IN_HISTORY];

const TITLES: ReadonlyMap<string, string> = new Map(TOKEN_FORMATS.map(({ id, title }) => [id, title]));
/** What a thief can do with it, as lib/disk weighs it. */
const HIGH_WORTH = 60;
const MEDIUM_WORTH = 30;

export function judgeSecrets(image: InspectedImage): readonly Finding[] {
  const inFiles = firstOfEach(image.facts(SECRET_INSPECTOR_ID)).map((fact) => judgeFact(fact));
  return [...inFiles, ...configured(image), ...inHistory(image)];
}

function judgeFact(fact: PlacedFact): Finding {
  const { value, path, hiddenBy } = fact;
  const kind = textField(value, 'kind');
  const deleted =
    hiddenBy === undefined ? '' : '; a later layer deleted or replaced the file, and the image still has it';
  if (textField(value, 'what') === 'exposed') {
    const detail = textField(value, 'detail');
    const title = EXPOSURES.get(kind)?.title ?? kind;
    const message = `“${path}”: ${title}${detail === '' ? '' : ` (${detail})`}${deleted}`;
    return found(CREDENTIAL_FILE, message, fact, { severity: severityOf(numberField(value, 'worth')), subject: kind });
  }
  const line = `line ${String(numberField(value, 'line'))}`;
  if (kind === ASSIGNED) {
    const name = textField(value, 'name');
    return found(SETTING, `“${path}”, ${line}: the value of ${name} looks like a secret${deleted}`, fact, {
      subject: name,
    });
  }
  const count = numberField(value, 'count');
  const more = count > 1 ? `, and ${String(count - 1)} more` : '';
  return found(SECRET, `“${path}”, ${line}: a ${TITLES.get(kind) ?? kind}${more}${deleted}`, fact, { subject: kind });
}

function severityOf(worth: number): FindingSeverity {
  return worth >= HIGH_WORTH ? 'high' : worth >= MEDIUM_WORTH ? 'medium' : 'low';
}

/** The same secret in the same file of a later layer is told once, of the layer that brought it. */
function firstOfEach(facts: readonly PlacedFact[]): readonly PlacedFact[] {
  const first = new Map<string, PlacedFact>();
  for (const fact of facts) {
    const key = [fact.path, ...['what', 'kind', 'name'].map((name) => textField(fact.value, name))].join('\n');
    const before = first.get(key);
    if (before === undefined) first.set(key, fact);
    else if (before.hiddenBy !== undefined && fact.hiddenBy === undefined)
      first.set(key, { ...before, hiddenBy: undefined });
  }
  return [...first.values()];
}

function configured({ config }: InspectedImage): readonly Finding[] {
  const settings: (readonly [where: string, name: string, value: string])[] = [
    ...config.env.map((setting): [string, string, string] => {
      const equals = setting.indexOf('=');
      return ['ENV', setting.slice(0, Math.max(0, equals)), setting.slice(equals + 1)];
    }),
    ...Object.entries(config.labels).map(([name, value]): [string, string, string] => ['LABEL', name, value]),
  ];
  return settings.flatMap(([where, name, value]): Finding[] => {
    const [sighting] = findSecrets(value, {});
    const subject = `${where} ${name}`;
    if (sighting !== undefined)
      return [
        found(CONFIGURED, `${where} ${name} holds a ${TITLES.get(sighting.kind) ?? sighting.kind}`, {}, { subject }),
      ];
    if (!isAssignedSecret(name, value)) return [];
    return [found(CONFIGURED, `the value of ${where} ${name} looks like a secret`, {}, { subject })];
  });
}

/** By their form alone: what commands and arguments name is judged with the history's other flaws. */
function inHistory(image: InspectedImage): readonly Finding[] {
  const seen = new Set<string>();
  let layer = -1;
  return image.config.history.flatMap(({ createdBy, emptyLayer }): Finding[] => {
    if (!emptyLayer) layer += 1;
    const place = emptyLayer ? {} : { layer };
    return findSecrets(createdBy, {}).flatMap(({ kind }) => {
      if (seen.has(kind) || /^(?:\/bin\/sh -c #\(nop\) +)?(?:ENV|LABEL) /.test(createdBy)) return [];
      seen.add(kind);
      return [
        found(IN_HISTORY, `an instruction of the build holds a ${TITLES.get(kind) ?? kind}`, place, { subject: kind }),
      ];
    });
  });
}
