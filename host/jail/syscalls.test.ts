import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SYSCALL_NUMBERS } from './syscalls.ts';

const HEADER = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h';

test.skipIf(!existsSync(HEADER))(`system call numbers are those of the kernel (skipped: needs ${HEADER})`, () => {
  const header = new Map(
    [...readFileSync(HEADER, 'utf8').matchAll(/^#define __NR_(\w+) (\d+)$/gm)].map(([, name, number]) => [
      name,
      Number(number),
    ]),
  );
  for (const [name, number] of Object.entries(SYSCALL_NUMBERS)) expect(header.get(name), name).toBe(number);
});
