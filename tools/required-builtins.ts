// What esbuild does to `require('crypto')` in CommonJS packages: a bundle of ES modules has no `require`, but Node gives its own modules
// by name.
import { isBuiltin } from 'node:module';
import type { Plugin } from 'esbuild';

const NAMESPACE = 'node-builtin';

export const REQUIRED_BUILTINS: Plugin = {
  name: 'required-builtins',
  setup(bundle) {
    bundle.onResolve({ filter: /^(?:node:)?[a-z_/0-9]+$/ }, ({ path, kind }) =>
      kind === 'require-call' && isBuiltin(path) ? { path, namespace: NAMESPACE } : undefined,
    );
    bundle.onLoad({ filter: /./, namespace: NAMESPACE }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      loader: 'js',
    }));
  },
};

/** Whether an input of a bundle, as esbuild lists it, is a file. */
export function isFileOfBundle(input: string): boolean {
  return !input.startsWith(`${NAMESPACE}:`);
}
