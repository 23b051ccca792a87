// Templates of memory as the kernel keeps them: what they hold, and that nobody changes it, whoever has them open.
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync, writeSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { MemoryTemplate, TEMPLATE_MAPPING } from './index.ts';

const PERL = '/usr/bin/perl';
const MIB = 2 ** 20;
const TEXT = 'of the machine that was saved';

function make(): Promise<MemoryTemplate> {
  return MemoryTemplate.make({ bytes: 64 * MIB, fill: async (file) => void writeSync(file, TEXT, 5 * MIB) });
}

/** What a process says that has it open as QEMU does, and makes a system call; x86-64's numbers. */
async function tried(template: MemoryTemplate, script: string): Promise<string> {
  await using file = await template.open();
  const path = `/proc/${String(process.pid)}/fd/${String(file.fd)}`;
  const whole = `open(my $f, '+<', $ARGV[0]) or die "not opened: $!"; my $n = fileno($f); ${script}`;
  const { stdout, stderr } = spawnSync(PERL, [
    '-e',
    `my $r; ${whole} print defined $r && $r >= 0 ? 'done' : "$!"`,
    path,
  ]);
  return `${String(stdout)}${String(stderr)}`;
}

describe('a template of memory', () => {
  test('has what it was filled with and takes room for that alone, and is gone with the last who has it', async () => {
    const template = await make();
    expect(template.bytes).toBe(64 * MIB);
    expect(await template.heldBytes()).toBeLessThan(4 * MIB);
    const file = await template.open();
    const { buffer } = await file.read(Buffer.alloc(TEXT.length), 0, TEXT.length, 5 * MIB);
    expect(buffer.toString()).toBe(TEXT);
    await template[Symbol.asyncDispose]();
    expect((await file.read(Buffer.alloc(TEXT.length), 0, TEXT.length, 5 * MIB)).buffer.toString()).toBe(TEXT);
    await file.close();
    expect(descriptorsOf()).toEqual([]);
  });

  test.each([
    ['writing', 'my $text = "changed"; $r = syscall(1, $n, $text, 7);'],
    ['cutting', '$r = syscall(77, $n, 4096);'],
    ['growing', '$r = syscall(77, $n, 1 << 30);'],
    ['punching a hole', '$r = syscall(285, $n, 3, 0, 8 << 20);'],
    ['mapping it shared, to write', '$r = syscall(9, 0, 4096, 3, 1, $n, 0);'],
    ['sealing it anew', '$r = fcntl($f, 1033, 0) ? 0 : -1;'],
  ])('refuses %s', async (_, script) => {
    await using template = await make();
    expect(await tried(template, script)).toBe('Operation not permitted');
  });

  test('lets a private mapping be written to', async () => {
    await using template = await make();
    expect(await tried(template, '$r = syscall(9, 0, 4096, 3, 2, $n, 0);')).toBe('done');
  });

  test('is no program for anybody, and gives nobody else a mode', async () => {
    await using template = await make();
    await using file = await template.open();
    const { mode, uid } = await stat(`/proc/self/fd/${String(file.fd)}`);
    expect([mode & 0o7777, uid]).toEqual([0o666, process.getuid?.()]);
  });

  test('that is not filled, or keeps somebody who could write, is none', async () => {
    const failed = MemoryTemplate.make({ bytes: MIB, fill: () => Promise.reject(new Error('no such snapshot')) });
    await expect(failed).rejects.toThrow('no such snapshot');
    // A mapping from before the seals is what they do not take away: the kernel refuses to seal then.
    const mapped = MemoryTemplate.make({
      bytes: MIB,
      fill: async (descriptor) => {
        const path = `/proc/${String(process.pid)}/fd/${String(descriptor)}`;
        const map = `
          open(my $f, '+<', $ARGV[0]); syscall(9, 0, 4096, 3, 1, fileno($f), 0);
          exit if fork; close(STDOUT); close(STDERR); sleep 1;
        `;
        execFileSync(PERL, ['-e', map, path]);
      },
    });
    await expect(mapped).rejects.toThrow('cannot seal it');
    expect(descriptorsOf()).toEqual([]);
  });
});

/** Ours, of templates. */
function descriptorsOf(): string[] {
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`);
      return target === TEMPLATE_MAPPING ? [name] : [];
    } catch {
      return []; // the directory's own
    }
  });
}
