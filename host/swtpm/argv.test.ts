import { expect, test } from 'vitest';
import { swtpmArgv } from './argv.ts';

test.each(['control', 'commands'] as const)(
  'swtpmArgv() for %s holds descriptors, and neither key nor path of the host',
  (kind) => {
    expect(swtpmArgv({ keyFd: 6, channel: { kind, fd: 5 } }).join('\n')).toMatchSnapshot();
  },
);

test.each([false, true])(
  'swtpmArgv() for a witness has two channels and the key for what leaves; waiting: %s',
  (waiting) => {
    const channel = { kind: 'witness', fd: 5, controlFd: 7, keyFd: 8, waiting } as const;
    expect(swtpmArgv({ keyFd: 6, channel }).join('\n')).toMatchSnapshot();
  },
);
