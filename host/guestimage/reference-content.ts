// What a boot of an image must measure, with where each of it comes from: the file, and the package that the file is of.
import type { ExpectedEvent, ReferenceContent, ReferenceValues } from '@ringwall/evidence';
import { FIRMWARE_CODE } from './firmware.ts';
import type { ImageManifest } from './manifest.ts';

export function referenceContent(manifest: ImageManifest, reference: ReferenceValues): ReferenceContent {
  const { kernelVersion, files, sources } = manifest;
  return {
    for: {
      firmware: reference.firmware,
      kernel: { name: `vmlinuz-${kernelVersion}`, digest: files.kernel.sha256 },
      image: reference.image,
    },
    events: reference.events.map((event) => ({ ...event, ...originOf(event, manifest) })),
    packages: sources.map(({ name, version }) => ({ name, version })),
  };
}

function originOf({ what }: ExpectedEvent, { sources }: ImageManifest): Pick<ExpectedEvent, 'file' | 'package'> {
  if (what === 'initrd') return { file: 'initrd' };
  // The root hash of the system image is a word of it.
  if (what === 'command line') return { file: 'system.img' };
  if (what.startsWith('firmware volume')) return { file: FIRMWARE_CODE };
  if (what !== 'kernel') return {};
  const kernel = sources.find(({ name }) => name.startsWith('linux-image-'));
  return { file: 'kernel', ...(kernel === undefined ? {} : { package: `${kernel.name} ${kernel.version}` }) };
}
