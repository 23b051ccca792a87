// An image that boots nothing, in no time: a kernel with all the headers that QEMU, the firmware's loader and a
// prediction look at, and no code. Enough for every test in which the guest need not come up.
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderRuntimeFiles } from '@ringwall/evidence';
import {
  IMAGE_FILES,
  imageDigest,
  MANIFEST_FILE,
  MANIFEST_VERSION,
  renderManifest,
  type ImageFile,
} from '@ringwall/host/guestimage';

const SYSTEM_BYTES = 64 * 1024;
const PE_OFFSET = 0x300;
const OPTIONAL_HEADER_BYTES = 240;

const SYNTHETIC_FILES = renderRuntimeFiles({
  image: 'hello',
  files: [{ path: '/init', sha256: 'cd'.repeat(32), package: undefined }],
});

/** `seed` makes images of different digests. */
export async function writeSyntheticImage(dir: string, seed = 0): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const files = {
    kernel: syntheticKernel(seed),
    initrd: new Uint8Array(512),
    'system.img': new Uint8Array(SYSTEM_BYTES),
    'files.json': new TextEncoder().encode(SYNTHETIC_FILES),
  };
  for (const name of IMAGE_FILES) await writeFile(join(dir, name), files[name], { mode: 0o644 });
  const described = {
    name: 'hello',
    verityRootHash: 'ab'.repeat(32),
    hashOffset: 4096,
    files: {
      kernel: fileOf(files.kernel),
      initrd: fileOf(files.initrd),
      'system.img': fileOf(files['system.img']),
      'files.json': fileOf(files['files.json']),
    },
  };
  const manifest = renderManifest({
    version: MANIFEST_VERSION,
    title: 'boots nothing',
    digest: imageDigest(described),
    kernelVersion: '0.0',
    sources: [],
    ...described,
  });
  await writeFile(join(dir, MANIFEST_FILE), manifest, { mode: 0o644 });
}

function fileOf(bytes: Uint8Array): ImageFile {
  return { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length };
}

function syntheticKernel(seed: number): Uint8Array {
  const kernel = new Uint8Array(64 * 1024);
  const view = new DataView(kernel.buffer);
  // Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
  view.setUint8(0x1f1, 4); // setup_sects
  view.setUint16(0x1fe, 0xaa55, true);
  kernel.set(new TextEncoder().encode('HdrS'), 0x202);
  view.setUint16(0x206, 0x020f, true);
  view.setUint8(0x211, 1); // loadflags: loaded high
  view.setUint32(0x22c, 0x7fffffff, true); // initrd_addr_max
  // PE32+ without sections: "Microsoft Portable Executable and Common Object File Format", sections 2 and 3.
  view.setUint16(0, 0x5a4d, true);
  view.setUint32(0x3c, PE_OFFSET, true);
  view.setUint32(PE_OFFSET, 0x4550, true);
  view.setUint16(PE_OFFSET + 20, OPTIONAL_HEADER_BYTES, true);
  const optional = PE_OFFSET + 24;
  view.setUint16(optional, 0x20b, true);
  view.setUint32(optional + 60, 0x1000, true); // SizeOfHeaders
  view.setUint32(optional + 108, 16, true); // NumberOfRvaAndSizes
  view.setUint32(0x2000, seed, true);
  return kernel;
}
