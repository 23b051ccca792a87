// Every command as data: parsing, help and shell completion are made from this table, and from nothing else.
import type { WatchMode } from '@ringwall/api';
import type { ExitName } from './exit-codes.ts';
import type { Invocation } from './invocation.ts';

/** What a shell may offer for a value. */
export type Completion = 'machine' | 'image' | 'drill' | 'file' | 'none' | readonly string[];

export interface Argument {
  readonly name: string;
  readonly optional?: true;
  /** Takes all that are left. */
  readonly many?: true;
  readonly complete: Completion;
}

export interface Option {
  readonly name: string;
  readonly short?: string;
  /** What its value is called in help; a flag has none. */
  readonly value?: string;
  readonly complete?: Completion;
  readonly summary: string;
}

export interface Example {
  /** Without the program's name. */
  readonly line: string;
  readonly says: string;
}

export interface CommandModule {
  /** Does it; a number is the exit code, nothing means that all went well. Failures are thrown. */
  readonly run: (invocation: Invocation) => Promise<number | void>;
}

export interface Command {
  readonly name: string;
  readonly group: 'Machines' | 'Evidence' | 'Disks' | 'Containers' | 'This host' | 'More';
  readonly summary: string;
  /** What a user must know beyond the summary. */
  readonly description?: string;
  readonly arguments?: readonly Argument[];
  readonly options?: readonly Option[];
  readonly examples: readonly Example[];
  /** Exit codes beyond `ok`, `failed`, `usage`, in the order of their table. */
  readonly exits?: readonly ExitName[];
  /** What `--json` does here, where it is not one document. */
  readonly json?: string;
  /** How it is called, where that depends on its first word. */
  readonly forms?: readonly string[];
  readonly hidden?: true;
  readonly load: () => Promise<CommandModule>;
}

export const JSON_OPTION: Option = { name: 'json', summary: 'print one JSON document for programs' };
export const HELP_OPTION: Option = { name: 'help', short: 'h', summary: 'show this help' };

/** As in the contract, whose schemas would cost more to load than a command takes. */
export const WATCH_MODES: readonly WatchMode[] = ['enforce', 'pause', 'report', 'off'];

const MACHINE: Argument = { name: 'NAME', complete: 'machine' };
const MACHINES: Argument = { name: 'NAME', complete: 'machine', many: true };

