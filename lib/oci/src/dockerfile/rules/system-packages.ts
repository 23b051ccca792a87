// Rules about packages of distributions: apt, apk, yum, dnf, zypper.
import { commandsNamed, followedBy, hasOption, isCacheMount, removes, verbOf } from './arguments.ts';
import { those, unpinned } from './flaws.ts';
import { hadolint, type Rule } from './rule.ts';
import type { Command, DockerfileView } from './view.ts';

const APT_VALUES: readonly string[] = ['-t', '--target-release', '-o', '-c', '-a'];
const APK_VALUES: readonly string[] = [
  '-t',
  '--virtual',
  '-X',
  '--repository',
  '-p',
  '--root',
  '--keys-dir',
  '--arch',
  '--cache-dir',
];
const RPM_VALUES: readonly string[] = [
  '-x',
  '--exclude',
  '-c',
  '--config',
  '--releasever',
  '--installroot',
  '--repo',
  '--enablerepo',
  '--disablerepo',
  '--setopt',
  '--from',
  '-r',
];
const YUM: readonly string[] = ['yum'];
const DNF: readonly string[] = ['dnf', 'microdnf', 'dnf5'];
const RPM_INSTALLS: readonly string[] = ['install', 'in', 'groupinstall', 'localinstall', 'reinstall'];

const UNPINNED = 'a build of next month installs other code than the one that was tested, and nobody notices';
const UPGRADED =
  'what an upgrade brings depends on the day of the build; a newer base image is an upgrade that can be named';
const UNATTENDED = 'the build waits for an answer that nobody gives, or ends';
const LEFT_OVER = 'what a later layer deletes is still carried, pulled and scanned with this one';

function withOption(option: string): (command: Command) => string {
  return (command) => `${command.name} ${verbOf(command)} ${option} …`;
}

function isQuiet(command: Command): boolean {
  const quiet = command.args.filter((arg) => arg === '-q' || arg === '--quiet').length;
  return (
    quiet >= 2 ||
    hasOption(command, '-y', '--yes', '--assume-yes') ||
    command.args.some((arg) => arg === '-qq' || arg === '-q=2')
  );
}

function aptInstalls(view: DockerfileView): readonly Command[] {
  return commandsNamed(view, ['apt-get'], ['install']);
}

