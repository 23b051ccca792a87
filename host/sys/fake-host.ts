// A host described by its files, for tests: a stand-in for `realHost`.
import type { HostView } from './host-view.ts';

export interface FakeHost {
  readonly files?: Readonly<Record<string, string>>;
  readonly packages?: Readonly<Record<string, string>>;
}

export function fakeHost({ files = {}, packages = {} }: FakeHost): HostView {
  const paths = Object.keys(files);
  return {
    text: async (path) => files[path],
    names: async (path) => {
      const below = paths.filter((other) => other.startsWith(`${path}/`));
      return [...new Set(below.map((other) => other.slice(path.length + 1).split('/')[0] ?? ''))].toSorted();
    },
    exists: async (path) => paths.some((other) => other === path || other.startsWith(`${path}/`)),
    packages: async (names) =>
      new Map(names.flatMap((name) => (name in packages ? [[name, packages[name] ?? '']] : []))),
  };
}
