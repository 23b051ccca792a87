// Rules about what package managers keep from build to build: without a mount of BuildKit each build fetches all of it again, and what
// was fetched stays in the layer. Dockerfile reference, "RUN --mount=type=cache".
import { hasCacheMountWith } from './arguments.ts';
import { hadolint, type Flaw, type Rule } from './rule.ts';
import type { Command, DockerfileView } from './view.ts';

interface BuildCache {
  readonly id: string;
  /** As people call it. */
  readonly tool: string;
  readonly fetches: (command: Command) => boolean;
  /** Parts of the folders that it keeps things in: a mount of one of them will do, in whose home it may be. */
  readonly folders: readonly string[];
  /** Where images for it have the folder. */
  readonly target: string;
}

const having =
  (name: string, ...words: readonly string[]) =>
  (command: Command): boolean =>
    command.name === name && command.args.some((arg) => words.includes(arg));

const CACHES: readonly BuildCache[] = [
  {
    id: 'DL3068',
    tool: 'npm',
    fetches: having('npm', 'install', 'ci', 'install-ci-test', 'it'),
    folders: ['.npm'],
    target: '/root/.npm',
  },
  {
    id: 'DL3069',
    tool: 'Cargo',
    fetches: having('cargo', 'build', 'install', 'fetch', 'test', 'check', 'clippy'),
    folders: ['.cargo', 'cargo/registry'],
    target: '/usr/local/cargo/registry',
  },
  {
    id: 'DL3070',
    tool: 'Go',
    fetches: having('go', 'build', 'get', 'install', 'test', 'mod'),
    folders: ['.cache/go-build', 'go/pkg/mod'],
    target: '/go/pkg/mod',
  },
  {
    id: 'DL3071',
    tool: 'Maven',
    fetches: having('mvn', 'install', 'compile', 'package', 'test', 'verify', 'deploy', 'dependency:resolve'),
    folders: ['.m2'],
    target: '/root/.m2',
  },
  {
    id: 'DL3072',
    tool: 'Gradle',
    fetches: ({ name }) => name === 'gradle' || name === 'gradlew',
    folders: ['.gradle'],
    target: '/root/.gradle',
  },
  {
    id: 'DL3073',
    tool: 'Composer',
    fetches: having('composer', 'install', 'update', 'require'),
    folders: ['composer/cache', '.cache/composer'],
    target: '/root/.composer/cache',
  },
  {
    id: 'DL3074',
    tool: 'NuGet',
    fetches: (command) =>
      having('dotnet', 'restore', 'build', 'publish', 'test')(command) || having('nuget', 'restore')(command),
    folders: ['.nuget/packages'],
    target: '/root/.nuget/packages',
  },
  {
    id: 'DL3075',
    tool: 'pnpm',
    fetches: having('pnpm', 'install', 'add', 'fetch', 'i'),
    folders: ['pnpm'],
    target: '/root/.local/share/pnpm/store',
  },
  {
    id: 'DL3076',
    tool: 'Mix',
    fetches: having('mix', 'deps.get', 'deps.compile', 'compile'),
    folders: ['.hex', '.mix'],
    target: '/root/.hex',
  },
  {
    id: 'DL3077',
    tool: 'Bundler',
    fetches: (command) => having('gem', 'install')(command) || having('bundle', 'install', 'update')(command),
    folders: ['.gem', 'bundle'],
    target: '/usr/local/bundle',
  },
];

export const BUILD_CACHE_RULES: readonly Rule[] = CACHES.map((cache) => ({
  id: cache.id,
  title: `what ${cache.tool} fetches is kept in a cache mount`,
  severity: 'info',
  reason: 'without one each build fetches all of it again, and what was fetched stays in the layer',
  reference: hadolint(cache.id),
  fix: `RUN --mount=type=cache,target=${cache.target} …`,
  check: (view) => withoutCache(view, cache),
}));

/** Once for each RUN: one mount serves all of its commands. */
function* withoutCache({ runs }: DockerfileView, { fetches, folders }: BuildCache): Iterable<Flaw> {
  for (const { commands } of runs) {
    const first = commands.find(fetches);
    if (first !== undefined && !folders.some((folder) => hasCacheMountWith(first, folder))) yield { at: first.at };
  }
}
