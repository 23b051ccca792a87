// The order in which vitest starts files: those that take minutes first, so that two lanes end at about the same time. By
// itself it knows how long a file took only where it ran before, which a fresh checkout has not.
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Longest first, as measured on two cores under emulation. */
const MINUTES: readonly string[] = [
  'tests/whole/drills.real.test.ts',
  'host/guestimage/debian.real.test.ts',
  'tests/whole/bad-days.real.test.ts',
  'host/guestimage/guest.real.test.ts',
  'tests/whole/watch.real.test.ts',
  'tests/whole/foreign.real.test.ts',
  'host/attest/guest-host.real.test.ts',
  'tests/whole/full-disk.real.test.ts',
  'tests/whole/killed.real.test.ts',
  'tests/whole/main-path.real.test.ts',
  'tests/whole/host-proof.real.test.ts',
  'tests/whole/disk-import.real.test.ts',
  'tests/whole/network.real.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = MINUTES.indexOf(relative(this.ctx.config.root, moduleId));
      return at < 0 ? MINUTES.length : at;
    };
    // oxlint-disable-next-line unicorn/no-array-sort -- the sequencer's, which answers a new array
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
