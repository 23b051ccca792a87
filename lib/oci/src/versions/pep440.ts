// Versions of Python packages. PEP 440 (packaging.python.org, "Version specifiers"); what is none of them comes before all
// that are, in the order that setuptools gave them (`LegacyVersion` of packaging 21).
import { compareDigits, compareLists, isDigits, orderOf, type Order } from './order.ts';

const PATTERN =
  /^v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(alpha|beta|preview|pre|rc|a|b|c)[-_.]?(\d*))?(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$/;
const PRE_RELEASES: Readonly<Record<string, number>> = {
  a: 1,
  alpha: 1,
  b: 2,
  beta: 2,
  c: 3,
  rc: 3,
  pre: 3,
  preview: 3,
};
const BEFORE_ALL = 0;
const AFTER_ALL = 9;

interface PythonVersion {
  readonly epoch: string;
  readonly release: readonly string[];
  /** Which kind: a development release of a final one is before its alphas, a final one after its candidates. */
  readonly pre: number;
  readonly preNumber: string;
  readonly post: string | undefined;
  readonly dev: string | undefined;
  readonly local: readonly string[];
}

export function comparePep440(one: string, other: string): Order {
  const [a, b] = [parse(one), parse(other)];
  if (a === undefined || b === undefined) {
    if (a === undefined && b === undefined) return compareLists(legacyKey(one), legacyKey(other), '', orderOf);
    return a === undefined ? -1 : 1;
  }
  return (
    compareDigits(a.epoch, b.epoch) ||
    compareLists(a.release, b.release, '0', compareDigits) ||
    orderOf(a.pre, b.pre) ||
    compareDigits(a.preNumber, b.preNumber) ||
    compareOptional(a.post, b.post, -1) ||
    compareOptional(a.dev, b.dev, 1) ||
    compareLists<string | undefined>(a.local, b.local, undefined, compareLocal)
  );
}

function parse(version: string): PythonVersion | undefined {
  const match = PATTERN.exec(version.trim().toLowerCase());
  if (match === null) return undefined;
  const [, epoch = '', release = '', pre, preNumber = '', implicitPost, post, postNumber = '', dev, devNumber = ''] =
    match;
  const hasPost = implicitPost !== undefined || post !== undefined;
  const none = dev !== undefined && !hasPost ? BEFORE_ALL : AFTER_ALL;
  return {
    epoch,
    release: release.split('.'),
    pre: pre === undefined ? none : (PRE_RELEASES[pre] ?? AFTER_ALL),
    preNumber,
    post: hasPost ? (implicitPost ?? postNumber) : undefined,
    dev: dev === undefined ? undefined : devNumber,
    local: match[10]?.split(/[-_.]/) ?? [],
  };
}

/** `missing` is how a version without it stands to one that has it. */
function compareOptional(one: string | undefined, other: string | undefined, missing: Order): Order {
  if (one !== undefined && other !== undefined) return compareDigits(one, other);
  if (one === other) return 0;
  return one === undefined ? missing : orderOf(0, missing);
}

function compareLocal(one: string | undefined, other: string | undefined): Order {
  if (one === undefined || other === undefined) return orderOf(one === undefined ? 0 : 1, other === undefined ? 0 : 1);
  const [a, b] = [isDigits(one), isDigits(other)];
  if (a && b) return compareDigits(one, other);
  return a === b ? orderOf(one, other) : orderOf(a ? 1 : 0, b ? 1 : 0);
}

const LEGACY_NAMES: Readonly<Record<string, string>> = { pre: 'c', preview: 'c', '-': 'final-', rc: 'c', dev: '@' };
const LEGACY_DIGITS = 8;

function legacyKey(version: string): readonly string[] {
  const key: string[] = [];
  for (const part of [...legacyParts(version.toLowerCase()), '*final']) {
    if (part.startsWith('*')) {
      if (part < '*final') while (key.at(-1) === '*final-') key.pop();
      while (key.at(-1) === '0'.repeat(LEGACY_DIGITS)) key.pop();
    }
    key.push(part);
  }
  return key;
}

function legacyParts(version: string): readonly string[] {
  return version
    .split(/(\d+|[a-z]+|\.|-)/)
    .map((part) => (Object.hasOwn(LEGACY_NAMES, part) ? (LEGACY_NAMES[part] ?? part) : part))
    .filter((part) => part !== '' && part !== '.')
    .map((part) => (/^\d/.test(part) ? part.padStart(LEGACY_DIGITS, '0') : `*${part}`));
}
