import { describe, expect, test } from 'vitest';
import { memoryFileSystem } from '../testing/memory-file-system.ts';
import { FileSystemsInUse, MAX_VOLUMES } from './file-systems-in-use.ts';

describe('FileSystemsInUse', () => {
  test('keeps the file system that was asked for last, and opens another anew', () => {
    const inUse = new FileSystemsInUse();
    let opened = 0;
    const open = (): ReturnType<typeof memoryFileSystem> => {
      opened += 1;
      return memoryFileSystem({});
    };
    const first = inUse.add(open);
    expect(first.fileSystem).toBe(first.fileSystem);
    expect(opened).toBe(1);
    const second = inUse.add(open);
    expect(second.fileSystem).toBe(second.fileSystem);
    expect(opened).toBe(2);
    expect(first.fileSystem.root.kind).toBe('directory');
    expect(opened).toBe(3);
  });

  test('refuses what does not open when it is added', () => {
    const failing = (): never => {
      throw new Error('damaged');
    };
    expect(() => new FileSystemsInUse().add(failing)).toThrow('damaged');
  });

  test('has room for so many volumes, over all calls', () => {
    const inUse = new FileSystemsInUse();
    expect([inUse.room(MAX_VOLUMES - 1), inUse.room(5), inUse.room(5)]).toEqual([MAX_VOLUMES - 1, 1, 0]);
  });
});
