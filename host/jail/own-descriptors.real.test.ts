// What a jailed program, broken into, makes of a directory with its own descriptors: opens them anew, with more rights than they have.
import { existsSync, writeSync } from 'node:fs';
import { open, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../exec/index.ts';
import { MemoryTemplate } from '../memory/index.ts';
import { endAtStart, lacksForJails, openBench, type Bench } from './testing/bench.ts';
import { endJail, readClosure, readEnd, readProtections, startJail, type StartedJail } from './index.ts';

const PERL = '/usr/bin/perl';
const MIB = 2 ** 20;
const lacks = lacksForJails() ?? (existsSync(PERL) ? undefined : `skipped: needs ${PERL}`);
/** As its program sees them: a template's memory, and a file of root's that others may read. */
const [TEMPLATE, IMAGE] = ['/fd/5', '/fd/6'] as const;

describe.skipIf(lacks !== undefined)(
  `a directory of own descriptors${lacks === undefined ? '' : ` (${lacks})`}`,
  () => {
    let bench: Bench;
    let template: MemoryTemplate;
    let image: string;
    let count = 0;

    beforeAll(async () => {
      bench = await openBench('descriptors');
      template = await MemoryTemplate.make({ bytes: MIB, fill: async (file) => void writeSync(file, 'as it was', 0) });
      image = join(bench.dir, 'system.img');
      await writeFile(image, 'as it was', { mode: 0o644 });
    });
    afterAll(async () => {
      await template[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    });

    /** What a Perl program says in a jail that has both. */
    async function said(script: string, look?: (jail: StartedJail) => Promise<void>): Promise<string> {
      const files: FileHandle[] = [await template.open(), await open(image, 'r')];
      count += 1;
      // It lives a little, so that it is seen to have started; on a busy host it may end before.
      const whole = `select(undef, undef, undef, 0.1); sub say_of { print STDERR $_[0] ? 'done' : "refused: $!" } ${script}`;
      try {
        const jail = await startJail({
          purpose: `descriptors ${String(count)}`,
          name: `${bench.name}-${String(count)}`,
          leases: bench.leases,
          runDir: join(bench.dir, `run-${String(count)}`),
          runDirBytes: MIB,
          cgroup: { memoryBytes: 32 * MIB, tasks: 8, cpus: 1 },
          limits: { openFiles: 32, fileBytes: MIB, tasks: 8 },
          profile: 'vmm-tcg',
          readOnly: await readClosure(run, [PERL]),
          ownDescriptors: '/fd',
          descriptors: files.map(({ fd }) => ({ kind: 'file', fd })),
          command: () => [PERL, '-e', whole],
          failure: 'internal',
        }).catch((error: unknown) => {
          if (look !== undefined) throw error;
          return endAtStart(error);
        });
        if (typeof jail === 'string') return jail.replace('status 0: ', '');
        try {
          await look?.(jail);
          await jail.exited;
          return (await readEnd(jail)).replace('status 0: ', '');
        } finally {
          await endJail(jail, bench.leases);
        }
      } finally {
        for (const file of files) await file.close();
      }
    }

    test.each([
      ['writes to a template', `open(my $f, '+<', '${TEMPLATE}') or die; say_of(syswrite($f, 'changed'));`],
      ['cuts a template', `open(my $f, '+<', '${TEMPLATE}') or die; say_of(truncate($f, 0));`],
      ['makes a template another’s', `say_of(chmod(0777, '${TEMPLATE}'));`],
    ])('is of no help to one who %s', async (_, script) => {
      expect(await said(script)).toMatch(/^refused: (?:Operation not permitted|Read-only file system)$/);
      await using file = await template.open();
      expect((await file.read(Buffer.alloc(9), 0, 9, 0)).buffer.toString()).toBe('as it was');
      expect((await file.stat()).mode & 0o777).toBe(0o666);
    });

    test('opens a file of root’s for what others may do, and no more', async () => {
      expect(await said(`say_of(open(my $f, '<', '${IMAGE}'));`)).toBe('done');
      for (const mode of ['+<', '>', '>>']) {
        expect(await said(`say_of(open(my $f, '${mode}', '${IMAGE}'));`)).toBe('refused: Permission denied');
      }
      // Nor the log of its own words, which is root's alone.
      expect(await said(`say_of(open(my $f, '>', '/fd/2'));`)).toBe('refused: Permission denied');
      expect((await stat(image)).size).toBe(9);
    });

    test('has those that it was given, and leads to nothing else of the host', async () => {
      const list = `opendir(my $d, '/fd'); print STDERR join(' ', map { readlink("/fd/$_") // '' } sort grep { /\\d/ } readdir($d));`;
      const seen = (await said(list)).split(' ').filter((target) => target.startsWith('/'));
      // It learns what they are called on the host, which it has no other way to.
      const log = join(bench.dir, `run-${String(count)}`, 'log');
      expect(new Set(seen)).toEqual(new Set(['/dev/null', '/fd', '/memfd:ringwall-template', image, log]));
      for (const path of ['/fd/../environ', '/fd/../root', '/fd/../../1/root', '/fd/0/..', '/fd/5/..'])
        expect(await said(`say_of(open(my $f, '<', '${path}'));`)).toMatch(
          /^refused: (?:No such file|Not a directory)/,
        );
    });

    test('counts as a mount of its own where it is said to be, of that very process', async () => {
      const stateOf = async ({ process, runDir }: StartedJail, ownDescriptors: string): Promise<string | undefined> => {
        const target = { part: 'vmm', process, files: [image], ownDirs: [runDir], ownDescriptors } as const;
        return (await readProtections(target)).find(({ id }) => id === 'vmm.mounts')?.state;
      };
      await said('select(undef, undef, undef, 3);', async (jail) => {
        expect(await stateOf(jail, '/fd')).toBe('holds');
        expect(await stateOf(jail, '/elsewhere')).toBe('missing');
      });
    });
  },
);
