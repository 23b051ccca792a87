// Packages of NuGet in an application of .NET: `NAME.deps.json` beside it, which the runtime loads by.
// https://github.com/dotnet/sdk/blob/main/documentation/specs/runtime-configuration-file.md.
import type { Inspector } from '../../inspection/inspector.ts';
import { recordOf, textAt } from '../../json-value.ts';
import { packagesOfJson } from '../json-file.ts';
import { makePackage, MAX_PACKAGES_OF_A_FILE } from '../package-fact.ts';

const MAX_FILE_BYTES: number = 16 * 1024 * 1024;

export const dotnetInspector: Inspector = {
  id: 'dotnet/1',
  wants: ({ type, path, bytes }) =>
    path.endsWith('.deps.json') && type === 'file' ? Math.min(bytes, MAX_FILE_BYTES) : undefined,
  inspect: (entry, bytes) =>
    packagesOfJson(entry, bytes, (document) =>
      Object.entries(recordOf(document['libraries']) ?? {})
        .slice(0, MAX_PACKAGES_OF_A_FILE)
        // `project` is the application itself, `reference` a file of it.
        .filter(([, library]) => textAt(recordOf(library), 'type') === 'package')
        .map(([key]) => {
          const [name = '', version = ''] = key.split('/');
          return makePackage('nuget', { name, version });
        }),
    ),
};