export const COMMANDS: readonly Command[] = [
  {
    name: 'run',
    group: 'Machines',
    summary: 'make a machine, start it, and see it prove itself',
    description:
      'Builds the image if it is missing, makes an encrypted disk and a TPM, boots, checks by remote attestation what ' +
      'booted, and releases the key of the disk only then. Ends with a report of what was proven, and of what is not ' +
      'protected on this host.',
    arguments: [{ name: 'IMAGE', optional: true, complete: 'image' }],
    options: [
      { name: 'image', value: 'IMAGE', complete: 'image', summary: 'the same as IMAGE; "hello" where none is named' },
      { name: 'name', value: 'NAME', complete: 'none', summary: 'what the machine is called; else after its image' },
      { name: 'cpus', value: 'N', complete: 'none', summary: 'virtual processors' },
      { name: 'memory', value: 'SIZE', complete: 'none', summary: 'memory, as in 512M or 2G' },
      { name: 'disk', value: 'SIZE', complete: 'none', summary: 'encrypted disk, as in 256M or 20G' },
      {
        name: 'watch',
        value: 'MODE',
        complete: WATCH_MODES,
        summary: 'where something runs that is not of its image: enforce (quarantine), pause, report or off',
      },
    ],
    examples: [
      { line: 'run hello', says: 'the smallest machine there is' },
      { line: 'run debian --name web --cpus 2 --memory 2G --disk 20G', says: 'a whole Debian' },
    ],
    exits: ['notFound', 'refused', 'hostLacks', 'unavailable', 'conflict', 'timeout'],
    load: () => import('./commands/run.ts'),
  },
  {
    name: 'ls',
    group: 'Machines',
    summary: 'list machines',
    examples: [
      { line: 'ls', says: 'all machines, and whether each is attested' },
      { line: 'ls --json', says: 'the same for a program' },
    ],
    exits: ['hostLacks', 'unavailable'],
    load: () => import('./commands/ls.ts'),
  },
  {
    name: 'show',
    group: 'Machines',
    summary: 'show one machine: its protections, read back from /proc, and what it proved',
    arguments: [MACHINE],
    examples: [{ line: 'show hello', says: 'what holds, what does not, and what that means' }],
    exits: ['notFound', 'unavailable'],
    load: () => import('./commands/show.ts'),
  },
  {
    name: 'console',
    group: 'Machines',
    summary: 'attach to the serial console (ctrl-] leaves it)',
    description:
      'Connects your terminal with the machine. Sequences by which a guest could make your terminal act or answer ' +
      'outside of its screen are taken out.',
    arguments: [MACHINE],
    examples: [
      { line: 'console hello', says: 'press Enter for a prompt, ctrl-] to leave' },
      { line: 'console hello --json < commands', says: 'types the lines of a file; what comes back is for a program' },
    ],
    json: 'print what happens as lines of JSON: attached, output, then left or closed',
    exits: ['notFound', 'unavailable', 'conflict'],
    load: () => import('./commands/console.ts'),
  },
  {
    name: 'logs',
    group: 'Machines',
    summary: 'print what the serial console said',
    arguments: [MACHINE],
    options: [
      { name: 'follow', short: 'f', summary: 'go on as more comes' },
      { name: 'bytes', value: 'N', complete: 'none', summary: 'how much of the end, at most 524288' },
      { name: 'raw', summary: 'every byte as the guest wrote it, escape sequences too' },
    ],
    examples: [
      { line: 'logs hello', says: 'the end of the log, as plain text' },
      { line: 'logs -f hello', says: 'and what comes' },
    ],
    exits: ['notFound', 'unavailable'],
    load: () => import('./commands/logs.ts'),
  },
  {
    name: 'start',
    group: 'Machines',
    summary: 'start machines that were stopped',
    arguments: [MACHINES],
    examples: [{ line: 'start hello', says: 'it proves itself again before its disk opens' }],
    exits: ['notFound', 'refused', 'hostLacks', 'unavailable', 'conflict', 'timeout'],
    load: () => import('./commands/start.ts'),
  },
  {
    name: 'stop',
    group: 'Machines',
    summary: 'stop machines; their disks stay',
    arguments: [MACHINES],
    options: [
      {
        name: 'grace',
        value: 'SECONDS',
        complete: 'none',
        summary: 'time to power down before it is cut, at most 120',
      },
    ],
    examples: [
      { line: 'stop hello', says: 'asks the guest to power down first' },
      { line: 'stop hello --grace 0', says: 'pulls the plug' },
    ],
    exits: ['notFound', 'unavailable', 'conflict', 'timeout'],
    load: () => import('./commands/stop.ts'),
  },
  {
    name: 'readmit',
    group: 'Machines',
    summary: 'trust a quarantined machine again: its next start gets its key',
    description:
      'A machine is quarantined when something ran on it that is not of its image, or when it is not the boot any more that ' +
      'it has proven: it gets no key until somebody who has looked into it says so. What has run in a boot stays untrusted ' +
      'until the machine is started anew; one that was paused goes on.',
    arguments: [MACHINE],
    options: [{ name: 'yes', short: 'y', summary: 'do not ask' }],
    examples: [{ line: 'readmit hello', says: 'shows what ran, and asks' }],
    exits: ['notFound', 'unavailable', 'conflict'],
    load: () => import('./commands/readmit.ts'),
  },
  {
    name: 'rm',
    group: 'Machines',
    summary: 'remove machines, their disks, their TPMs and their keys',
    arguments: [MACHINES],
    options: [{ name: 'force', short: 'f', summary: 'stop it first if it runs' }],
    examples: [{ line: 'rm --force hello', says: 'its key is destroyed: no copy of its disk can be read again' }],
    exits: ['notFound', 'unavailable', 'conflict'],
    load: () => import('./commands/rm.ts'),
  },
  {
    name: 'prove',
    group: 'Evidence',
    summary: 'write the proof of what a machine booted',
    description:
      'The proof bundle holds the evidence of the last judged boot, the policy and the expected measurements it was ' +
      'judged by, the verdict, and the signature of the broker. Anyone can check it with `verify`, offline.',
    arguments: [MACHINE],
    options: [
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        complete: 'file',
        summary: 'where to; else NAME.proof.json, and - is standard output',
      },
      { name: 'ear', summary: 'the result alone, as a JWT with EAR claims (draft-ietf-rats-ear)' },
    ],
    examples: [
      { line: 'prove hello -o proof.json', says: 'then give proof.json to whoever doubts' },
      { line: 'prove hello --ear', says: 'a signed attestation result (EAR, JWT) for other systems' },
    ],
    exits: ['notFound', 'unavailable'],
    load: () => import('./commands/prove.ts'),
  },
  {
    name: 'verify',
    group: 'Evidence',
    summary: 'check a proof offline, and explain it',
    description:
      'Needs no services, no network and no root. A proof counts only by the key of a broker that you trust: that of ' +
      'this host, where `prove` was run on it, or the one that you name. Without, it can only be said to agree with itself.',
    arguments: [{ name: 'FILE', complete: 'file' }],
    options: [
      { name: 'broker-key', value: 'KEY', complete: 'file', summary: 'key of the broker you trust, or a file with it' },
      { name: 'ca', value: 'FILE', complete: 'file', summary: 'the vTPM authority you trust, as PEM or DER' },
      {
        name: 'host',
        value: 'FILE',
        complete: 'file',
        summary: 'what the host is that you trust, as `reference host` wrote it',
      },
      { name: 'reference', value: 'FILE', complete: 'file', summary: 'reference values that you trust, signed or not' },
      {
        name: 'reference-key',
        value: 'KEY',
        complete: 'file',
        summary: 'whose word on reference values you take: in that file, or in the proof',
      },
      { name: 'page', value: 'FILE', complete: 'file', summary: 'also write the page that judges proofs in a browser' },
    ],
    examples: [
      { line: 'verify proof.json', says: 'exit code 0 only where it is proven' },
      { line: 'verify proof.json --broker-key broker.key', says: 'on any other machine' },
      {
        line: 'verify proof.json --reference-key our.key',
        says: 'what it must measure is your own word',
      },
    ],
    exits: ['notFound', 'refused', 'unanchored'],
    load: () => import('./commands/verify.ts'),
  },
  {
    name: 'why',
    group: 'Evidence',
    summary: 'say why a machine was judged as it was, event by event',
    description:
      'Compares what the machine measured last with what is expected of it now, and with its last good boot: what changed, ' +
      'which file it is, and which package that file came from, where that is known.',
    arguments: [MACHINE],
    examples: [{ line: 'why hello', says: 'after a refusal, before anything is accepted' }],
    exits: ['notFound', 'unavailable'],
    load: () => import('./commands/why.ts'),
  },
  {
    name: 'reference',
    group: 'Evidence',
    summary: 'what images must measure: list it, and review and accept an update',
    description:
      'The broker releases keys to machines that measured what is accepted for their image. The first version of an image on ' +
      'this host is accepted as it is. When the image, its kernel or the firmware changes, machines are refused at their next ' +
      'start until somebody has looked at the change (diff), has seen what it would have meant for the evidence that was kept ' +
      '(try), and has accepted it. In the place of an image, a file may be named: reference values that somebody else signed, ' +
      'or a policy. Whoever wants their own word to count computes the values from loose artefacts that a file names, or signs ' +
      'those of somebody else, with a key of their own and offline. A host with a TPM of its own is enrolled (host), so that proofs of its machines can contain it.',
    forms: [
      'reference',
      'reference build IMAGE',
      'reference build|sign FILE --key KEY -o FILE',
      'reference host -o FILE',
      'reference diff|try|accept IMAGE|FILE',
    ],
    arguments: [
      { name: 'ACTION', optional: true, complete: ['build', 'sign', 'host', 'diff', 'try', 'accept'] },
      { name: 'IMAGE', optional: true, complete: 'image' },
    ],
    options: [
      { name: 'output', short: 'o', value: 'FILE', complete: 'file', summary: 'of build and host: write it to a file' },
      { name: 'key', value: 'FILE', complete: 'file', summary: 'of build and sign: your P-256 key, PKCS#8 in PEM' },
      { name: 'by', value: 'NAME', complete: 'none', summary: 'of build and sign: your name, for people' },
      { name: 'days', value: 'N', complete: 'none', summary: 'of build and sign: how long they count, at most 730' },
      {
        name: 'policy',
        value: 'FILE',
        complete: 'file',
        summary: 'of host: write a policy that demands this host’s proof, too',
      },
      { name: 'everything', summary: 'of host: with all that has run on it; the policy then refuses anything else' },
    ],
    examples: [
      { line: 'reference', says: 'what is accepted, and what waits' },
      { line: 'reference build hello', says: 'after the image was built anew, before machines start from it' },
      { line: 'reference diff hello', says: 'what would change, as sentences' },
      { line: 'reference try hello', says: 'a dry run over the evidence of all machines' },
      { line: 'reference accept hello', says: 'one step, in force at once' },
      {
        line: 'reference build ./boot.json --key our.pem -o ours.json',
        says: 'from kernel, initrd, firmware, by your word',
      },
      { line: 'reference host -o host.json --policy policy.json', says: 'then accept both' },
    ],
    exits: ['notFound', 'unavailable', 'conflict'],
    load: () => import('./commands/reference.ts'),
  },
  {
    name: 'drill',
    group: 'Evidence',
    summary: 'run the attacks that Ringwall claims to stop, without it and with it',
    arguments: [{ name: 'NAME', optional: true, many: true, complete: 'drill' }],
    options: [
      { name: 'list', summary: 'say which drills there are' },
      { name: 'output', short: 'o', value: 'FILE', complete: 'file', summary: 'write the results as JSON, too' },
    ],
    examples: [
      { line: 'drill', says: 'all of them; they are harmless and clean up' },
      { line: 'drill disk-theft', says: 'one of them' },
    ],
    exits: ['notFound', 'refused', 'hostLacks'],
    load: () => import('./commands/drill.ts'),
  },
  {
    name: 'disk',
    group: 'Disks',
    summary: 'look into a disk image: what would a thief have? Nothing is mounted',
    description:
      'Reads images, partitions and file systems with parsers of its own, so that no kernel and no other program meets ' +
      'hostile bytes; needs no right but to read the file. Files that an image names are read only where they lie beside it ' +
      'under a plain name. No report holds a part of a secret.',
    forms: [
      'disk inspect IMAGE',
      'disk ls IMAGE [PATH]',
      'disk cat IMAGE PATH',
      'disk extract IMAGE [PATH] -o DIRECTORY',
      'disk diff IMAGE IMAGE [PATH]',
    ],
    arguments: [
      { name: 'ACTION', complete: ['inspect', 'ls', 'cat', 'extract', 'diff'] },
      { name: 'IMAGE', optional: true, complete: 'file' },
      { name: 'PATH', optional: true, many: true, complete: 'file' },
    ],
    options: [
      { name: 'volume', value: 'N', complete: 'none', summary: 'which of several file systems; inspect lists them' },
      { name: 'disk', value: 'N', complete: 'none', summary: 'which disk of an appliance’s archive (OVA)' },
      { name: 'key-file', value: 'FILE', complete: 'file', summary: 'holds a passphrase of LUKS, to look inside, too' },
      { name: 'all', short: 'a', summary: 'of inspect: every find, and the references of its rule' },
      { name: 'output', short: 'o', value: 'DIRECTORY', complete: 'file', summary: 'of extract: a new directory' },
    ],
    examples: [
      { line: 'disk inspect stolen.qcow2', says: 'keys, passwords, tokens, histories, databases, and a score' },
      { line: 'disk ls stolen.qcow2 /etc', says: 'without a mount' },
      { line: 'disk cat stolen.qcow2 /etc/hostname', says: 'one file' },
      { line: 'disk extract stolen.qcow2 /var/log -o log', says: 'links that lead out, and devices, are left out' },
      { line: 'disk diff before.qcow2 after.qcow2 /etc', says: 'what changed, file by file' },
    ],
    exits: ['notFound', 'hostLacks'],
    load: () => import('./commands/disk.ts'),
  },
  {
    name: 'image',
    group: 'Containers',
    summary: 'judge a container image before it runs: its name, or its Dockerfile',
    description:
      'Offline and without a service. `judge` says whether a name looks like a trap: typos, foreign letters, moved borders, ' +
      'claims to be official. `scan` judges a Dockerfile by hadolint’s rules, the CIS Docker Benchmark and our own, and the ' +
      'names that it begins from. Exit code 4: refused.',
    forms: ['image judge NAME', 'image scan DOCKERFILE'],
    arguments: [
      { name: 'ACTION', complete: ['judge', 'scan'] },
      { name: 'SUBJECT', optional: true, complete: 'file' },
    ],
    options: [
      {
        name: 'fail-on',
        value: 'SEVERITY',
        complete: ['error', 'warning', 'info', 'style'],
        summary: 'of scan; "error" where none is named',
      },
      {
        name: 'allow',
        value: 'FILE',
        complete: 'file',
        summary: 'names that are let in, one a line, as in ghcr.io/acme/*',
      },
      { name: 'history', value: 'FILE', complete: 'file', summary: 'names that you have run, one a line' },
    ],
    examples: [
      { line: 'image judge ngnix', says: 'block: two letters of nginx are swapped' },
      { line: 'image scan Dockerfile', says: 'what is wrong, in which line, and the smallest change' },
      { line: 'image scan Dockerfile --fail-on warning --json', says: 'for a build' },
    ],
    exits: ['notFound', 'refused'],
    load: () => import('./commands/image.ts'),
  },
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
    load: () => import('./commands/images.ts'),
  },
  {
    name: 'doctor',
    group: 'This host',
    summary: 'list every protection of this host: present or missing, and what that means',
    options: [{ name: 'all', short: 'a', summary: 'explain what is present, too' }],
    examples: [{ line: 'doctor', says: 'what is missing comes with how to get it' }],
    exits: ['hostLacks'],
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'up',
    group: 'This host',
    summary: 'run the three services in the foreground, until ctrl-C',
    examples: [{ line: 'up', says: 'their logs, each line with its service' }],
    json: 'print each line of their logs as a line of JSON',
    exits: ['hostLacks', 'conflict'],
    load: () => import('./commands/up.ts'),
  },
  {
    name: 'down',
    group: 'This host',
    summary: 'stop the three services; machines go on, and are adopted again',
    examples: [{ line: 'down', says: 'the next command that needs them starts them' }],
    exits: ['unavailable'],
    load: () => import('./commands/down.ts'),
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
    load: () => import('./commands/install.ts'),
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
    load: () => import('./commands/uninstall.ts'),
  },
  {
    name: 'setup',
    group: 'This host',
    summary: 'install what this machine lacks; `run` does it by itself',
    examples: [{ line: 'setup', says: 'names what is missing, then installs it' }],
    exits: ['hostLacks'],
    load: () => import('./commands/setup.ts'),
  },
  {
    name: 'completion',
    group: 'More',
    summary: 'print a completion script for your shell',
    arguments: [{ name: 'SHELL', complete: ['bash', 'zsh', 'fish'] }],
    examples: [
      { line: 'completion bash > /etc/bash_completion.d/ringwall', says: 'for every user' },
      { line: 'completion fish > ~/.config/fish/completions/ringwall.fish', says: 'for you' },
    ],
    load: () => import('./commands/completion.ts'),
  },
  {
    name: 'version',
    group: 'More',
    summary: 'say which Ringwall this is',
    examples: [{ line: 'version', says: '' }],
    load: () => import('./commands/version.ts'),
  },
  {
    name: 'help',
    group: 'More',
    summary: 'explain a command, or list them all',
    arguments: [{ name: 'COMMAND', optional: true, complete: 'none' }],
    examples: [{ line: 'help run', says: 'the same as `run --help`' }],
    load: () => import('./commands/help.ts'),
  },
  {
    name: '__complete',
    group: 'More',
    hidden: true,
    summary: 'print what a shell may offer for a value, one a line',
    arguments: [{ name: 'KIND', complete: ['machine', 'image', 'drill'] }],
    examples: [{ line: '__complete machine', says: '' }],
    load: () => import('./commands/complete.ts'),
  },
];

export function findCommand(name: string): Command | undefined {
  return COMMANDS.find((command) => command.name === name);
}

/** What a command takes besides its arguments. */
export function optionsOf(command: Command): readonly Option[] {
  const { options = [], json = JSON_OPTION.summary } = command;
  return [...options, { ...JSON_OPTION, summary: json }, HELP_OPTION];
}

/** `run [IMAGE]`, `stop NAME...`; several where the first word decides. */
export function usagesOf(command: Command): readonly string[] {
  return command.forms ?? [usageOf(command)];
}

function usageOf(command: Command): string {
  const words = (command.arguments ?? []).map(({ name, optional, many }) => {
    const word = many === true ? `${name}...` : name;
    return optional === true ? `[${word}]` : word;
  });
  return [command.name, ...words].join(' ');
}
