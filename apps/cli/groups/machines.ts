// What is done with machines: their commands, as data.
import { CLONES, ENCRYPTIONS, MACHINE, MACHINES, WATCH_MODES, type Command } from '../command.ts';

export const MACHINE_COMMANDS: readonly Command[] = [
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
      { name: 'attach', value: 'NAME', complete: 'none', summary: 'imported disks, as in web or web,data; see disks' },
      { name: 'network', value: 'NAME', complete: 'none', summary: 'the network that it gets a card in; see network' },
      { name: 'label', value: 'LABELS', complete: 'none', summary: 'by which rules know it, as in role=web,tier=1' },
      {
        name: 'encryption',
        value: 'KIND',
        complete: ENCRYPTIONS,
        summary: 'of its disk: guest, or authenticated (a tag for each sector: altered data is an error, not data)',
      },
      {
        name: 'clones',
        value: 'WORD',
        complete: CLONES,
        summary: 'allow: its snapshots may become disks of other machines (clone); decided now, for good',
      },
      {
        name: 'disk-image',
        value: 'FILE',
        complete: 'file',
        summary:
          'boot the system on this disk image (any format of `disk inspect`) in place of an IMAGE; needs --learn',
      },
      { name: 'key-file', value: 'FILE', complete: 'file', summary: 'of an encrypted --disk-image: its passphrase' },
      { name: 'learn', summary: 'with --disk-image: write down what its first boot measures, for you to accept' },
      {
        name: 'watch',
        value: 'MODE',
        complete: WATCH_MODES,
        summary: 'where something runs that is not of its image: enforce (quarantine), pause, report or off',
      },
    ],
    examples: [
      { line: 'run hello', says: 'the smallest machine there is' },
      {
        line: 'run --disk-image cloud.qcow2 --name web --learn',
        says: 'a system of yours, with UEFI; later boots must match',
      },
      { line: 'run debian --name web --cpus 2 --memory 2G --disk 20G', says: 'a whole Debian' },
      { line: 'run hello --name web --network app --label role=web', says: 'its network opens once it is attested' },
      { line: 'run hello --encryption authenticated', says: 'one flipped bit of its disk is noticed' },
    ],
    exits: ['notFound', 'refused', 'hostLacks', 'unavailable', 'conflict', 'timeout'],
    load: () => import('../commands/run.ts'),
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
    load: () => import('../commands/ls.ts'),
  },
  {
    name: 'show',
    group: 'Machines',
    summary: 'show one machine: its protections, read back from /proc, and what it proved',
    arguments: [MACHINE],
    examples: [{ line: 'show hello', says: 'what holds, what does not, and what that means' }],
    exits: ['notFound', 'unavailable'],
    load: () => import('../commands/show.ts'),
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
    load: () => import('../commands/console.ts'),
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
    load: () => import('../commands/logs.ts'),
  },
  {
    name: 'start',
    group: 'Machines',
    summary: 'start machines that were stopped',
    arguments: [MACHINES],
    examples: [{ line: 'start hello', says: 'it proves itself again before its disk opens' }],
    exits: ['notFound', 'refused', 'hostLacks', 'unavailable', 'conflict', 'timeout'],
    load: () => import('../commands/start.ts'),
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
      { name: 'force', short: 'f', summary: 'give up a snapshot that is being taken, instead of waiting for it' },
    ],
    examples: [
      { line: 'stop hello', says: 'asks the guest to power down first' },
      { line: 'stop hello --grace 0', says: 'pulls the plug' },
    ],
    exits: ['notFound', 'unavailable', 'conflict', 'timeout'],
    load: () => import('../commands/stop.ts'),
  },
  {
    name: 'snapshot',
    group: 'Machines',
    summary: 'save machines that run: memory, devices, TPM and disks, sealed into one file each',
    description:
      'The machine works on; it stands still for the moment in which the last of its memory is copied. What is written to ' +
      'the disk of this host is encrypted with a key of its own, which the broker keeps: a stolen snapshot says nothing, a ' +
      'changed one is refused at the byte. One that continues another has only what has changed since, and needs it. `verify` ' +
      'reads every byte, of all that it continues, too, and needs no key. `rm` destroys the key first. ' +
      'A snapshot is named by its machine and the number that the broker gave it, as in web@3. `export` ' +
      'seals one for another host, or for a key of ' +
      '`keygen`; with --move the machine goes with it, and starts here no more.',
    forms: [
      ...['snapshot [--full] NAME...', 'snapshot ls', 'snapshot verify NAME@NUMBER...', 'snapshot rm NAME@NUMBER...'],
      'snapshot recipient [-o FILE]',
      'snapshot export NAME@NUMBER --to RECIPIENT -o FILE [--move]',
      'snapshot import FILE [--name NAME]',
    ],
    arguments: [
      { name: 'NAME', complete: 'machine' },
      { name: 'SNAPSHOT', optional: true, complete: 'none', many: true },
    ],
    options: [
      { name: 'full', summary: 'all of it, also where what has changed since the one before would do' },
      {
        name: 'to',
        value: 'RECIPIENT',
        complete: 'file',
        summary: 'of export: ringwall-recipient:…, or the file of a host',
      },
      { name: 'output', short: 'o', value: 'FILE', complete: 'file', summary: 'of export and recipient: where to' },
      { name: 'move', summary: 'of export: the machine goes with it; else it is a copy' },
      { name: 'name', value: 'NAME', complete: 'none', summary: 'of import: what the machine is called here' },
      {
        name: 'accept',
        value: 'FINGERPRINT',
        complete: 'none',
        summary: 'of import: the broker that it comes from, which you have compared; once for each',
      },
      { name: 'rewind', summary: 'of import: I want it, though it was here before, or may still live elsewhere' },
    ],
    examples: [
      { line: 'snapshot web', says: 'web@1 is there, and how long web stood still' },
      { line: 'snapshot ls', says: 'the newest of each machine first' },
      { line: 'snapshot verify web@1', says: 'is it still what was sealed?' },
      { line: 'snapshot rm web@1', says: 'no copy of it can be opened again' },
      { line: 'snapshot recipient -o beta.json', says: 'on the host beta: what others seal for it' },
      { line: 'snapshot export web@1 --to beta.json -o web.ringwall --move', says: 'web leaves for beta' },
      { line: 'snapshot import web.ringwall', says: 'on beta; then: restore web' },
    ],
    exits: ['notFound', 'refused', 'hostLacks', 'unavailable', 'conflict', 'timeout'],
    load: () => import('../commands/snapshot.ts'),
  },
  {
    name: 'approvals',
    group: 'Machines',
    summary: 'let exports of a machine need the word of two people; see what waits for them',
    description:
      'Each person makes a key (`keygen --person`) and is enrolled by it. Once a machine asks for approval, `snapshot export` ' +
      'makes a request, which names object, recipient and whether the machine moves; two people sign it, and the same export ' +
      'goes through once, within a day. From then on it also takes two to enrol somebody, to strike somebody off, and to ' +
      'waive it. The broker decides, and writes each word into its audit log.',
    forms: ['approvals', 'approvals enrol NAME PERSON', 'approvals strike NAME', 'approvals require|waive MACHINE'],
    arguments: [
      { name: 'ACTION', optional: true, complete: ['enrol', 'strike', 'require', 'waive'] },
      { name: 'NAME', optional: true, complete: 'machine' },
      { name: 'PERSON', optional: true, complete: 'none' },
    ],
    examples: [
      { line: 'approvals enrol alice ringwall-person:…', says: 'as keygen --person printed it' },
      { line: 'approvals require web', says: 'no copy of web leaves by the word of one' },
      { line: 'approvals', says: 'people, machines, and what waits' },
    ],
    exits: ['notFound', 'unavailable', 'conflict'],
    load: () => import('../commands/approvals.ts'),
  },
  {
    name: 'approve',
    group: 'Machines',
    summary: 'sign what two people are asked for',
    description:
      'Shows it, and signs just that. Who signs first asks, who signs second approves; one person is not two.',
    arguments: [{ name: 'REQUEST', complete: 'none' }],
    options: [{ name: 'as', value: 'KEYFILE', complete: 'file', summary: 'your key, as keygen --person made it' }],
    examples: [{ line: 'approve apr_… --as alice.key', says: 'see approvals for what waits' }],
    exits: ['notFound', 'unavailable', 'conflict'],
    load: () => import('../commands/approve.ts'),
  },
  {
    name: 'clone',
    group: 'Machines',
    summary: 'make another machine with the disk of a snapshot, or one that goes on from its memory',
    description:
      'Without a number the newest. The clone has an id, a TPM, a card and a key of its own: it boots, proves itself like any ' +
      'machine, and is given a new key for its disk with the one that opens it. Its memory is its own: what ran in the other ' +
      'does not run in it. Both disks are encrypted under one volume key: who is root in one machine could read a stolen disk of the ' +
      'other. So a machine can be cloned only where that was said when it was made (run --clones allow). With --live it goes on from ' +
      'the memory of a snapshot that is held (template hold), in a moment: all that ran there runs in it, with every secret that it ' +
      'holds. Id and TPM are its own all the same; it has booted nothing, so it counts as unknown, has no network and gets no key, ' +
      'and cannot be saved, until its next start, when it is a clone like any other.',
    forms: ['clone NAME', 'clone NAME@NUMBER', 'clone --live [--count N] NAME[@NUMBER]'],
    arguments: [{ name: 'NAME', complete: 'machine' }],
    options: [
      { name: 'live', summary: 'goes on from the memory of a snapshot that is held: the newest one, or this' },
      {
        name: 'count',
        value: 'N',
        complete: 'none',
        summary: 'with --live: so many; --name trial makes trial-1, trial-2, …',
      },
      { name: 'name', value: 'NAME', complete: 'none', summary: 'what the clone is called; else after the other' },
      { name: 'network', value: 'NAME', complete: 'none', summary: 'the network that it gets a card in; see network' },
      { name: 'label', value: 'LABELS', complete: 'none', summary: 'by which rules know it, as in role=web,tier=1' },
    ],
    examples: [
      { line: 'clone web', says: 'web-2, with the disk of the newest snapshot of web' },
      { line: 'clone web@3 --name trial', says: 'with the disk of another' },
      { line: 'clone web --live --count 3', says: 'web-2, web-3 and web-4 go on from the newest that is held' },
    ],
    exits: ['notFound', 'refused', 'hostLacks', 'unavailable', 'conflict', 'timeout'],
    load: () => import('../commands/clone.ts'),
  },
  {
    name: 'template',
    group: 'Machines',
    summary: 'hold the memory of a snapshot, so that clones go on from it in a moment',
    description:
      'The snapshot is verified and decrypted once, and its memory lies in this host’s, in clear, where nobody can write to it any ' +
      'more. Machines that go on from it (clone --live) share it until they write. Only where the machine may be cloned (run ' +
      '--clones allow); the broker writes each hold and each clone down. It is released by `release`, with its snapshot or its ' +
      'machine, and when the warden ends; what runs keeps what it has.',
    forms: ['template hold NAME@NUMBER...', 'template ls', 'template release NAME@NUMBER...'],
    arguments: [
      { name: 'ACTION', complete: ['hold', 'ls', 'release'] },
      { name: 'SNAPSHOT', optional: true, complete: 'none', many: true },
    ],
    examples: [
      { line: 'template hold web@1', says: 'says how much memory it takes' },
      { line: 'template ls', says: 'what is held, and which machines go on from it' },
      { line: 'template release web@1', says: 'they run on' },
    ],
    exits: ['notFound', 'refused', 'hostLacks', 'unavailable', 'conflict', 'timeout'],
    load: () => import('../commands/template.ts'),
  },
  {
    name: 'backups',
    group: 'Machines',
    summary: 'take snapshots of a machine by themselves, and keep some of them',
    description:
      'One is taken when it is due and the machine runs; what was missed while it, or this host, was off is made up for once. ' +
      'Then those go that nothing keeps: the newest ones (`last`), and the newest of so many hours, days, weeks (from Monday) and ' +
      'months, all by UTC. The newest is always kept, and so is every snapshot that somebody took by hand. Without --keep: ' +
      'last=3,daily=7,weekly=8,monthly=12.',
    forms: ['backups', 'backups NAME', 'backups NAME --every TIME [--keep …]', 'backups NAME --off'],
    arguments: [{ name: 'NAME', optional: true, complete: 'machine' }],
    options: [
      { name: 'every', value: 'TIME', complete: 'none', summary: 'how often: 15m at least, as in 6h or 1d' },
      { name: 'keep', value: 'KIND=COUNT,…', complete: 'none', summary: 'last, hourly, daily, weekly, monthly' },
      { name: 'off', summary: 'no more; what was taken stays' },
    ],
    examples: [
      { line: 'backups web --every 6h --keep last=4,daily=7,monthly=12', says: 'four a day, a year back' },
      { line: 'backups', says: 'which machines are backed up' },
      { line: 'backups web --off', says: 'no more are taken' },
    ],
    exits: ['notFound', 'unavailable'],
    load: () => import('../commands/backups.ts'),
  },
  {
    name: 'restore',
    group: 'Machines',
    summary: 'put stopped machines back to a snapshot: they go on where they were saved',
    description:
      'Without a number the newest. It is verified while it is loaded, and the machine runs only once all of it was found to ' +
      'be what was sealed; where it is not, or this host is another than the one it was taken on, the machine stays what ' +
      'it is. Disk, memory and TPM of now are lost. The machine counts as unknown until its next start, when it proves ' +
      'itself again. An older state than the newest, and one that was put back before, needs --rewind; the broker writes ' +
      'that down.',
    arguments: [{ name: 'NAME[@NUMBER]', complete: 'machine', many: true }],
    options: [{ name: 'rewind', summary: 'I want this state, though it is not the newest, or was put back before' }],
    examples: [
      { line: 'restore web', says: 'to its newest snapshot' },
      { line: 'restore web@2 --rewind', says: 'to an older one' },
    ],
    exits: ['notFound', 'refused', 'hostLacks', 'unavailable', 'conflict', 'timeout'],
    load: () => import('../commands/restore.ts'),
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
    load: () => import('../commands/readmit.ts'),
  },
  {
    name: 'key',
    group: 'Machines',
    summary: 'give a machine’s disk another key without writing it anew; prove that a removed one’s is gone',
    description:
      'At its next start a machine that has proven itself is given the key it has and another, adds a keyslot with the new one ' +
      'and destroys the old one. The broker keeps both until the guest has said that this is done; wherever it breaks off, the ' +
      'disk opens, and the next start ends it. The old key then opens nothing but a copy of the header that was made before. ' +
      'With a machine that is removed all its keys are destroyed, and the broker signs a record of it (erasure), which anyone ' +
      'can check with `verify`, offline.',
    forms: ['key rotate NAME...', 'key rotate --root', 'key erasure NAME', 'key erasure disk:NAME'],
    arguments: [
      { name: 'ACTION', complete: ['rotate', 'erasure'] },
      { name: 'NAME', optional: true, complete: 'machine', many: true },
    ],
    options: [
      { name: 'root', summary: 'of rotate: the root key of the broker; all that it keeps is wrapped anew, at once' },
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        complete: 'file',
        summary: 'of erasure: where to; else NAME.erasure.json, and - is standard output',
      },
    ],
    examples: [
      { line: 'key rotate hello', says: 'in force with its next start' },
      { line: 'key rotate --root', says: 'old copies of the broker’s store open no more with the root key of today' },
      { line: 'key erasure hello -o gone.json', says: 'after rm: for an auditor' },
      { line: 'key erasure disk:web -o gone.json', says: 'after disk rm' },
    ],
    exits: ['notFound', 'unavailable', 'conflict'],
    load: () => import('../commands/key.ts'),
  },
  {
    name: 'rm',
    group: 'Machines',
    summary: 'remove machines, their disks, their TPMs and their keys',
    description:
      'Imported disks that it has (`--attach`, `--disk-image`) stay, with their keys: `disk rm` destroys those.',
    arguments: [MACHINES],
    options: [{ name: 'force', short: 'f', summary: 'stop it first if it runs' }],
    examples: [{ line: 'rm --force hello', says: 'its key is destroyed: no copy of its disk can be read again' }],
    exits: ['notFound', 'unavailable', 'conflict'],
    load: () => import('../commands/rm.ts'),
  },
];
