import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '@ringwall/bytes';
import { array, assert, asyncProperty, nat, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authenticodeDigest } from './authenticode.ts';
import { EvidenceError } from './errors.ts';
import { patchKernelAsQemu } from './qemu-kernel.ts';
import { makeKernel, makePe } from '../testing/pe-image.ts';

const boot = JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/ovmf-direct-boot/boot.json'), 'utf8'));
/** Where the Debian kernel of the fixture can be had, name it here: the digests are checked against the real file. */
const KERNEL = process.env['RINGWALL_FIXTURE_KERNEL'] ?? '/boot/vmlinuz-6.1.0-56-cloud-amd64';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const digestOf = async (image: Uint8Array): Promise<string> => toHex(await authenticodeDigest(image));

/** The digest, or `refused`; any other error than this package's own goes through and fails the test. */
async function outcome(image: Uint8Array): Promise<string> {
  try {
    return await digestOf(image);
  } catch (error) {
    if (error instanceof EvidenceError) return 'refused';
    throw error;
  }
}

describe('authenticodeDigest()', () => {
  it('hashes headers without checksum and certificate entry, sections in file order, and what follows', async () => {
    const pe = makePe();
    const covered = Buffer.concat([
      pe.image.subarray(0, pe.checksum),
      pe.image.subarray(pe.checksum + 4, pe.certificateEntry),
      pe.image.subarray(pe.certificateEntry + 8, pe.headers),
      ...pe.sectionsInFileOrder,
      pe.trailing,
    ]);
    expect(await digestOf(pe.image)).toBe(sha256(covered));
  });

  it('says nothing of the checksum', async () => {
    const pe = makePe();
    const changed = new Uint8Array(pe.image);
    changed.fill(0xaa, pe.checksum, pe.checksum + 4);
    expect(await digestOf(changed)).toBe(await digestOf(pe.image));
  });

  it('stays the same when a signature is appended', async () => {
    const plain = makePe({ trailingBytes: 0, certificateBytes: 0 });
    const signed = makePe({ trailingBytes: 0, certificateBytes: 64 });
    expect(signed.image.length).toBe(plain.image.length + 64);
    expect(await digestOf(signed.image)).toBe(await digestOf(plain.image));
  });

  it('changes with every other byte', async () => {
    const pe = makePe();
    const good = await digestOf(pe.image);
    const end = pe.image.length - pe.certificateBytes;
    for (let at = 0; at < end; at += 1) {
      const skipped =
        (at >= pe.checksum && at < pe.checksum + 4) || (at >= pe.certificateEntry && at < pe.certificateEntry + 8);
      if (skipped) continue;
      const changed = new Uint8Array(pe.image);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      // A changed header may no longer be an image; what counts is that it never has the digest of the good one.
      const digest = await digestOf(changed).catch(() => 'refused');
      expect(digest, `byte ${at}`).not.toBe(good);
    }
  });

  it('refuses every truncation, or gives another digest', async () => {
    const pe = makePe();
    const good = await digestOf(pe.image);
    for (let length = 0; length < pe.image.length; length += 1) {
      expect(await outcome(pe.image.subarray(0, length))).not.toBe(good);
    }
  });

  it('throws only EvidenceError on any bytes', async () => {
    const { image } = makePe();
    await assert(
      asyncProperty(array(tuple(nat(image.length - 1), nat(255)), { minLength: 1, maxLength: 8 }), async (edits) => {
        const changed = new Uint8Array(image);
        for (const [at, value] of edits) changed[at] = value;
        expect(await outcome(changed)).toMatch(/^(refused|[0-9a-f]{64})$/);
      }),
      { numRuns: 500 },
    );
  });

  it.skipIf(!existsSync(KERNEL))(
    'agrees with the firmware about the real kernel (skipped: needs the kernel)',
    async () => {
      const kernel = readFileSync(KERNEL);
      expect(sha256(kernel)).toBe(boot.kernelFileDigest);
      expect(await digestOf(kernel)).toBe(boot.kernelFileAuthenticode);
      expect(await digestOf(patchKernelAsQemu(kernel, boot))).toBe(boot.kernelDigest);
    },
  );
});

describe('patchKernelAsQemu()', () => {
  const GIB = 1024 * 1024 * 1024;
  const kernel = makeKernel();
  const initrdAddress = (memoryBytes: number, initrdBytes = 1000): number =>
    new DataView(patchKernelAsQemu(kernel, { initrdBytes, memoryBytes }).buffer).getUint32(0x218, true);

  it('leaves the kernel that it was given alone', () => {
    const before = sha256(kernel);
    patchKernelAsQemu(kernel, { initrdBytes: 1, memoryBytes: GIB });
    expect(sha256(kernel)).toBe(before);
  });

  it('changes only the fields that a boot loader fills', () => {
    const patched = patchKernelAsQemu(kernel, { initrdBytes: 1000, memoryBytes: GIB });
    const changed = [...patched.keys()].filter((at) => patched[at] !== kernel[at]);
    const allowed = [
      0x210, 0x211, 0x218, 0x219, 0x21a, 0x21b, 0x21c, 0x21d, 0x21e, 0x21f, 0x224, 0x225, 0x228, 0x229, 0x22a, 0x22b,
    ];
    expect(changed.filter((at) => !allowed.includes(at))).toEqual([]);
  });

  it('puts the initrd below the end of low memory', () => {
    expect(initrdAddress(GIB)).toBe(0x3ffd7000);
    expect(initrdAddress(0xafffffff + 1)).toBe(0x7ffd7000);
    expect(initrdAddress(64 * GIB)).toBe(0x7ffd7000);
  });

  it.each([
    [
      'something that is no kernel',
      () => patchKernelAsQemu(new Uint8Array(4096), { initrdBytes: 1, memoryBytes: GIB }),
    ],
    ['a file of a few bytes', () => patchKernelAsQemu(new Uint8Array(3), { initrdBytes: 1, memoryBytes: GIB })],
    ['an initrd larger than the memory', () => initrdAddress(1024 * 1024, 2 * 1024 * 1024)],
    ['a memory of nothing', () => initrdAddress(0)],
  ])('refuses %s', (_name, patch) => {
    expect(patch).toThrow(EvidenceError);
  });
});
