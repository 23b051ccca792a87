// How the guest gives a disk another key, with the real cryptsetup on plain files: what opens the disk at each moment at which
// the power can go, and what the old key is good for afterwards.
import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { BUSYBOX, runGuestShell } from './testing/guest-shell.ts';

const CRYPTSETUP = '/sbin/cryptsetup';
const MISSING = [...(BUSYBOX === undefined ? ['busybox'] : []), ...(existsSync(CRYPTSETUP) ? [] : [CRYPTSETUP])];

const OLD = 'ab'.repeat(32);
const NEXT = 'cd'.repeat(32);
const HEADER_BYTES = 1024 * 1024;
/** One unit of write_part. */
const UNIT_BYTES = 16 * 1024;

const ON_A_FILE = `
  wait_for_drivers() { :; }
  wait_for() { found=$dir/disk; }
  open_disk() { :; }
  mount_data() { :; }
  dd if=/dev/zero of=$dir/disk bs=1M count=16 2>/dev/null
  report() {
    for key in ${OLD} ${NEXT}; do
      printf '%s' $key | xxd -r -p |
        ${CRYPTSETUP} open --test-passphrase --key-file=- "$dir/disk" 2>/dev/null && printf 'opens ' || printf 'not '
    done
  }
`;

/** Runs it on a disk that begins with these bytes; answers what it printed, and how the disk begins then. */
async function onDisk(header: Uint8Array, body: string): Promise<{ said: string; header: Buffer }> {
  const script = `${ON_A_FILE} cat <&4 | dd of=$dir/disk conv=notrunc 2>/dev/null; ${body}; echo; dd if=$dir/disk bs=${HEADER_BYTES} count=1 2>/dev/null | xxd -p`;
  const { code, stdout, stderr, reasons } = await runGuestShell(script, header);
  if (code !== 0) throw new Error([stderr, ...reasons].join('; '));
  const end = stdout.indexOf('\n');
  return { said: stdout.slice(0, end), header: Buffer.from(stdout.slice(end).replaceAll('\n', ''), 'hex') };
}

const ROTATE = `inspect_disk; unlock_disk rotate ${OLD} ${NEXT}; printf '%s ' "$unlock_result"; report; inspect_disk; cat "$DISK_STATE"`;

/** A rotation that came as far as both keyslots. */
const BROKEN_OFF = `inspect_disk; (keep_only_slot_of() { exit; }; rotate_key "$dir/disk" 'encrypted 0' ${OLD} ${NEXT}); report`;

describe.skipIf(MISSING.length > 0)(`rotate_key (skipped: needs ${MISSING.join(', ')})`, () => {
  let good: Buffer;
  beforeAll(async () => {
    good = (await onDisk(new Uint8Array(), `format_disk "$dir/disk" ${OLD} encrypted`)).header;
  });

  it('leaves a disk that the next key opens and the old one does not, and back again', async () => {
    const { said, header } = await onDisk(good, ROTATE);
    expect(said).toBe('rotated not opens encrypted 1');
    const back = `inspect_disk; unlock_disk rotate ${NEXT} ${OLD}; report; inspect_disk; cat "$DISK_STATE"`;
    expect((await onDisk(header, back)).said).toBe('opens not encrypted 0');
  });

  it('leaves nothing of the old keyslot, so that no header that names it makes the old key work again', async () => {
    const { header } = await onDisk(good, ROTATE);
    // The thief has kept the metadata of before, and writes it over the disk that he has now.
    const forged = Buffer.from(header);
    good.copy(forged, 0, 0, 2 * UNIT_BYTES);
    expect((await onDisk(forged, 'report')).said).toBe('not not ');
  });

  it('is opened by one of the two keys wherever the power goes, and the next start ends what was begun', async () => {
    // What write_part would write, in its order; each write may be whole, half or not there.
    const trace = `
      write_part() { dd if="$HEADER" of="$1" bs=${UNIT_BYTES} skip="$2" seek="$2" count="$3" conv=notrunc 2>/dev/null; step=$((step + 1)); [ "$step" -lt "$last" ] || exit 0; }
      step=0 last=LAST; inspect_disk; (rotate_key "$dir/disk" "$(cat "$DISK_STATE")" ${OLD} ${NEXT}); report; last=100; ${ROTATE}`;
    const seen = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async (last) => (await onDisk(good, trace.replace('LAST', String(last)))).said),
    );
    expect(seen).toEqual([
      'opens not rotated not opens encrypted 1',
      'opens opens rotated not opens encrypted 1',
      'opens opens rotated not opens encrypted 1',
      'not opens rotated not opens encrypted 1',
      'not opens rotated not opens encrypted 1',
      'not opens rotated not opens encrypted 1',
    ]);
  });

  it('takes a copy of the metadata that was half written for none', async () => {
    const torn = `
      write_part() {
        count=$(($3 * 4))
        [ "$2" != 1 ] || count=1
        dd if="$HEADER" of="$1" bs=${UNIT_BYTES / 4} skip="$(($2 * 4))" seek="$(($2 * 4))" count=$count conv=notrunc 2>/dev/null
        [ "$2" != 1 ] || exit 0
      }
      inspect_disk; (rotate_key "$dir/disk" 'encrypted 0' ${OLD} ${NEXT}); report; inspect_disk; cat "$DISK_STATE"`;
    expect((await onDisk(good, torn)).said).toBe('opens not encrypted 0');
  });

  it('ends a rotation that broke off also where it is not asked for', async () => {
    const both = await onDisk(good, BROKEN_OFF);
    expect(both.said).toBe('opens opens ');
    const open = `inspect_disk; cat "$DISK_STATE"; unlock_disk open ${NEXT}; printf ' '; report; inspect_disk; cat "$DISK_STATE"`;
    expect((await onDisk(both.header, open)).said).toBe('encrypted 0 1 not opens encrypted 1');
  });

  it('says so where neither key opens the disk', async () => {
    await expect(onDisk(good, `inspect_disk; unlock_disk rotate ${NEXT} ${NEXT}`)).rejects.toThrow(
      'neither the key nor the next one opens the disk',
    );
  });

  it('takes no keyslot away for a key that opens neither', async () => {
    const both = await onDisk(good, BROKEN_OFF);
    const stranger = 'ef'.repeat(32);
    const tried = await onDisk(both.header, `inspect_disk; (unlock_disk rotate ${OLD} ${stranger}) || report`);
    expect(tried.said).toBe('opens opens ');
    expect(tried.header.equals(both.header)).toBe(true);
  });
});