export const SYSTEM_PACKAGE_RULES: readonly Rule[] = [
  {
    id: 'DL3005',
    title: 'do not upgrade the whole distribution in a build',
    severity: 'error',
    reason: UPGRADED,
    reference: hadolint('DL3005'),
    fix: 'FROM debian:trixie-20261103-slim',
    check: (view) => those(commandsNamed(view, ['apt-get'], ['dist-upgrade', 'full-upgrade']), () => true),
  },
  {
    id: 'DL3008',
    title: 'name the versions that apt-get installs',
    severity: 'warning',
    reason: UNPINNED,
    reference: hadolint('DL3008'),
    fix: 'apt-get install -y --no-install-recommends curl=8.14.1-2',
    check: (view) =>
      unpinned(aptInstalls(view), APT_VALUES, (name) => /=|\.deb$|^[^/]+\/[^/]+$/.test(name), '=VERSION'),
  },
  {
    id: 'DL3009',
    title: 'remove the lists of apt where they were fetched',
    severity: 'info',
    reason: LEFT_OVER,
    reference: hadolint('DL3009'),
    fix: 'apt-get update && apt-get install -y … && rm -rf /var/lib/apt/lists/*',
    check: (view) =>
      those(
        commandsNamed(view, ['apt-get', 'apt'], ['update']),
        (command) =>
          !followedBy(command, (other) => removes(other, '/var/lib/apt/lists')) &&
          !isCacheMount(command, '/var/lib/apt/lists'),
        () => '… && rm -rf /var/lib/apt/lists/*',
      ),
  },
  {
    id: 'DL3014',
    title: 'answer the questions of apt-get beforehand',
    severity: 'warning',
    reason: UNATTENDED,
    reference: hadolint('DL3014'),
    fix: 'apt-get install -y …',
    check: (view) => those(aptInstalls(view), (command) => !isQuiet(command), withOption('-y')),
  },
  {
    id: 'DL3015',
    title: 'install what is needed, not what is recommended',
    severity: 'info',
    reason: 'each package more is code that must be kept up to date and can be attacked',
    reference: hadolint('DL3015'),
    fix: 'apt-get install -y --no-install-recommends …',
    cis: '4.3',
    check: (view) =>
      those(
        aptInstalls(view),
        (command) =>
          !hasOption(command, '--no-install-recommends') &&
          !command.args.some((arg) => /APT::Install-Recommends=(?:"?false"?|0|no)/.test(arg)),
        withOption('--no-install-recommends'),
      ),
  },
  {
    id: 'DL3027',
    title: 'apt is for people, apt-get for scripts',
    severity: 'warning',
    reason: 'the command line of apt may change with any version',
    reference: hadolint('DL3027'),
    fix: 'apt-get install …',
    check: (view) =>
      those(
        commandsNamed(view, ['apt']),
        () => true,
        (command) => `apt-get ${command.args.join(' ')}`,
      ),
  },
  {
    id: 'DL3017',
    title: 'do not upgrade all of Alpine in a build',
    severity: 'error',
    reason: UPGRADED,
    reference: hadolint('DL3017'),
    fix: 'FROM alpine:3.22.2',
    check: (view) => those(commandsNamed(view, ['apk'], ['upgrade']), () => true),
  },
  {
    id: 'DL3018',
    title: 'name the versions that apk adds',
    severity: 'warning',
    reason: UNPINNED,
    reference: hadolint('DL3018'),
    fix: 'apk add --no-cache curl=8.14.1-r2',
    check: (view) =>
      unpinned(commandsNamed(view, ['apk'], ['add']), APK_VALUES, (name) => /[=<>~]|\.apk$|^\./.test(name), '=VERSION'),
  },
  {
    id: 'DL3019',
    title: 'let apk keep no index',
    severity: 'info',
    reason: LEFT_OVER,
    reference: hadolint('DL3019'),
    fix: 'apk add --no-cache …',
    check: (view) =>
      those(
        commandsNamed(view, ['apk'], ['add']),
        (command) =>
          !hasOption(command, '--no-cache') &&
          !followedBy(command, (other) => removes(other, '/var/cache/apk')) &&
          !isCacheMount(command, '/var/cache/apk') &&
          !isCacheMount(command, '/etc/apk/cache'),
        withOption('--no-cache'),
      ),
  },
  ...rpmRules('yum', YUM, { yes: 'DL3030', upgrade: 'DL3031', clean: 'DL3032', pin: 'DL3033' }, '/var/cache/yum'),
  ...rpmRules('dnf', DNF, { yes: 'DL3038', upgrade: 'DL3039', clean: 'DL3040', pin: 'DL3041' }, '/var/cache/dnf'),
  {
    id: 'DL3034',
    title: 'let zypper ask nothing',
    severity: 'warning',
    reason: UNATTENDED,
    reference: hadolint('DL3034'),
    fix: 'zypper --non-interactive install …',
    check: (view) =>
      those(
        commandsNamed(view, ['zypper'], ['install', 'in', 'remove', 'rm', 'patch', 'source-install', 'si']),
        (command) => !hasOption(command, '-n', '-y', '--non-interactive', '--no-confirm'),
        () => 'zypper --non-interactive …',
      ),
  },
  {
    id: 'DL3035',
    title: 'do not upgrade the whole distribution in a build',
    severity: 'warning',
    reason: UPGRADED,
    reference: hadolint('DL3035'),
    fix: 'FROM opensuse/leap:16.0',
    check: (view) => those(commandsNamed(view, ['zypper'], ['dist-upgrade', 'dup', 'update', 'up']), () => true),
  },
  {
    id: 'DL3036',
    title: 'clean up after zypper where it ran',
    severity: 'warning',
    reason: LEFT_OVER,
    reference: hadolint('DL3036'),
    fix: 'zypper --non-interactive install … && zypper clean --all',
    check: (view) =>
      those(
        commandsNamed(view, ['zypper'], ['install', 'in']),
        (command) =>
          !followedBy(command, (other) => other.name === 'zypper' && ['clean', 'cc'].includes(verbOf(other) ?? '')) &&
          !followedBy(command, (other) => removes(other, '/var/cache/zypp')) &&
          !isCacheMount(command, '/var/cache/zypp'),
        () => '… && zypper clean --all',
      ),
  },
  {
    id: 'DL3037',
    title: 'name the versions that zypper installs',
    severity: 'warning',
    reason: UNPINNED,
    reference: hadolint('DL3037'),
    fix: 'zypper --non-interactive install curl=8.14.1',
    check: (view) =>
      unpinned(
        commandsNamed(view, ['zypper'], ['install', 'in']),
        RPM_VALUES,
        (name) => /[=<>~]|\.rpm$|-\d/.test(name),
        '=VERSION',
      ),
  },
];

function rpmRules(
  tool: string,
  names: readonly string[],
  ids: Readonly<Record<'yes' | 'upgrade' | 'clean' | 'pin', string>>,
  cache: string,
): readonly Rule[] {
  const installs = (view: DockerfileView): readonly Command[] => commandsNamed(view, names, RPM_INSTALLS);
  return [
    {
      id: ids.yes,
      title: `answer the questions of ${tool} beforehand`,
      severity: 'warning',
      reason: UNATTENDED,
      reference: hadolint(ids.yes),
      fix: `${tool} install -y …`,
      check: (view) => those(installs(view), (command) => !hasOption(command, '-y', '--assumeyes'), withOption('-y')),
    },
    {
      id: ids.upgrade,
      title: 'do not upgrade the whole distribution in a build',
      severity: 'error',
      reason: UPGRADED,
      reference: hadolint(ids.upgrade),
      fix: 'FROM almalinux:9.6-20251117',
      check: (view) =>
        those(
          commandsNamed(view, names, ['update', 'upgrade', 'upgrade-minimal', 'update-to', 'distro-sync']),
          () => true,
        ),
    },
    {
      id: ids.clean,
      title: `clean up after ${tool} where it ran`,
      severity: 'warning',
      reason: LEFT_OVER,
      reference: hadolint(ids.clean),
      fix: `${tool} install -y … && ${tool} clean all`,
      check: (view) =>
        those(
          installs(view),
          (command) =>
            !followedBy(command, (other) => names.includes(other.name) && verbOf(other) === 'clean') &&
            !followedBy(command, (other) => removes(other, cache) || removes(other, '/var/cache/libdnf5')) &&
            !isCacheMount(command, cache) &&
            !isCacheMount(command, '/var/cache/libdnf5'),
          ({ name }) => `… && ${name} clean all`,
        ),
    },
    {
      id: ids.pin,
      title: `name the versions that ${tool} installs`,
      severity: 'warning',
      reason: UNPINNED,
      reference: hadolint(ids.pin),
      fix: `${tool} install -y curl-8.12.1`,
      check: (view) => unpinned(installs(view), RPM_VALUES, (name) => /-\d|\.rpm$|=/.test(name), '-VERSION'),
    },
  ];
}
