// An image is built, predicted and booted: on real firmware with a real TPM, with a broker that the test plays.
import { copyFile, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { parseEventLog } from '@ringwall/tpm';
import { toHex } from '@ringwall/bytes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildImage, checkImage, predictImage, type Image } from './index.ts';
import { BrokerDouble, Session } from './testing/broker.ts';
import { makeDisk, MISSING, TEST_CPUS, TEST_MEMORY_MIB, TestGuest, type GuestFiles } from './testing/guest.ts';
import { makeTpm, type TestTpm } from './testing/tpm.ts';
import { WatchDouble } from './testing/watcher.ts';

const CACHE = join(tmpdir(), `ringwall-test-packages-${userInfo().uid}`);
const GUEST = resolve(import.meta.dirname, '../../apps/guest');
const POWER_OFF_MS = 30_000;
const SILENCE_MS = 5_000;

describe.skipIf(MISSING.length > 0)(`the hello image (skipped: needs ${MISSING.join(', ')})`, () => {
  let dir: string;
  let image: Image;
  let tpm: TestTpm;
  let broker: BrokerDouble;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ringwall-image-'));
    image = await buildImage('hello', { outDir: join(dir, 'hello'), cacheDir: CACHE, guestDir: GUEST });
    tpm = await makeTpm(join(dir, 'tpm'));
    broker = await BrokerDouble.create(tpm);
  });
  afterAll(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  const files = async (): Promise<GuestFiles> => ({
    kernel: join(image.dir, 'kernel'),
    initrd: join(image.dir, 'initrd'),
    system: join(image.dir, 'system.img'),
    commandLine: (await predict()).commandLine,
  });
  const predict = (): ReturnType<typeof predictImage> =>
    predictImage(image, { brokerKey: broker.publicKey, memoryMiB: TEST_MEMORY_MIB, cpus: TEST_CPUS });
  const disk = (): string => join(dir, 'disk.img');
  const boot = async (changed: Partial<GuestFiles> = {}): Promise<TestGuest> =>
    TestGuest.start(join(dir, 'guest'), { ...(await files()), ...changed }, disk(), tpm);

  it('is the same, byte for byte, when it is built again', async () => {
    const again = await buildImage('hello', { outDir: join(dir, 'again'), cacheDir: CACHE, guestDir: GUEST });
    expect(again.manifest).toEqual(image.manifest);
    await checkImage(again.dir);
  });

  it('measures what was predicted, event by event, formats its disk at the first boot and keeps its files', async () => {
    await makeDisk(disk());
    {
      await using guest = await boot();
      const session = new Session(guest.port);
      const { evidence, qualifying, boot: bootId } = await broker.receiveEvidence(session);
      const measured = parseEventLog(evidence.eventLog)
        .events.filter(({ typeName }) => typeName !== 'EV_NO_ACTION')
        .map(({ pcr, typeName, digests }) => ({
          pcr,
          type: typeName,
          digest: [...digests.values()].map((digest) => toHex(digest)).join(),
        }));
      const { reference } = await predict();
      expect(measured).toEqual(reference.events.map(({ pcr, type, digest }) => ({ pcr, type, digest })));

      const release = await broker.release(evidence, qualifying, 'format');
      session.send(release.line, 'name testguest', 'proven It is so.', 'end');
      expect(await session.unlocked(release.activation)).toBe('formatted');
      session.send('done');
      await guest.waitFor(/ringwall: ready/);
      expect(guest.console).toMatch(/ringwall: attested[\s\S]*ringwall: unlocked[\s\S]*ringwall: ready/);
      expect(guest.console).toContain('Hello from testguest');
      expect(guest.console).toContain('- It is so.');
      expect(await guest.shell('echo kept > /data/file; mount | grep " /data\\| / "')).toMatch(
        /\/dev\/mapper\/system on \/ type squashfs \(ro,[\s\S]*\/dev\/mapper\/data on \/data type ext4/,
      );
      // Nothing of the key is left where the system could find it.
      expect(await guest.shell('ls /run/ringwall; dmesg | grep -c ringwall.broker')).not.toContain('initrd');
      await watchGuest(guest, session, await WatchDouble.begin(image.dir, evidence, bootId));
      guest.pressPowerButton();
      expect(await guest.hasEnded(POWER_OFF_MS)).toBe(true);
    }
    {
      // This broker dies when it has the evidence, and is restarted.
      await using guest = await boot();
      await broker.receiveEvidence(new Session(guest.port));
      expect(await broker.serve(new Session(await guest.reconnectPort()), 'open')).toMatchObject({ how: 'opened' });
      await guest.waitFor(/ringwall: ready/);
      expect(await guest.shell('cat /data/file')).toContain('kept');
      expect(await guest.shell('echo no > /bin/sh')).toMatch(/Read-only file system/);
    }
  });

  it('takes no key from a broker that the command line does not name, and has no shell', async () => {
    const stranger = await BrokerDouble.create(tpm);
    await using guest = await boot();
    const session = new Session(guest.port);
    const { evidence, qualifying } = await broker.receiveEvidence(session);
    session.send((await stranger.release(evidence, qualifying, 'open')).line, 'end');
    const reason = 'the release is not signed with the broker key that the command line names';
    expect(await session.line()).toBe(`failed ${reason}`);
    await guest.waitFor(/There is no shell here/);
    expect(guest.console).toContain(`ringwall: refused: ${reason}`);
    expect(guest.console).not.toContain('ringwall: unlocked');
    guest.pressPowerButton();
    expect(await guest.hasEnded(POWER_OFF_MS)).toBe(true);
  });

  it('does not start from a system image with one byte changed', async () => {
    const system = join(dir, 'changed.img');
    await copyFile(join(image.dir, 'system.img'), system);
    {
      await using handle = await open(system, 'r+');
      await handle.write(Uint8Array.of(0x55), 0, 1, 64);
    }
    await using guest = await boot({ system });
    const served = broker.serve(new Session(guest.port), 'format').catch((error: unknown) => String(error));
    await guest.waitFor(/ringwall: refused: the system image is not the one that the command line names/);
    expect(guest.console).not.toContain('ringwall: ready');
    await served;
  });
});

/** After a boot: what has run is of the image, what is not of it is named, and a watcher that was ended is silent. */
async function watchGuest(guest: TestGuest, session: Session, watch: WatchDouble): Promise<void> {
  expect(await watch.look(session)).toMatchObject({ outcome: 'expected', reasons: [] });
  expect(watch.noted).toBe(true);
  expect(watch.record.proven.ima.entries).toBeGreaterThan(20);
  const before = watch.record.proven.ima.bytes;
  expect(await watch.look(session)).toMatchObject({ outcome: 'expected' });
  expect(watch.record.proven.ima.bytes).toBe(before);

  await guest.shell('(cat /bin/busybox; echo x) >/tmp/busybox; chmod +x /tmp/busybox; /tmp/busybox true');
  await guest.shell("printf '#!/bin/sh\\n' >/data/script; chmod +x /data/script; /data/script");
  const seen = await watch.look(session);
  expect(seen.outcome).toBe('unexpected');
  expect(seen.reasons).toEqual([
    expect.stringMatching(/^\/tmp\/busybox ran, which is not a file of the image hello \(SHA-256 [0-9a-f]{12}…\)$/),
    expect.stringMatching(/^\/data\/script ran, which is not a file of the image hello/),
  ]);
  // The kernel takes no other policy, and nothing unsigned.
  expect(await guest.shell('ls /sys/kernel/security/ima; cat /sys/kernel/security/lockdown')).toMatch(
    /^(?![\s\S]*policy)[\s\S]*\[integrity\]/,
  );

  await guest.shell('for p in /proc/[0-9]*; do grep -q watcher.sh "$p/cmdline" && kill -9 "${p#/proc/}"; done');
  await expect(watch.look(session, SILENCE_MS)).rejects.toThrow('no line from the guest');
}
