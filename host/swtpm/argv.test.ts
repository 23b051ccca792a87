import { expect, test } from 'vitest';
import { swtpmArgv } from './argv.ts';

test.each(['control', 'commands'] as const)(
  'swtpmArgv() for %s holds descriptors, and neither key nor path of the host',
  (kind) => {
    expect(swtpmArgv({ keyFd: 6, channel: { kind, fd: 5 } }).join('\n')).toMatchSnapshot();
  },
);
