// Packages of Composer: `vendor/composer/installed.json`, which it writes of what it has installed (an object since version 2, a
// list before). https://getcomposer.org/doc/07-runtime.md.
import type { Inspector } from '../../inspection/inspector.ts';
import { listOf, recordOf, textAt } from '../../json-value.ts';
import { packagesOfJson } from '../json-file.ts';
import { makePackage, MAX_PACKAGES_OF_A_FILE } from '../package-fact.ts';

const MAX_FILE_BYTES: number = 32 * 1024 * 1024;
const INSTALLED = /(?:^|\/)composer\/installed\.json$/;

export const composerInspector: Inspector = {
  id: 'composer/1',
  wants: ({ type, path, bytes }) =>
    path.endsWith('installed.json') && type === 'file' && INSTALLED.test(path)
      ? Math.min(bytes, MAX_FILE_BYTES)
      : undefined,
  inspect: (entry, bytes) =>
    packagesOfJson(entry, bytes, (document, list) =>
      (list.length > 0 ? list : listOf(document['packages'])).slice(0, MAX_PACKAGES_OF_A_FILE).map((each) => {
        const found = recordOf(each);
        const licences = listOf(found?.['license']).filter((licence) => typeof licence === 'string');
        const [name, version] = [textAt(found, 'name'), textAt(found, 'version')];
        return makePackage('composer', { name, version, licence: licences.join(' OR ') });
      }),
    ),
};
