// Reads a file out of a disk image, without mounting it: `node examples/read-disk.ts IMAGE PATH`. Whatever the format, the
// partitions and the file system, from the first that has the file.
import { openDisk, openImage, openPath, parseImageHeader, judgeImport, MAX_IMPORTED_DISK_BYTES } from '@ringwall/disk';
import { FileSource, nodeCodecs as codecs } from '@ringwall/disk/node';

const [imageFile = '', path = ''] = process.argv.slice(2);
using source = FileSource.open(imageFile);

// The header first: an image may ask for other files of this machine.
const [refusal] = judgeImport(parseImageHeader(source), { maxDiskBytes: MAX_IMPORTED_DISK_BYTES });
if (refusal !== undefined) {
  process.stdout.write(`refused: ${refusal.field} is ${JSON.stringify(refusal.value)}: ${refusal.reason}\n`);
  process.exitCode = 1;
} else {
  const { volumes } = openDisk(openImage(source, { codecs }), { codecs });
  const [fileSystem] = volumes.flatMap(({ contents }) =>
    contents.kind === 'file-system' ? [contents.fileSystem] : [],
  );
  if (fileSystem === undefined) throw new Error('no file system');
  const file = openPath(fileSystem, path).open();
  process.stdout.write(file.read(0, Math.min(file.size, 1024)));
}
