// Rules about what FROM, USER, ARG and ENV set.
import type { Instruction } from '../instruction.ts';
import { hadolint, type Rule } from './rule.ts';

/** Names under which secrets travel, and parts of such. */
const SENSITIVE_NAME =
  /api_?key|client_key|access_key|application_key|password|passwd|private|secret|token|username|^docker_email$|^(?:ci_deploy|heroku_api)_user$/i;
/** That of a file with the secret is none; nor is a switch about one. */
const HARMLESS_NAME = /_FILE$|_PATH$|^ALLOW_EMPTY_|^TOKENIZERS_PARALLELISM$/i;
const TARGET_PLATFORM = /^\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})$/;

export const SETTING_RULES: readonly Rule[] = [
  {
    id: 'DL3064',
    title: 'no ARG and no ENV by a name of secrets',
    severity: 'warning',
    reason:
      'whatever is given for it at a build or a start is in the configuration or the history, for everybody who pulls',
    reference: hadolint('DL3064'),
    fix: 'RUN --mount=type=secret,id=token …, and at run time a file',
    cis: '4.10',
    *check({ file }) {
      for (const instruction of file.instructions) {
        for (const each of [instruction, instruction.inner]) {
          const name = each === undefined ? undefined : namesSetBy(each).find(isSensitive);
          if (each !== undefined && name !== undefined) yield { at: each.at, detail: `“${name}”` };
        }
      }
    },
  },
  {
    id: 'DL3065',
    title: 'FROM leaves out the platform that it has anyway',
    severity: 'warning',
    reason: 'it is the default, and who reads it looks for a reason',
    reference: hadolint('DL3065'),
    fix: 'FROM debian:trixie-slim',
    *check({ stages }) {
      for (const { stage } of stages) {
        if (TARGET_PLATFORM.test(stage.platform ?? '')) yield { at: stage.from.at, fix: `FROM ${stage.base.text}` };
      }
    },
  },
  {
    id: 'DL3066',
    title: 'USER names a number',
    severity: 'info',
    reason: 'a name is looked up in the image: a host that must know that it is not root cannot tell',
    reference: hadolint('DL3066'),
    fix: 'USER 10001',
    *check({ file }) {
      for (const { keyword, words, at } of file.instructions) {
        const user = words[0]?.text.replaceAll(/["']/g, '').split(':')[0] ?? '';
        if (keyword === 'USER' && user !== '' && !/^\d+$|\$/.test(user)) yield { at, detail: `“${user}”` };
      }
    },
  },
];

function isSensitive(name: string): boolean {
  return SENSITIVE_NAME.test(name) && !HARMLESS_NAME.test(name);
}

function namesSetBy({ keyword, words }: Instruction): readonly string[] {
  const [first] = words;
  if (first === undefined || (keyword !== 'ARG' && keyword !== 'ENV')) return [];
  // `ENV NAME value` is the old form, of one variable.
  const set = keyword === 'ENV' && !first.text.includes('=') ? [first] : words;
  return set.map(({ text }) => text.split('=')[0] ?? '');
}
