// Packages of npm: what lies in `node_modules`, each by its own `package.json`. https://docs.npmjs.com/cli/v11/configuring-npm/package-json.
// Lock files say what was wanted, of the build too; what is installed says what is there.
import type { Inspector } from '../../inspection/inspector.ts';
import { recordOf, textAt } from '../../json-value.ts';
import { packagesOfJson } from '../json-file.ts';
import { makePackage } from '../package-fact.ts';

/** Some carry their readme. */
const MAX_FILE_BYTES: number = 4 * 1024 * 1024;
/** Not those deeper within a package, which only say how its parts are loaded. */
const INSTALLED = /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@][^/]*\/package\.json$/;

export const npmInspector: Inspector = {
  id: 'npm/1',
  wants: ({ type, path, bytes }) =>
    path.endsWith('package.json') && type === 'file' && INSTALLED.test(path)
      ? Math.min(bytes, MAX_FILE_BYTES)
      : undefined,
  inspect: (entry, bytes) =>
    packagesOfJson(entry, bytes, (document) => {
      const licence = document['license'];
      return [
        makePackage('npm', {
          name: textAt(document, 'name'),
          version: textAt(document, 'version'),
          licence: typeof licence === 'string' ? licence : textAt(recordOf(licence), 'type'),
        }),
      ];
    }),
};
