// Looks for secrets in the files of a layer: by their form, by the settings that hold them, and by files that are one, as
// lib/disk knows them. Facts say what and where, and hold no part of a secret.
import { EXPOSURE_RULES, FileContent, HEAD_BYTES, indexPaths, type ExposureRule } from '@ringwall/disk/exposure';
import type { FactValue, Inspector } from '../../inspection/inspector.ts';
import { findSecrets, type SearchOptions } from './find-secrets.ts';

/** Settings, sources and state files are smaller; of a larger one the beginning is looked at. */
const MAX_SEARCHED_BYTES: number = 512 * 1024;

export const SECRET_INSPECTOR_ID = 'secrets/2';

/** What is looked at better elsewhere here (accounts, host keys, settings, keys by their form), or is no secret. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  'shadow',
  'application-secrets',
  'first-boot-data',
  'ssh-host-key',
  'ssh-private-key',
  'private-key',
  'signing-key',
]);
const CATEGORIES: ReadonlySet<string> = new Set(['credentials', 'private-keys', 'tokens', 'cloud', 'cluster']);
const RULES: readonly ExposureRule[] = EXPOSURE_RULES.filter(
  ({ id, category }) => CATEGORIES.has(category) && !LEFT_OUT.has(id),
);
export const EXPOSURES: ReadonlyMap<string, ExposureRule> = new Map(RULES.map((rule) => [rule.id, rule]));
const byPath = indexPaths(RULES, { ignoreCase: false });

/** What distributions ship there is the same for everybody, and full of examples. */
const SHIPPED = /^(?:usr\/(?:share|lib|lib32|lib64|libexec|include|src)|lib|lib64|var\/lib\/(?:dpkg|rpm|apk))\//;
/** Libraries that somebody else wrote, and what is made for tests. */
const FOREIGN =
  /(?:^|\/)(?:node_modules|site-packages|dist-packages|vendor|bower_components|gems|\.cargo\/registry|go\/pkg\/mod|tests?|__tests__|spec|testdata|fixtures|examples?|docs?)\//;
const NO_TEXT =
  /\.(?:so(?:\.[\d.]+)?|a|o|ko|mo|gmo|png|jpe?g|gif|ico|webp|svg|woff2?|ttf|otf|eot|gz|xz|bz2|zst|zip|jar|war|whl|pyc|pyo|class|wasm|mp[34]|ogg|pdf|db|sqlite3?|map|lock|sum|md|html?|css|pot?|dat|bin|tzdata)$|(?:^|\/)(?:package-lock\.json|npm-shrinkwrap\.json|composer\.lock|pnpm-lock\.yaml|copyright|changelog)$/i;
const PROGRAM = /\.(?:[cm]?[jt]sx?|py|rb|php|java|kt|go|rs|cs|pl|lua|scala|groovy|swift|ex|exs)$/i;
const SETTINGS =
  /(?:^|\/)(?:\.env(?:\.[\w-]+)?|[\w.-]*\.(?:env|ini|cfg|conf|cnf|properties|toml|ya?ml|json|xml|sh|bash|tfvars|config|settings)|\.?(?:bashrc|profile|zshrc|bash_profile))$/i;
const EXAMPLE_FILE = /(?:example|sample|template|dist|default)s?(?:\.\w+)?$|\.(?:tmpl|tpl|j2|schema\.json)$/i;

export const secretInspector: Inspector = {
  id: SECRET_INSPECTOR_ID,
  wants({ path, type, bytes }) {
    if (type !== 'file' || bytes === 0) return undefined;
    if (exposuresAt(path).length > 0) return MAX_SEARCHED_BYTES;
    return NO_TEXT.test(path) || SHIPPED.test(path) ? undefined : MAX_SEARCHED_BYTES;
  },
  inspect(entry, bytes) {
    const facts: FactValue[] = [];
    const head = new FileContent(entry.bytes, bytes.subarray(0, HEAD_BYTES));
    for (const rule of exposuresAt(entry.path)) {
      const sighting = rule.recognise === undefined ? { detail: '' } : rule.recognise(head);
      if (sighting !== undefined)
        facts.push({ what: 'exposed', kind: rule.id, detail: sighting.detail, worth: sighting.worth ?? rule.worth });
    }
    // Host keys are told as what they are, with what else is of SSH.
    if (HOST_KEY.test(entry.path)) return facts;
    if (bytes.subarray(0, BINARY_PROBE_BYTES).includes(0) || SHIPPED.test(entry.path)) return facts;
    const text = latin1.decode(bytes);
    for (const { kind, name, line, count } of findSecrets(text, { assignments: assignmentsIn(entry.path) })) {
      facts.push({ what: 'secret', kind, name, line, count });
    }
    return facts;
  },
};

const HOST_KEY = /^etc\/(?:ssh|dropbear)\/(?:ssh|dropbear)_[\w-]{1,60}_key$/;
const BINARY_PROBE_BYTES = 8192;
const latin1: TextDecoder = new TextDecoder('latin1');

const NO_RULES: readonly ExposureRule[] = [];

function exposuresAt(path: string): readonly ExposureRule[] {
  if (!byPath.mayMean(path.slice(path.lastIndexOf('/') + 1))) return NO_RULES;
  const rules = byPath.find(path.split('/'));
  return rules.length === 0
    ? rules
    : rules.filter(({ except }) => except?.some((prefix) => `/${path}`.startsWith(prefix)) !== true);
}

function assignmentsIn(path: string): SearchOptions['assignments'] {
  if (FOREIGN.test(path) || EXAMPLE_FILE.test(path)) return undefined;
  if (SETTINGS.test(path)) return 'any';
  return PROGRAM.test(path) ? 'quoted' : undefined;
}
