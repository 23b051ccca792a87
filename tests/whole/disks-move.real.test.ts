// A machine with imported disks on its way to another host: they go along in its snapshot as ciphertext, their keys from broker to broker, and
// there they are disks of that host alone.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskListSchema, type ShownDisk } from '@ringwall/api/disks';
import { parseExport } from '@ringwall/evidence';
import { Instance } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const MIB = 2 ** 20;
const NAME = 'web';
const DISK = 'data';
const CANARY = `canary-${randomBytes(16).toString('hex')}`;
const TICKET_AT = 12;
const needed = ['/usr/bin/qemu-nbd', '/usr/bin/bwrap'].filter((path) => !existsSync(path));
const lacks = needed.length === 0 ? '' : ` (skipped: needs ${needed.join(' and ')})`;

describe.skipIf(lacks !== '')(`a machine with imported disks${lacks}`, () => {
  let [alpha, beta]: (Instance | undefined)[] = [];
  let directory: string;
  const at = (name: string): string => join(directory, name);
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ringwall-test-'));
    const contents = Buffer.alloc(8 * MIB);
    contents.write(CANARY, 0);
    writeFileSync(at('data.raw'), contents);
    writeFileSync(at('other.raw'), Buffer.alloc(MIB, 'of another'));
    alpha = await Instance.start();
    await alpha.ok('disk', 'import', at('data.raw'), '--name', DISK);
    await alpha.ok('run', 'hello', '--name', NAME, '--attach', DISK);
    beta = await Instance.start({ images: join(alpha.stateDir, 'images') });
    // The name that it has there is taken here.
    await beta.ok('disk', 'import', at('other.raw'), '--name', DISK);
  });
  afterAll(async () => {
    await alpha?.[Symbol.asyncDispose]();
    await beta?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  const disks = async (of: Instance): Promise<string[]> => {
    const all: readonly ShownDisk[] = diskListSchema.parse(JSON.parse(await of.ok('disks', '--json'))).disks;
    return all.map(({ name, machine }) => `${name} ${machine ?? '-'}`).toSorted();
  };
  const write = (text: string): string =>
    `printf ${text} | dd of=/dev/vdc bs=512 seek=8 conv=notrunc,fsync 2>/dev/null; word=${text}; sync`;
  const read = `echo 3 > /proc/sys/vm/drop_caches; head -c ${CANARY.length} /dev/vdc; echo; dd if=/dev/vdc bs=512 skip=8 count=1 2>/dev/null | head -c 3; echo`;

  test('moves with them, goes on there, and boots there with them', async () => {
    const [from, to] = [defined(alpha), defined(beta)];
    {
      using console = await from.openConsole(NAME);
      await console.run(write('one'));
      await from.ok('snapshot', NAME);
      await console.run(write('two'));
      await from.ok('snapshot', NAME);
      await console.run(write('non'));
    }
    await from.ok('stop', NAME);
    await to.ok('snapshot', 'recipient', '-o', at('beta.json'));
    await from.ok('snapshot', 'export', `${NAME}@2`, '--to', at('beta.json'), '-o', at('web.ringwall'), '--move');
    const bytes = readFileSync(at('web.ringwall'));
    const ticket = parseExport(bytes.subarray(TICKET_AT, TICKET_AT + bytes.readUInt32BE(TICKET_AT - 4)).toString());
    expect([ticket.bases.length, ticket.disks.map(({ name }) => name)]).toEqual([1, [DISK]]);
    expect(bytes.includes(CANARY)).toBe(false);
    // It starts there no more, and no key of its disk is given out for it.
    expect((await from.cli('start', NAME)).stderr).toContain('was moved');

    const [, fingerprint = ''] =
      /--accept ([0-9a-f]{64})/.exec((await to.cli('snapshot', 'import', at('web.ringwall'))).stderr) ?? [];
    await to.ok('snapshot', 'import', at('web.ringwall'), '--accept', fingerprint);
    expect(await disks(to)).toEqual([`${DISK} -`, `${DISK}-2 ${NAME}`]);
    await to.ok('restore', NAME);
    {
      using console = await to.openConsole(NAME);
      expect(await console.run(`echo $word; ${read}`)).toBe(`two\n${CANARY}\ntwo\n`);
      await console.run(write('six'));
    }
    await to.ok('stop', NAME);
    await to.ok('start', NAME);
    expect((await to.show(NAME)).machine.status.trust).toBe('attested');
    {
      using console = await to.openConsole(NAME);
      expect(await console.run(read)).toBe(`${CANARY}\nsix\n`);
    }
    expect(await to.ok('snapshot', NAME)).toContain(`${NAME}@3 is there`);
  });

  test('is not taken where a disk of it is there without it, and leaves nothing where it is refused', async () => {
    const [from, to] = [defined(alpha), defined(beta)];
    await to.ok('stop', NAME, '--grace', '0');
    await to.ok('rm', NAME);
    expect(await disks(to)).toEqual([`${DISK} -`, `${DISK}-2 -`]);
    const again = ['snapshot', 'import', at('web.ringwall'), '--rewind'];
    expect((await to.cli(...again)).stderr).toContain(`the disk ${DISK}-2 of it is here already`);
    await to.ok('disk', 'rm', `${DISK}-2`);
    const refused = await to.cli('snapshot', 'import', at('web.ringwall'));
    expect(refused.stderr).toContain('--rewind');
    expect(await disks(to)).toEqual([`${DISK} -`]);
    await to.ok(...again);
    expect(await disks(to)).toEqual([`${DISK} -`, `${DISK}-2 ${NAME}`]);
    expect(readdirSync(join(to.stateDir, 'snapshots', 'incoming'))).toEqual([]);
    // Whole at once, though its machine was never put back: it outlives it.
    await to.ok('rm', NAME);
    await to.ok('run', 'hello', '--name', 'reader', '--attach', `${DISK}-2`);
    using console = await to.openConsole('reader');
    expect(await console.run(read)).toBe(`${CANARY}\ntwo\n`);
    expect((await from.cli('start', NAME)).stderr).toContain('was moved');
  });
});

function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the instances are not there');
  return value;
}
