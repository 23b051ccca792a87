// A real Debian root has nothing of what lib/oci looks for: no false alarm among tens of thousands of files. And what is put
// into it is found, each beside all that is not.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  EMPTY_CONFIG,
  FINDING_JUDGES,
  inspectImage,
  INSPECTORS,
  judgeImage,
  openLayerInspection,
  type Finding,
  type ImageConfig,
} from '@ringwall/oci';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostScanner, openSampling } from './index.ts';

const MMDEBSTRAP = '/usr/bin/mmdebstrap';
const PACKAGES =
  'passwd,login,perl-base,libpam-modules,apt,openssl,ca-certificates,cron,openssh-server,python3-minimal';
const CONFIG: ImageConfig = {
  ...EMPTY_CONFIG,
  architecture: 'amd64',
  os: 'linux',
  user: '10001',
  hasHealthcheck: true,
};
const CHUNK_BYTES = 256 * 1024;

describe.skipIf(!existsSync(MMDEBSTRAP))('a Debian root (skipped: needs mmdebstrap and a mirror of Debian)', () => {
  let folder: string;
  let tar: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringwall-debian-'));
    tar = join(folder, 'root.tar');
    // Unpacked and not configured: all files that Debian ships, in a quarter of the time.
    execFileSync(MMDEBSTRAP, ['--variant=extract', '--quiet', `--include=${PACKAGES}`, 'bookworm', tar]);
  }, 240_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  const judge = (...tars: readonly string[]): readonly Finding[] => {
    const contents = tars.map((path) => {
      const inspection = openLayerInspection(INSPECTORS);
      const bytes = readFileSync(path);
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES) inspection.push(bytes.subarray(at, at + CHUNK_BYTES));
      return inspection.end();
    });
    const layers = tars.map((_, at) => ({
      digest: `sha256:${String(at)}`,
      diffId: `sha256:${String(at)}`,
      createdBy: '',
    }));
    const image = inspectImage(CONFIG, layers, contents);
    expect(image.visible.length).toBeGreaterThan(3000);
    return judgeImage(image, FINDING_JUDGES);
  };

  test('is told nothing of but the SSH server that is in it', () => {
    expect(
      judge(tar)
        .map(({ rule }) => rule)
        .toSorted(),
    ).toEqual(['ssh-passwords', 'ssh-server']);
  });

  test.skipIf(!existsSync('/usr/bin/yara') || !existsSync('/usr/bin/clamscan'))(
    'is nothing that YARA or ClamAV know by our rules (skipped: needs yara and clamav)',
    async () => {
      const scanner = await hostScanner(new Date(), undefined);
      const sampling = openSampling(scanner);
      const inspection = openLayerInspection([sampling.inspector]);
      const bytes = readFileSync(tar);
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
        inspection.push(bytes.subarray(at, at + CHUNK_BYTES));
        // oxlint-disable-next-line no-await-in-loop -- as layers are read
        await sampling.room();
      }
      inspection.end();
      expect(await sampling.end()).toEqual({ facts: [], isLasting: true });
    },
  );

  test('shows what was put into it', () => {
    const script = `
      set -e; cd "$1"; mkdir -p app etc/cron.d etc/ssh usr/local/bin
      openssl genpkey -quiet -algorithm ed25519 > app/tls.pem
      ssh-keygen -q -t ed25519 -N '' -f etc/ssh/ssh_host_ed25519_key
      cp /bin/true usr/local/bin/find; chmod 4755 usr/local/bin/find
      cp /bin/true usr/local/bin/net; setcap cap_setuid+ep usr/local/bin/net
      echo '* * * * * root true' > etc/cron.d/job; chmod 666 etc/cron.d/job
      tar --xattrs --xattrs-include=security.capability --format=posix --owner=0 --group=0 -cf "$2" app etc usr`;
    const more = join(folder, 'more.tar');
    execFileSync('/bin/sh', ['-c', `mkdir "$1"; ${script}`, 'sh', join(folder, 'more'), more]);
    expect(judge(tar, more).map(({ rule, path }) => `${rule} ${path}`)).toEqual(
      expect.arrayContaining([
        'secret-in-file app/tls.pem',
        'ssh-host-key etc/ssh/ssh_host_ed25519_key',
        'set-id-program usr/local/bin/find',
        'capable-program usr/local/bin/net',
        'writable-root-script etc/cron.d/job',
      ]),
    );
  });
});
