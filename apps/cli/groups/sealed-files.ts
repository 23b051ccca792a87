// Files and pipes that are sealed: their commands, as data.
import type { Command } from '../command.ts';

const KEY_FILE = { name: 'key-file', value: 'FILE', complete: 'file' } as const;

export const SEALED_COMMANDS: readonly Command[] = [
  {
    name: 'seal',
    group: 'Sealed files',
    summary: 'encrypt a file or a pipe, so that nothing in it can be read, changed, cut or exchanged',
    description:
      'Without a service, and without holding more than some megabytes. Zeros cost nothing; sizes and what is zero can be seen. ' +
      'The number that it prints tells this object from any other: whoever keeps it notices an older one in its place.',
    arguments: [{ name: 'FILE', optional: true, complete: 'file' }],
    options: [
      {
        name: 'to',
        value: 'RECIPIENT',
        complete: 'none',
        summary: 'who may open it, as keygen prints it; several with commas',
      },
      { ...KEY_FILE, summary: 'or whoever holds this key' },
      { name: 'output', short: 'o', value: 'FILE', complete: 'file', summary: 'else to standard output' },
      { name: 'compress', summary: 'by Zstandard, before it is encrypted: sizes then tell of the contents' },
    ],
    examples: [
      { line: 'seal disk.img -o disk.sealed --to ringwall-recipient:…', says: 'for the holder of that key alone' },
      { line: 'seal --key-file backup.key -o dump.sealed', says: 'what comes from standard input' },
    ],
    exits: ['notFound', 'conflict'],
    load: () => import('../commands/seal.ts'),
  },
  {
    name: 'open',
    group: 'Sealed files',
    summary: 'open a sealed file: what was sealed, and nothing that was not',
    description:
      'A file appears under its name only when the end was reached and all was right. What goes into a pipe is right as far as it ' +
      'goes; whether it went to the end, the exit code says.',
    arguments: [{ name: 'FILE', optional: true, complete: 'file' }],
    options: [
      { ...KEY_FILE, summary: 'the identity or key that it was sealed for' },
      { name: 'output', short: 'o', value: 'FILE', complete: 'file', summary: 'else to standard output' },
      {
        name: 'root',
        value: 'HEX',
        complete: 'none',
        summary: 'the number that seal printed: any other object is refused',
      },
    ],
    examples: [
      { line: 'open disk.sealed -o disk.img --key-file backup.key', says: 'or the byte from which on it was changed' },
    ],
    exits: ['notFound', 'conflict', 'refused'],
    load: () => import('../commands/open.ts'),
  },
  {
    name: 'scrub',
    group: 'Sealed files',
    summary: 'look for damage in a sealed file, without a key',
    arguments: [{ name: 'FILE', complete: 'file' }],
    examples: [{ line: 'scrub disk.sealed', says: 'which chunks storage has lost' }],
    exits: ['notFound', 'refused'],
    load: () => import('../commands/scrub.ts'),
  },
  {
    name: 'keygen',
    group: 'Sealed files',
    summary: 'make a key to seal files for',
    options: [
      { name: 'output', short: 'o', value: 'FILE', complete: 'file', summary: 'a new file, for you alone' },
      { name: 'person', summary: 'a key to sign with, by which you approve exports of machines' },
    ],
    examples: [
      { line: 'keygen -o backup.key', says: 'prints the recipient that goes into seal --to' },
      { line: 'keygen --person -o alice.key', says: 'prints what goes into approvals enrol' },
    ],
    exits: ['conflict'],
    load: () => import('../commands/keygen.ts'),
  },
];
