// Reads what an image has of SSH: the server's configuration, the keys of the host, and the keys that may log in.
import { FileContent, recognisePem } from '@ringwall/disk/exposure';
import type { FactValue, Inspector } from '../../inspection/inspector.ts';
import { isWeak, parseAuthorizedKeys } from './authorized-keys.ts';
import { parseServerConfiguration } from './server-configuration.ts';

/** The largest of the three: keys of a gateway. */
const MAX_SSH_FILE_BYTES: number = 1024 * 1024;

export const SSH_INSPECTOR_ID = 'ssh/1';

type SshFile = 'configuration' | 'host-key' | 'authorized-keys';

export const sshInspector: Inspector = {
  id: SSH_INSPECTOR_ID,
  wants: ({ path, type }) => (type === 'file' && kindOf(path) !== undefined ? MAX_SSH_FILE_BYTES : undefined),
  inspect(entry, bytes) {
    const text = utf8.decode(bytes);
    const kind = kindOf(entry.path);
    if (kind === 'configuration') return [configurationFact(text)];
    if (kind === 'authorized-keys') return keysFacts(text);
    const sighting = recognisePem(new FileContent(entry.bytes, bytes));
    return sighting === undefined ? [] : [{ what: 'host-key', detail: sighting.detail }];
  },
};

function configurationFact(text: string): FactValue {
  const directives = parseServerConfiguration(text);
  return {
    what: 'configuration',
    directives: directives.map(({ keyword, arguments: words }): FactValue => [keyword, ...words]),
  };
}

function keysFacts(text: string): readonly FactValue[] {
  const keys = parseAuthorizedKeys(text);
  if (keys.length === 0) return [];
  const names = [...new Set(keys.map(({ comment }) => comment).filter((comment) => comment !== ''))];
  const weak = keys.filter((key) => isWeak(key));
  return [
    {
      what: 'authorized-keys',
      count: keys.length,
      names: names.slice(0, MAX_NAMES),
      weak: weak.map(({ type, bits }) => `${type}${bits > 0 ? ` of ${String(bits)} bits` : ''}`),
      published: keys.filter(({ isPublished }) => isPublished).length,
    },
  ];
}

/** Of those whose keys are there; the others are counted. */
const MAX_NAMES = 10;
const utf8: TextDecoder = new TextDecoder('utf-8');

function kindOf(path: string): SshFile | undefined {
  if (/^etc\/ssh\/(?:sshd_config|(?:[\w.-]{1,100}\/)?[\w.-]{1,100}\.conf)$/.test(path)) return 'configuration';
  if (/^etc\/(?:ssh|dropbear)\/(?:ssh|dropbear)_[\w-]{1,60}_key$/.test(path)) return 'host-key';
  return /(?:^|\/)(?:authorized_keys2?|etc\/ssh\/authorized_keys\/[^/]{1,100})$/.test(path)
    ? 'authorized-keys'
    : undefined;
}
