// The debian image, built twice and booted twice; sources come from the network.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import type { WatchVerdict } from '@ringwall/evidence';
import type { Machine } from '@ringwall/netpolicy';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildImage, checkImage, predictImage, type Image } from './index.ts';
import { BrokerDouble, Session } from './testing/broker.ts';
import { makeDisk, MISSING, TEST_CPUS, TEST_MEMORY_MIB, TestGuest } from './testing/guest.ts';
import { HAS_NETWORKS, openCardNetwork } from './testing/card-network.ts';
import { makeTpm } from './testing/tpm.ts';
import { WatchDouble } from './testing/watcher.ts';

const CACHE = join(tmpdir(), `ringwall-test-packages-${userInfo().uid}`);
const GUEST = resolve(import.meta.dirname, '../../apps/guest');
const LACKING = [...MISSING, ...['/usr/bin/mmdebstrap', '/usr/bin/fakeroot'].filter((path) => !existsSync(path))];
const BUILD_TIMEOUT_MS = 600_000;
const POWER_OFF_MS = 60_000;
/** Of five seconds each, where it has to wait: two seconds are enough on a quiet host. */
const ADDRESS_LOOKS = 6;

const SKIPPED = LACKING.length > 0 ? ` (skipped: needs ${LACKING.join(', ')})` : '';

describe.skipIf(LACKING.length > 0)(`the debian image${SKIPPED}`, () => {
  let dir: string;
  let image: Image;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ringwall-debian-'));
    image = await buildImage('debian', { outDir: join(dir, 'debian'), cacheDir: CACHE, guestDir: GUEST });
  }, BUILD_TIMEOUT_MS);
  afterAll(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  it(
    'is the same, byte for byte, when it is built again',
    async () => {
      const again = await buildImage('debian', { outDir: join(dir, 'again'), cacheDir: CACHE, guestDir: GUEST });
      expect(again.manifest).toEqual(image.manifest);
      await checkImage(again.dir);
    },
    BUILD_TIMEOUT_MS,
  );

  it('comes up without a failed unit, keeps changes on its encrypted disk, and stops by its power button', async () => {
    const place = await mkdtemp(join(dir, 'machine-'));
    const tpm = await makeTpm(join(place, 'tpm'));
    const broker = await BrokerDouble.create(tpm);
    const disk = join(place, 'disk.img');
    await makeDisk(disk);
    const { commandLine } = await predictImage(image, {
      brokerKey: broker.publicKey,
      memoryMiB: TEST_MEMORY_MIB,
      cpus: TEST_CPUS,
    });
    const files = {
      kernel: join(image.dir, 'kernel'),
      initrd: join(image.dir, 'initrd'),
      system: join(image.dir, 'system.img'),
      commandLine,
    };
    const boot = async (
      mode: 'open' | 'format',
      use: (guest: TestGuest, look: () => Promise<WatchVerdict>) => Promise<void>,
      namespace?: string,
    ): Promise<void> => {
      await using guest = await TestGuest.start(join(place, 'guest'), files, disk, tpm, namespace);
      const session = new Session(guest.port);
      const served = await broker.serve(session, mode).catch((cause: unknown) => {
        throw new Error(`the guest did not prove itself; its console: ${guest.console.slice(-2000)}`, { cause });
      });
      await guest.waitFor(/ringwall: ready[\s\S]*root@testguest:~# /);
      const watch = await WatchDouble.begin(image.dir, served.evidence, served.boot);
      await use(guest, () => watch.look(session));
      guest.pressPowerButton();
      expect(await guest.hasEnded(POWER_OFF_MS)).toBe(true);
    };
    await boot('format', async (guest, look) => {
      expect(await guest.shell('systemctl is-system-running --wait')).toMatch(/running/);
      expect(await look()).toMatchObject({ outcome: 'expected', reasons: [] });
      expect(await guest.shell('findmnt -no FSTYPE,OPTIONS / | cat')).toMatch(/overlay.*lowerdir=\/system,/);
      expect(await guest.shell('stat -c %a,%u / ; echo kept > /etc/kept')).toMatch(/755,0/);
    });
    await using network = HAS_NETWORKS ? await openCardNetwork() : undefined;
    const useAgain = async (guest: TestGuest, look: () => Promise<WatchVerdict>): Promise<void> => {
      expect(await guest.shell('cat /etc/kept')).toMatch(/kept/);
      if (network !== undefined) await learnAddresses(guest, network.machine);
      // What is under the overlay is exchanged behind the back of the file that was measured already.
      await guest.shell('cp /usr/bin/true /usr/bin/mine; mine');
      expect(await look()).toMatchObject({ outcome: 'expected' });
      await guest.shell('{ cat /usr/bin/ls; echo x; } >/data/.system/upper/usr/bin/mine; mine /');
      const { reasons } = await look();
      expect(reasons).toEqual([
        expect.stringMatching(/^\/usr\/bin\/mine ran, which is not a file of the image debian/),
      ]);
    };
    await boot('open', useAgain, network?.pin);
  });
});

/** By DHCP and DHCPv6, each alone in its prefix; the ways to the gateway by DHCP and router advertisements; and who knows names. */
async function learnAddresses(guest: TestGuest, machine: Machine): Promise<void> {
  guest.plugCard(machine);
  const [ipv4, ipv6] = machine.addresses.map(({ text }) => text);
  const has = (address: string | undefined): string => `ip address show dev eth0 2>/dev/null | grep -q ' ${address} '`;
  const both = `${has(`${ipv4}/32`)} && ${has(`${ipv6}/128`)}`;
  const looked = `n=0; until { ${both}; } || [ $((n=n+1)) -gt 10 ]; do sleep .5; done`;
  // A command in a guest has 30 s.
  for (let look = 0; look < ADDRESS_LOOKS; look += 1) await guest.shell(looked);
  const learned = await guest.shell(
    'ip -o address show dev eth0 | cat; ip route | cat; ip -6 route | cat; cat /etc/resolv.conf',
  );
  for (const line of [
    new RegExp(` inet ${ipv4}/32 `),
    new RegExp(` inet6 ${ipv6}/128 `),
    /^default via 169\.254\.1\.1 dev eth0 /m,
    /^default via fe80::1 dev eth0 /m,
    /^nameserver 169\.254\.1\.1/m,
  ]) {
    expect(learned).toMatch(line);
  }
}
