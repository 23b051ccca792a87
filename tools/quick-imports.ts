// What esbuild does to the imports of programs that somebody waits for: less is loaded before the first line of theirs runs.
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Plugin } from 'esbuild';
import { takeByName } from './builtins-by-name.ts';
import { importFromFiles, type Sources } from './files-by-name.ts';

export const QUICK_IMPORTS: Plugin = {
  name: 'quick-imports',
  setup(bundle) {
    const sources: Sources = {
      read: (file) => readFileSync(file, 'utf8'),
      find: async (specifier, importer) => {
        const { path, errors } = await bundle.resolve(specifier, {
          resolveDir: dirname(importer),
          kind: 'import-statement',
        });
        return errors.length > 0 ? undefined : path;
      },
    };
    bundle.onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
      contents: takeByName(await importFromFiles(sources.read(path), path, sources)),
      loader: 'ts',
    }));
  },
};
