import { describe, expect, it } from 'vitest';
import { commandLine } from './command-line.ts';

const GOOD = {
  image: 'hello',
  verityRootHash: 'ab'.repeat(32),
  hashOffset: 1024 * 4096,
  brokerKey: 'cd'.repeat(64),
};

describe('commandLine()', () => {
  it('is exactly this, for it is measured', () => {
    expect(commandLine(GOOD)).toBe(
      'console=ttyS0 quiet loglevel=3 panic=-1 no_timer_check ima_template=ima-ng ima_hash=sha256 lockdown=integrity ringwall.image=hello ' +
        `ringwall.verity=${'ab'.repeat(32)} ringwall.hashoffset=4194304 ringwall.broker=${'cd'.repeat(64)}`,
    );
  });

  it.each([
    ['an image with a space', { image: 'a init=/bin/sh' }],
    ['an image in capitals', { image: 'Hello' }],
    ['a root hash that is short', { verityRootHash: 'ab' }],
    ['a root hash in capitals', { verityRootHash: 'AB'.repeat(32) }],
    ['a hash offset inside a block', { hashOffset: 4097 }],
    ['a hash offset of nothing', { hashOffset: 0 }],
    ['a hash offset that is no number', { hashOffset: Number.NaN }],
    ['a broker key with more behind it', { brokerKey: `${'cd'.repeat(64)} init=/bin/sh` }],
  ])('refuses %s', (_name, change) => {
    expect(() => commandLine({ ...GOOD, ...change })).toThrow(/^kernel command line: /);
  });
});
