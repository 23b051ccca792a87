// A system that is not Ringwall's, from its image to its proof: three boots of one machine. Nothing of Ringwall is in it.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLOUD_IMAGE_LACKS, Instance, makeCloudImage, type CloudImage } from '@ringwall/testkit';
import { parseProof } from '@ringwall/evidence';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leftovers } from './leftovers.ts';

const LACKS = `${CLOUD_IMAGE_LACKS}${process.getuid?.() === 0 ? '' : ' (skipped: needs root)'}`;
const COMMAND_LINE = 'console=ttyS0 no_timer_check panic=1';

/** A report is broken into lines for a terminal. */
const flat = (text: string): string => text.replaceAll(/\s+/g, ' ');

describe.skipIf(LACKS !== '')(`a cloud image${LACKS}`, () => {
  let instance: Instance;
  let image: CloudImage;

  beforeAll(async () => {
    instance = await Instance.start();
    const work = join(instance.directory, 'cloud');
    mkdirSync(work);
    image = makeCloudImage(work, COMMAND_LINE);
  });
  afterAll(() => instance[Symbol.asyncDispose]());

  /** What lies on this host of its disk. */
  const diskOf = async (): Promise<Buffer[]> => {
    const { machine } = await instance.show('web');
    return (machine.spec.disks ?? []).map((id) => {
      const [folder] = readdirSync(join(instance.stateDir, 'disks')).filter((name) => name.includes(id.slice(4)));
      const place = join(instance.stateDir, 'disks', folder ?? '');
      const file = readdirSync(place).map((name) => readFileSync(join(place, name)));
      return Buffer.concat(file.filter(({ length }) => length > 1024 * 1024));
    });
  };
  test('needs a word that its first boot may be learned', async () => {
    const { code, stderr } = await instance.cli('run', '--disk-image', image.path, '--name', 'web');
    expect(code).toBe(2);
    expect(stderr).toContain('--learn');
  });

  test('boots with its TPM, is not attested, and shows what it measured', async () => {
    const report = flat(await instance.ok('run', '--disk-image', image.path, '--name', 'web', '--learn'));
    expect(report).toMatch(/trust is learning.*ringwall reference accept learned:web/);
    expect(report).toMatch(/PCR 0: firmware volume.*PCR 4: boot loader or kernel.*PCR 12: kernel command line/);
    const { machine, protections } = await instance.show('web');
    expect(machine.status.trust).toBe('learning');
    const witness = protections.filter(({ id }) => id.startsWith('witness.'));
    expect(witness.length).toBeGreaterThan(10);
    // Control groups are the host's to have.
    const walls = witness.filter(({ id }) => !id.endsWith('-limit'));
    expect(walls.filter(({ state }) => state !== 'holds')).toEqual([]);
    const [disk] = await diskOf();
    // LUKS, version 1, as QEMU opens it.
    expect(disk?.subarray(0, 6).toString('latin1')).toBe('LUKS\u00ba\u00be');
    expect(disk?.includes(COMMAND_LINE)).toBe(false);
  });

  test('is attested at its next boot, once somebody has accepted it by name, with a proof that verifies offline', async () => {
    expect(await instance.ok('reference', 'diff', 'learned:web')).toContain('nothing is accepted for learned:web yet');
    await instance.ok('reference', 'accept', 'learned:web');
    await instance.ok('stop', 'web', '--grace', '0');
    expect(await instance.ok('start', 'web')).toContain('web: attested.');
    const proof = join(instance.directory, 'web.proof.json');
    await instance.ok('prove', 'web', '-o', proof);
    const verified = flat(await instance.ok('verify', proof));
    expect(verified).toContain('PROVEN: machine web');
    expect(verified).toContain('no part of this');
    expect(parseProof(readFileSync(proof, 'utf8'))).toMatchObject({ activation: 'confirmed' });
  });

  test('is saved and goes on, with its TPM and with what its witness has seen, and is proven again at its next start', async () => {
    await expect.poll(() => instance.ok('logs', 'web'), { timeout: 60_000, interval: 500 }).toContain('cloud: up with');
    const readPcrs =
      'cat /sys/class/tpm/tpm0/pcr-sha256/4 /sys/class/tpm/tpm0/pcr-sha256/12 /sys/class/tpm/tpm0/pcr-sha256/15';
    const readDisk = 'echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda bs=512 skip=40 count=1 2>/dev/null | head -c 7';
    const write = (text: string): string =>
      `kept=${text}; printf ${text} | dd of=/dev/vda bs=512 seek=40 conv=notrunc,fsync 2>/dev/null`;
    const secret = 'canary1';
    let pcrs: string;
    {
      using guest = await instance.openConsole('web');
      guest.type('');
      await guest.waitFor(/# /);
      await guest.run('mkdir -p /sys && mount -t sysfs sys /sys && dmesg -n 1');
      pcrs = await guest.run(readPcrs);
      expect(pcrs).toMatch(/^([0-9A-F]{64}\n){3}$/);
      await guest.run(write(secret));
    }
    expect(await instance.ok('snapshot', 'web')).toMatch(/web@1 is there; .* stood still for \d+ ms/);
    {
      using guest = await instance.openConsole('web');
      await guest.run(write('canary2'));
    }
    expect(await instance.ok('snapshot', 'web')).toContain('web@2 is there');
    expect(await instance.ok('snapshot', 'ls')).toMatch(/@2 .* since @1 /);
    expect(await instance.ok('snapshot', 'verify', 'web@2')).toContain('is whole');
    {
      using guest = await instance.openConsole('web');
      await guest.run(write('canary3'));
    }
    await instance.ok('stop', 'web', '--grace', '0');

    const older = await instance.cli('restore', 'web@1');
    expect(older.code).not.toBe(0);
    expect(older.stderr).toContain('--rewind');
    const { machine } = await instance.show('web');
    const folder = join(instance.stateDir, 'snapshots', machine.id);
    for (const name of readdirSync(folder))
      expect(readFileSync(join(folder, name)).includes('canary'), name).toBe(false);

    await instance.ok('restore', 'web');
    const back = await instance.show('web');
    expect(back.machine.status).toMatchObject({ phase: 'running', trust: 'unknown' });
    expect(back.protections.filter(({ id, state }) => state !== 'holds' && !id.endsWith('-limit'))).toEqual([]);
    {
      using guest = await instance.openConsole('web');
      expect(await guest.run(`echo $kept; ${readDisk}; echo; ${readPcrs}`)).toBe(`canary2\ncanary2\n${pcrs}`);
    }
    // The record goes on from where it was: it can be saved again.
    expect(await instance.ok('snapshot', 'web')).toContain('web@3 is there');
    await instance.ok('stop', 'web', '--grace', '0');

    // The last of its parts is what its witness was.
    const before = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
    for (const [name, sealed] of before) {
      const altered = Buffer.from(sealed);
      const at = altered.length - 10_000;
      altered.writeUInt8(altered.readUInt8(at) ^ 1, at);
      writeFileSync(join(folder, name), altered);
    }
    const changed = await instance.cli('restore', 'web');
    expect(changed.code).toBe(4);
    expect(changed.stderr).toMatch(/the snapshot is not what was sealed: .* at byte \d+/);
    for (const [name, sealed] of before) writeFileSync(join(folder, name), sealed);

    // Killed with a witness that waits, the warden's next life ends it, and the machine is what it was.
    const { processes } = await instance.health();
    const warden = processes.find(({ name }) => name === 'ringwall-warden')?.pid;
    if (warden === undefined) throw new Error('no warden runs');
    const restoring = instance.cli('restore', 'web', '--rewind'); // its key was given out above
    const waiting = join(instance.runDir, 'machines', machine.id, 'witness', 'states.sock');
    await expect.poll(() => existsSync(waiting), { timeout: 60_000, interval: 5 }).toBe(true);
    process.kill(warden, 'SIGKILL');
    expect((await restoring).code).not.toBe(0);
    expect(await instance.ok('start', 'web')).toContain('web: attested.');
  });

  test('whose root has changed its command line is refused by PCR and both digests, before its kernel runs', async () => {
    await expect.poll(() => instance.ok('logs', 'web'), { timeout: 60_000, interval: 500 }).toContain('cloud: up with');
    using guest = await instance.openConsole('web');
    guest.type('');
    await guest.waitFor(/# /);
    const offset = image.commandLineOffset + COMMAND_LINE.length - 1;
    await guest.run(`printf 2 | dd of=/dev/vda bs=1 seek=${String(offset)} conv=notrunc,fsync 2>/dev/null`);
    await instance.ok('stop', 'web', '--grace', '0');
    const { code, stderr } = await instance.cli('start', 'web');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/kernel command line.*PCR 12.*measured [0-9a-f]{12}…, expected [0-9a-f]{12}…/s);
    const { machine } = await instance.show('web');
    expect(machine.status).toMatchObject({ phase: 'refused', trust: 'refused' });
    expect(await instance.ok('logs', 'web')).not.toContain('Linux version');
    expect(await instance.ok('why', 'web')).toContain('have changed since the last good boot');
  });

  test('is removed without its imported disk, which has a record of its own once it goes', async () => {
    expect(await instance.ok('rm', '--force', 'web')).toContain('stays, with its key: web.');
    const recordOf = async (subject: string): Promise<string> => {
      const file = join(instance.directory, 'erasure.json');
      await instance.ok('key', 'erasure', subject, '-o', file);
      const { code, stdout } = await instance.cli('verify', file);
      expect(code).toBe(0);
      return flat(stdout);
    };
    expect(await recordOf('web')).toMatch(/PROVEN.*the keys of machine web .*had disk web .*was not destroyed/);
    await instance.ok('disk', 'rm', 'web');
    expect(await recordOf('disk:web')).toMatch(/PROVEN.*the keys of disk web .*were destroyed.*found 0/);
  });

  test('that GRUB boots is learned, accepted and attested, too', async () => {
    const work = join(instance.directory, 'grub');
    mkdirSync(work);
    const { path } = makeCloudImage(work, COMMAND_LINE, 'grub');
    const report = flat(await instance.ok('run', '--disk-image', path, '--name', 'grub', '--learn'));
    expect(report).toMatch(/PCR 4: boot loader or kernel.*PCR 8: command of the boot loader.*PCR 9: file read by/);
    await instance.ok('reference', 'accept', 'learned:grub');
    await instance.ok('stop', 'grub', '--grace', '0');
    expect(await instance.ok('start', 'grub')).toContain('grub: attested.');
    await instance.ok('rm', '--force', 'grub');
    await instance.ok('disk', 'rm', 'grub');
  });

  test('leaves nothing behind', async () => {
    expect(await leftovers(instance)).toEqual([]);
  });
});
