// Block devices as sources: the size of one is not in its status, and is found by its numbers.
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../../testing/tools.ts';
import { FileSource } from './file-source.ts';

const MISSING = missingTools('losetup', 'mknod', 'perl');
const LOOP_MAJOR = 7;
/** Above 255, where the bits of a minor number lie on both sides of the major one; this process's own. */
const MINOR = 0x1_0000 + (process.pid & 0xffff);
/** LOOP_CTL_REMOVE (Linux, include/uapi/linux/loop.h). */
const REMOVE = 'open F, "+<", "/dev/loop-control" or die; ioctl F, 0x4C81, shift() + 0';
const SIZE = 5 * 2 ** 20 + 512;

describe.skipIf(MISSING !== '' || process.getuid?.() !== 0)(`FileSource on a block device${MISSING}`, () => {
  const folder = new TemporaryFolder();
  const device = folder.at('device');
  let attached = false;

  afterAll(() => {
    if (attached) runTool(['losetup', '-d', device]);
    if (attached) runTool(['perl', '-e', REMOVE, String(MINOR)]);
    folder[Symbol.dispose]();
  });

  test('reads all of it, whatever its number', (context) => {
    const contents = Buffer.alloc(SIZE);
    contents.write('its last bytes', SIZE - 14);
    writeFileSync(folder.at('contents'), contents);
    runTool(['mknod', device, 'b', String(LOOP_MAJOR), String(MINOR)]);
    try {
      runTool(['losetup', device, folder.at('contents')]);
      attached = true;
    } catch (error) {
      context.skip(`needs loop devices: ${String(error)}`);
    }
    using source = FileSource.open(device);
    expect(source.size).toBe(SIZE);
    expect(Buffer.from(source.read(SIZE - 14, 14)).toString()).toBe('its last bytes');
  });
});
