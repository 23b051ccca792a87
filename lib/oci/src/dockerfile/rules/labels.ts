// Rules about labels: keys, and values of those that have a type. OCI Image Specification 1.1, "Annotations".
import type { Position } from '../logical-lines.ts';
import { hadolint, type Flaw, type LabelType, type Rule } from './rule.ts';
import type { DockerfileView } from './view.ts';

/** Where the specification says what a value is. */
const KNOWN_TYPES: Readonly<Record<string, LabelType>> = {
  'org.opencontainers.image.created': 'rfc3339',
  'org.opencontainers.image.documentation': 'url',
  'org.opencontainers.image.licenses': 'spdx',
  'org.opencontainers.image.revision': 'hash',
  'org.opencontainers.image.source': 'url',
  'org.opencontainers.image.url': 'url',
};
const RESERVED = /^(?:com\.docker|io\.docker|org\.dockerproject)\./;
const KEY = /^[a-z](?:[a-z0-9]|[.-](?=[a-z0-9]))*$/;
const SPDX_EXPRESSION =
  /^\(?(?:LicenseRef-|DocumentRef-)?[A-Za-z0-9][A-Za-z0-9.+:-]*\)?(?: (?:AND|OR|WITH) \(?[A-Za-z0-9][A-Za-z0-9.+:-]*\)?)*$/;
/** Words that people write where an identifier of SPDX is due. */
const NO_LICENCE =
  /^(?:apache|apache ?2|gpl|gplv[23]|lgpl|bsd|mpl|proprietary|none|unknown|free|open source|public domain)$/i;
const RFC3339 =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const SEMVER = /^v?(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;
const GIT_HASH = /^(?:[0-9a-f]{7,40}|[0-9a-f]{64})$/;
const EMAIL = /^[^\s@<>]+@[^\s@<>.]+(?:\.[^\s@<>.]+)+$/;

interface Label {
  readonly key: string;
  readonly value: string;
  readonly at: Position;
  /** It depends on the build. */
  readonly varies: boolean;
}

function labelsOf(view: DockerfileView): readonly Label[] {
  return view.file.instructions.flatMap(({ keyword, words }) => {
    if (keyword !== 'LABEL') return [];
    const [first, ...others] = words;
    const former = first !== undefined && !first.text.includes('=');
    const entries = former
      ? [{ key: first.text, value: others.map(({ text }) => text).join(' '), at: first.at }]
      : words.map(({ text, at }) => ({
          key: text.slice(0, Math.max(0, text.indexOf('='))),
          value: text.slice(text.indexOf('=') + 1),
          at,
        }));
    return entries.map(({ key, value, at }) => ({
      key: unquoted(key),
      value: unquoted(value),
      at,
      varies: value.includes('$'),
    }));
  });
}

function unquoted(text: string): string {
  return text.replaceAll(/^["']|["']$/g, '');
}

function* ofType(view: DockerfileView, type: LabelType, holds: (value: string) => boolean): Iterable<Flaw> {
  const types = { ...KNOWN_TYPES, ...view.options.requiredLabels };
  for (const { key, value, at, varies } of labelsOf(view)) {
    if (!Object.hasOwn(types, key) || types[key] !== type || varies || value === '' || holds(value)) continue;
    yield { at, detail: `label “${key}” is “${value.slice(0, 80)}”` };
  }
}

function typeRule(id: string, type: LabelType, what: string, fix: string, holds: (value: string) => boolean): Rule {
  return {
    id,
    title: `a label that is to be ${what} is one`,
    severity: 'warning',
    reason: 'what reads the labels of images finds nothing it can use',
    reference: hadolint(id),
    fix,
    check: (view) => ofType(view, type, holds),
  };
}

export const LABEL_RULES: readonly Rule[] = [
  {
    id: 'DL3048',
    title: 'keys of labels are small letters, digits, dots and hyphens',
    severity: 'style',
    reason: 'tools take other keys apart at the wrong place; some name spaces are not yours',
    reference: hadolint('DL3048'),
    fix: 'LABEL com.example.team="…"',
    *check(view) {
      for (const { key, at } of labelsOf(view)) {
        if (!key.includes('$') && (!KEY.test(key) || RESERVED.test(key)))
          yield { at, detail: `key “${key.slice(0, 80)}”` };
      }
    },
  },
  {
    id: 'DL3049',
    title: 'the labels that are demanded are there',
    severity: 'info',
    reason: 'nobody can tell whose image it is',
    reference: hadolint('DL3049'),
    fix: 'LABEL org.opencontainers.image.source="https://…"',
    *check(view) {
      const last = view.stages.at(-1);
      const keys = new Set(labelsOf(view).map(({ key }) => key));
      for (const key of Object.keys(view.options.requiredLabels ?? {})) {
        if (last !== undefined && !keys.has(key))
          yield { at: last.stage.from.at, detail: `label “${key}” is missing`, fix: `LABEL ${key}="…"` };
      }
    },
  },
  {
    id: 'DL3050',
    title: 'no labels beside those that are demanded',
    severity: 'info',
    reason: 'a label that nobody agreed on is read by nobody',
    reference: hadolint('DL3050'),
    fix: 'leave the label out',
    *check(view) {
      const required = view.options.requiredLabels;
      if (required === undefined || view.options.strictLabels !== true) return;
      for (const { key, at } of labelsOf(view))
        if (!Object.hasOwn(required, key)) yield { at, detail: `label “${key}” is superfluous` };
    },
  },
  {
    id: 'DL3051',
    title: 'a label says something',
    severity: 'warning',
    reason: 'an empty one hides that of the base image',
    reference: hadolint('DL3051'),
    fix: 'LABEL org.opencontainers.image.title="…"',
    *check(view) {
      for (const { key, value, at } of labelsOf(view))
        if (value.trim() === '') yield { at, detail: `label “${key}” is empty` };
    },
  },
  typeRule(
    'DL3052',
    'url',
    'a URL',
    'LABEL org.opencontainers.image.url="https://example.com/"',
    (value) => /^[a-z][a-z0-9+.-]*:\/\/\S+$/i.test(value) && URL.canParse(value),
  ),
  typeRule(
    'DL3053',
    'rfc3339',
    'a time of RFC 3339',
    'LABEL org.opencontainers.image.created="2026-11-21T08:00:00Z"',
    (value) => RFC3339.test(value),
  ),
  typeRule(
    'DL3054',
    'spdx',
    'an SPDX licence expression',
    'LABEL org.opencontainers.image.licenses="Apache-2.0"',
    (value) => SPDX_EXPRESSION.test(value) && !NO_LICENCE.test(value),
  ),
  typeRule('DL3055', 'hash', 'a Git commit', 'LABEL org.opencontainers.image.revision="8978d39…"', (value) =>
    GIT_HASH.test(value),
  ),
  typeRule('DL3056', 'semver', 'a semantic version', 'LABEL org.opencontainers.image.version="1.2.3"', (value) =>
    SEMVER.test(value),
  ),
  typeRule('DL3058', 'email', 'an e-mail address', 'LABEL com.example.contact="team@example.com"', (value) =>
    EMAIL.test(value),
  ),
];
