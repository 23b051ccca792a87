// What concerns this host, its images and services: their commands, as data.
import type { Command } from '../command.ts';

export const HOST_COMMANDS: readonly Command[] = [
  {
    name: 'images',
    group: 'This host',
    summary: 'list what machines boot, or build it anew',
    description:
      'An image keeps the packages that it was built with: build it anew for updates of its kernel and programs. Machines ' +
      'take the new one at their next start, once somebody has accepted it (`reference`); their disks stay as they are.',
    forms: ['images', 'images build NAME'],
    arguments: [
      { name: 'build', optional: true, complete: ['build'] },
      { name: 'NAME', optional: true, complete: 'image' },
    ],
    options: [{ name: 'rebuild', summary: 'build it although it is there' }],
    examples: [
      { line: 'images', says: 'their digests, their age, and what they were built from' },
      { line: 'images build hello --rebuild', says: 'with the packages of today' },
    ],
    exits: ['notFound', 'hostLacks', 'unavailable', 'conflict', 'timeout'],
    load: () => import('../commands/images.ts'),
  },
  {
    name: 'doctor',
    group: 'This host',
    summary: 'list every protection of this host: present or missing, and what that means',
    options: [{ name: 'all', short: 'a', summary: 'explain what is present, too' }],
    examples: [{ line: 'doctor', says: 'what is missing comes with how to get it' }],
    exits: ['hostLacks'],
    load: () => import('../commands/doctor.ts'),
  },
  {
    name: 'metrics',
    group: 'This host',
    summary: 'print figures of machines and networks for Prometheus',
    description:
      'As text, in the form that Prometheus reads; the same as GET /metrics on the socket of ringwalld. There is no port: whoever may ' +
      'use the API may read them. With -o the file is written whole or not at all, as the textfile collector of its node exporter wants it.',
    options: [
      {
        name: 'out',
        short: 'o',
        value: 'FILE',
        complete: 'file',
        summary: 'into a file, in the place of the one before',
      },
    ],
    examples: [
      { line: 'metrics', says: 'what there is' },
      { line: 'metrics -o /var/lib/prometheus/node-exporter/ringwall.prom', says: 'each minute, by a timer' },
    ],
    exits: ['unavailable'],
    load: () => import('../commands/metrics.ts'),
  },
  {
    name: 'up',
    group: 'This host',
    summary: 'run the three services in the foreground, until ctrl-C',
    examples: [{ line: 'up', says: 'their logs, each line with its service' }],
    json: 'print each line of their logs as a line of JSON',
    exits: ['hostLacks', 'conflict'],
    load: () => import('../commands/up.ts'),
  },
  {
    name: 'down',
    group: 'This host',
    summary: 'stop the three services; machines go on, and are adopted again',
    examples: [{ line: 'down', says: 'the next command that needs them starts them' }],
    exits: ['unavailable'],
    load: () => import('../commands/down.ts'),
  },
  {
    name: 'install',
    group: 'This host',
    summary: 'have systemd run the services from boot on',
    options: [{ name: 'dry-run', short: 'n', summary: 'print the units, and change nothing' }],
    examples: [
      { line: 'install --dry-run', says: 'read them first' },
      { line: 'install', says: 'writes, enables and starts them' },
    ],
    exits: ['hostLacks'],
    load: () => import('../commands/install.ts'),
  },
  {
    name: 'uninstall',
    group: 'This host',
    summary: 'take the services off this host; machines and keys only with --purge',
    description:
      'Ends the services, and removes their units and the copies of programs that they run from. Machines that run must be ' +
      'stopped first. With --purge the state goes, too: every machine, every disk, and the keys without which no copy or ' +
      'backup of a disk can be read again. Packages and users of the system stay, and are named.',
    options: [
      { name: 'purge', summary: 'remove all machines, images and keys, after you have confirmed it' },
      { name: 'yes', short: 'y', summary: 'do not ask' },
      { name: 'dry-run', short: 'n', summary: 'say what would be removed, and change nothing' },
    ],
    examples: [
      { line: 'uninstall --dry-run', says: 'look first' },
      { line: 'uninstall --purge', says: 'names what is lost, and asks' },
    ],
    exits: ['hostLacks', 'conflict'],
    load: () => import('../commands/uninstall.ts'),
  },
  {
    name: 'setup',
    group: 'This host',
    summary: 'install what this machine lacks; `run` does it by itself',
    examples: [{ line: 'setup', says: 'names what is missing, then installs it' }],
    exits: ['hostLacks'],
    load: () => import('../commands/setup.ts'),
  },
];
