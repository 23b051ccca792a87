// Rules about packages of languages: pip, npm, gem, yarn, go.
import { commandsNamed, followedBy, hasEnvironment, hasOption, isCacheMount, removes, verbOf } from './arguments.ts';
import { unpinned } from './flaws.ts';
import { hadolint, type Rule } from './rule.ts';
import type { Command, DockerfileView } from './view.ts';

const UNPINNED = 'whoever takes over the package, or publishes under its name, is in the next build';
const PIP_VALUES: readonly string[] = [
  '-i',
  '--index-url',
  '--extra-index-url',
  '-f',
  '--find-links',
  '-t',
  '--target',
  '--prefix',
  '--root',
  '--trusted-host',
  '--platform',
  '--python-version',
  '--implementation',
  '--abi',
  '--proxy',
  '--retries',
  '--timeout',
  '--cert',
  '--user-base',
  '--no-binary',
  '--only-binary',
  '--global-option',
  '--install-option',
  '--progress-bar',
  '--upgrade-strategy',
  '--src',
  '--log',
];
const PIP_LISTS: readonly string[] = ['-r', '--requirement', '-c', '--constraint'];

function pipInstalls(view: DockerfileView): readonly Command[] {
  const direct = commandsNamed(view, ['pip', 'pip2', 'pip3'], ['install']);
  const asModule = view.commands
    .filter(
      ({ name, args }) =>
        /^python[\d.]*$/.test(name) && args[0] === '-m' && args[1] === 'pip' && args.includes('install'),
    )
    .map((command) => ({ ...command, args: command.args.slice(2) }));
  const uv = view.commands
    .filter(({ name, args }) => name === 'uv' && args[0] === 'pip' && args.includes('install'))
    .map((command) => ({ ...command, args: command.args.slice(1) }));
  return [...direct, ...asModule, ...uv];
}

const isLocal = (name: string): boolean => /^[./~]|^file:|\.(?:tgz|tar\.gz|whl|zip|gem)$/.test(name);

export const LANGUAGE_PACKAGE_RULES: readonly Rule[] = [
  {
    id: 'DL3013',
    title: 'name the versions that pip installs',
    severity: 'warning',
    reason: UNPINNED,
    reference: hadolint('DL3013'),
    fix: 'pip install --no-cache-dir flask==3.1.2',
    check: (view) =>
      unpinned(
        pipInstalls(view).filter(
          (command) =>
            !hasOption(command, ...PIP_LISTS.filter((option) => option.startsWith('--'))) &&
            !command.args.some((arg) => PIP_LISTS.includes(arg)),
        ),
        PIP_VALUES,
        (name) => /[=<>~]=|[<>]|@|^git\+.*@/.test(name) || isLocal(name),
        '==VERSION',
      ),
  },
  {
    id: 'DL3042',
    title: 'let pip keep no cache',
    severity: 'warning',
    reason: 'the cache is carried in the layer, and nothing reads it again',
    reference: hadolint('DL3042'),
    fix: 'pip install --no-cache-dir …',
    *check(view) {
      for (const command of pipInstalls(view)) {
        if (
          command.name === 'uv' ||
          hasOption(command, '--no-cache-dir') ||
          hasEnvironment(command, 'PIP_NO_CACHE_DIR')
        )
          continue;
        if (isCacheMount(command, '/root/.cache/pip')) continue;
        if (
          followedBy(
            command,
            (other) => removes(other, '/root/.cache') || (other.name.startsWith('pip') && other.args.includes('purge')),
          )
        )
          continue;
        yield { at: command.at };
      }
    },
  },
  {
    id: 'DL3016',
    title: 'name the versions that npm installs',
    severity: 'warning',
    reason: UNPINNED,
    reference: hadolint('DL3016'),
    fix: 'npm install --global corepack@0.34.0',
    check: (view) =>
      unpinned(
        commandsNamed(view, ['npm'], ['install', 'i', 'add']),
        ['--prefix', '--registry', '--cache', '--loglevel', '-w', '--workspace', '--omit', '--include', '--tag'],
        (name) => /^@?[^@]+@(?!latest$|next$)./.test(name) || isLocal(name) || /#|^git|:\/\//.test(name),
        '@VERSION',
      ),
  },
  {
    id: 'DL3028',
    title: 'name the versions that gem installs',
    severity: 'warning',
    reason: UNPINNED,
    reference: hadolint('DL3028'),
    fix: 'gem install bundler:2.7.2',
    check: (view) =>
      unpinned(
        commandsNamed(view, ['gem'], ['install', 'i']).filter(
          (command) => !command.args.some((arg) => /^(?:-v|--version)/.test(arg)),
        ),
        ['-s', '--source', '-i', '--install-dir', '-n', '--bindir', '-P', '--platform'],
        (name) => /:\d/.test(name) || isLocal(name),
        ':VERSION',
      ),
  },
  {
    id: 'DL3060',
    title: 'clean the cache of yarn where it was filled',
    severity: 'info',
    reason: 'the cache is carried in the layer, and nothing reads it again',
    reference: hadolint('DL3060'),
    fix: 'yarn install --frozen-lockfile && yarn cache clean',
    *check(view) {
      for (const command of commandsNamed(view, ['yarn'])) {
        if (!['install', 'add', undefined].includes(verbOf(command)) || hasOption(command, '--version', '--help'))
          continue;
        const cleaned = followedBy(
          command,
          ({ name, args }) => name === 'yarn' && args.includes('cache') && args.includes('clean'),
        );
        const mounted =
          isCacheMount(command, '/usr/local/share/.cache') ||
          isCacheMount(command, '/root/.yarn') ||
          isCacheMount(command, '/root/.cache/yarn');
        if (!cleaned && !mounted) yield { at: command.at, fix: '… && yarn cache clean' };
      }
    },
  },
  {
    id: 'DL3062',
    title: 'name the versions that go installs',
    severity: 'warning',
    reason: UNPINNED,
    reference: hadolint('DL3062'),
    fix: 'go install golang.org/x/tools/gopls@v0.20.0',
    check: (view) =>
      unpinned(
        commandsNamed(view, ['go'], ['install', 'get', 'run']),
        ['-o', '-C', '-tags', '-ldflags', '-mod', '-gcflags', '-asmflags', '-p', '-pkgdir', '-toolexec', '-overlay'],
        (name) => /@(?!latest$|master$|main$)./.test(name) || isLocal(name) || !/^[\w-]+(?:\.[\w-]+)+\//.test(name),
        '@VERSION',
      ),
  },
];
