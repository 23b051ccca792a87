// The systemd units of the three services (systemd.service(5), systemd.exec(5)), rendered from the table of services.
// Pure. The warden stays nearly unconfined, for its work is to start what is confined; the other two may do nothing but
// speak on Unix sockets and write their own store.
import type { Paths } from './services/paths.ts';
import {
  CORE_LIMIT_BYTES,
  programArgv,
  serviceDirectories,
  serviceEnvironment,
  SERVICES,
  type Runtime,
  type Service,
} from './services/table.ts';

export interface Unit {
  readonly path: string;
  readonly content: string;
}

export const UNIT_DIRECTORY = '/etc/systemd/system';
export const TARGET = 'ringwall.target';

export function renderUnits(paths: Paths, runtime: Runtime): Unit[] {
  return [
    unit(TARGET, [
      [
        'Unit',
        [
          ['Description', 'Ringwall: virtual machines that prove what they booted'],
          ['Wants', serviceUnits()],
        ],
      ],
      ['Install', [['WantedBy', 'multi-user.target']]],
    ]),
    ...SERVICES.map((service) => renderService(service, paths, runtime)),
  ];
}

export function unitName({ name }: Service): string {
  return `${name}.service`;
}

type Entry = readonly [key: string, value: string];
type Section = readonly [name: string, entries: readonly Entry[]];

function renderService(service: Service, paths: Paths, runtime: Runtime): Unit {
  const isWarden = service.user === undefined;
  return unit(unitName(service), [
    [
      'Unit',
      [
        ['Description', `Ringwall ${service.title}: ${service.description}`],
        ['PartOf', TARGET],
        ...(service.name === 'ringwalld'
          ? [['After', 'ringwall-warden.service ringwall-broker.service'] as const]
          : []),
        ...(service.name === 'ringwall-broker' ? [['After', 'ringwall-warden.service'] as const] : []),
      ],
    ],
    [
      'Service',
      [
        ['Type', 'exec'],
        ...directories(service, paths),
        ['ExecStart', programArgv(service, runtime).map(quoteWord).join(' ')],
        ...Object.entries(serviceEnvironment(paths)).map(
          ([name, value]) => ['Environment', quoteWord(`${name}=${value}`)] as const,
        ),
        ['Restart', 'always'],
        ['RestartSec', '1'],
        ['UMask', '0077'],
        ['LimitCORE', String(CORE_LIMIT_BYTES)],
        ...(isWarden ? WARDEN : confined(service, paths)),
      ],
    ],
    ['Install', [['WantedBy', TARGET]]],
  ]);
}

/** Made by root (`+`) before each start: the unprivileged two could not, and a host's restart empties /run. */
function directories(service: Service, paths: Paths): Entry[] {
  const all = serviceDirectories(paths);
  const needed =
    service.user === undefined
      ? all
      : all.filter(({ path, user }) => path === paths.state || path === paths.run || user === service.user);
  return needed.map(({ path, mode, user, group }) => [
    'ExecStartPre',
    ['+/usr/bin/install', '-d', '-m', mode.toString(8), '-o', user, '-g', group, path].map(quoteWord).join(' '),
  ]);
}

const WARDEN: readonly Entry[] = [
  // Machines are its children and outlive it.
  ['KillMode', 'process'],
  ['Delegate', 'yes'],
  ['TasksMax', 'infinity'],
];

function confined(service: Service, paths: Paths): Entry[] {
  const own = service.name === 'ringwalld' ? 'daemon' : 'broker';
  const sockets = service.name === 'ringwalld' ? paths.run : `${paths.run}/broker`;
  return [
    ['User', service.user ?? ''],
    ['Group', service.user ?? ''],
    ['CapabilityBoundingSet', ''],
    ['AmbientCapabilities', ''],
    ['NoNewPrivileges', 'yes'],
    ['ProtectSystem', 'strict'],
    ['ReadWritePaths', [`${paths.state}/${own}`, sockets].map(quoteWord).join(' ')],
    ['ProtectHome', 'yes'],
    ['PrivateTmp', 'yes'],
    ['PrivateDevices', 'yes'],
    ['PrivateNetwork', 'yes'],
    ['RestrictAddressFamilies', 'AF_UNIX'],
    ['ProtectKernelTunables', 'yes'],
    ['ProtectKernelModules', 'yes'],
    ['ProtectKernelLogs', 'yes'],
    ['ProtectControlGroups', 'yes'],
    ['ProtectClock', 'yes'],
    ['ProtectHostname', 'yes'],
    ['RestrictNamespaces', 'yes'],
    ['RestrictSUIDSGID', 'yes'],
    ['RestrictRealtime', 'yes'],
    ['LockPersonality', 'yes'],
    ['SystemCallArchitectures', 'native'],
    ['SystemCallFilter', '@system-service'],
    ['SystemCallFilter', '~@privileged @resources'],
    // A library that tries one of these must hear no, not die.
    ['SystemCallErrorNumber', 'EPERM'],
  ];
}

function serviceUnits(): string {
  return SERVICES.map(unitName).join(' ');
}

function unit(name: string, sections: readonly Section[]): Unit {
  const text = sections
    .map(([title, entries]) => [`[${title}]`, ...entries.map(([key, value]) => `${key}=${value}`), ''].join('\n'))
    .join('\n');
  return {
    path: `${UNIT_DIRECTORY}/${name}`,
    content: `# Made by \`ringwall install\`; it writes this file again.\n${text}`,
  };
}

/** Quoting of systemd.syntax(7): the only place where a value of ours becomes unit text. */
export function quoteWord(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  if (/^[\w@%+=:,./$-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
