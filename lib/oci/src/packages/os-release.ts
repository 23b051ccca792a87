// Which distribution an image is: os-release(5). Its advisories are looked up by these words.
import type { FactValue, Inspector } from '../inspection/inspector.ts';
import type { InspectedImage } from '../inspection/inspected-image.ts';

/** Those of distributions have some 500 bytes. */
const MAX_FILE_BYTES: number = 64 * 1024;
const MAX_VALUE_CHARACTERS = 200;
/** The first is read where both are; in most images it is a link to the second. */
const FILES: readonly string[] = ['etc/os-release', 'usr/lib/os-release'];

export interface Distribution {
  /** `debian`, `alpine`, `rhel`; '' where the image does not say. */
  readonly id: string;
  /** `12`, `3.19.1`, `9.4`; '' for Debian's testing and unstable. */
  readonly version: string;
  /** `bookworm`; '' where it has none. */
  readonly codename: string;
  /** Whose packages it is made from: `debian` for many. */
  readonly idLike: readonly string[];
  /** For people. */
  readonly name: string;
}

export const UNKNOWN_DISTRIBUTION: Distribution = { id: '', version: '', codename: '', idLike: [], name: '' };

export const osReleaseInspector: Inspector = {
  id: 'os-release/1',
  wants: ({ type, path, bytes }) =>
    type === 'file' && FILES.includes(path) ? Math.min(bytes, MAX_FILE_BYTES) : undefined,
  inspect: (_entry, bytes) => [Object.fromEntries(parseOsRelease(new TextDecoder().decode(bytes)))],
};

/** Names and values, quotes taken off. Nothing is evaluated: distributions use none of the shell's expansions. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, raw] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line.trim()) ?? [];
    if (name === undefined || raw === undefined) continue;
    const [, , quoted] = /^(["'])(.*)\1$/.exec(raw) ?? [];
    values.set(name, (quoted ?? raw).replaceAll(/\\(.)/g, '$1').slice(0, MAX_VALUE_CHARACTERS));
  }
  return values;
}

/** Of the file that a container would read. */
export function distributionOf(image: InspectedImage): Distribution {
  const facts = image.facts(osReleaseInspector.id).filter(({ hiddenBy }) => hiddenBy === undefined);
  for (const path of FILES) {
    const fact = facts.findLast((each) => each.path === path);
    if (fact !== undefined) return distributionOfFact(fact.value);
  }
  return UNKNOWN_DISTRIBUTION;
}

function distributionOfFact(value: FactValue): Distribution {
  const field = (name: string): string => {
    const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : '';
    return typeof found === 'string' ? found : '';
  };
  return {
    id: field('ID').toLowerCase(),
    version: field('VERSION_ID'),
    codename: field('VERSION_CODENAME').toLowerCase(),
    idLike: field('ID_LIKE')
      .toLowerCase()
      .split(' ')
      .filter((each) => each !== ''),
    name: field('PRETTY_NAME') || field('NAME'),
  };
}
