// A host that is itself a guest with a virtual TPM: the kernel and drivers of an image of ours, a policy that measures what
// runs, and a disk with QEMU, swtpm, Node and a program that answers questions.
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { dirname, join, resolve } from 'node:path';
import { concatBytes } from '@ringwall/bytes';
import { run, runChecked } from '../../exec/index.ts';
import { buildImage } from '../../guestimage/index.ts';
import { writeCpio } from '../../guestimage/cpio.ts';
import { makeDisk, TestGuest } from '../../guestimage/testing/guest.ts';
import type { TestTpm } from '../../guestimage/testing/tpm.ts';
import { readClosure } from '../../jail/index.ts';
import type { Question } from './answer-questions.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const ESBUILD = join(ROOT, 'node_modules/.bin/esbuild');
const PROGRAMS = ['/usr/bin/qemu-system-x86_64', '/usr/bin/swtpm'];
const BUSYBOX = '/usr/bin/busybox';
const NODE = '/opt/node';
const PROGRAM = '/opt/ringwall/warden.mjs';
/** Whose files the policy measures when they are read. */
const CODE_GROUP = 4242;
const COMMAND_LINE = 'console=ttyS0 quiet loglevel=3 panic=-1 no_timer_check ima_template=ima-ng ima_hash=sha256';
const BOOT_TIMEOUT_MS = 180_000;
const ANSWER_TIMEOUT_MS = 120_000;

/** What the trial needs and this host lacks, beside what every guest needs. */
export const HOST_MISSING: readonly string[] = [...PROGRAMS, BUSYBOX, ESBUILD].filter((path) => !existsSync(path));

export class HostGuest implements AsyncDisposable {
  readonly #guest: TestGuest;
  readonly #lines: Interface;
  readonly #waiting: ((line: string) => void)[] = [];

  private constructor(guest: TestGuest) {
    this.#guest = guest;
    this.#lines = createInterface(guest.port);
    this.#lines.on('line', (line) => this.#waiting.shift()?.(line));
  }

  /** Makes its disk in `dir` and boots it. */
  static async boot(dir: string, tpm: TestTpm, cacheDir: string): Promise<HostGuest> {
    const guestDir = join(ROOT, 'apps/guest');
    const image = await buildImage('hello', { outDir: join(dir, 'hello'), cacheDir, guestDir });
    const initrd = join(dir, 'initrd');
    const first = await readFile(join(image.dir, 'initrd'));
    // The kernel looks for the next archive at a multiple of four.
    const padding = new Uint8Array((4 - (first.length % 4)) % 4);
    await writeFile(initrd, concatBytes(first, padding, await ownInitrd()));
    const system = join(dir, 'system.img');
    await makeSystem(join(dir, 'tree'), system);
    const disk = join(dir, 'disk.img');
    await makeDisk(disk);
    const kernel = join(image.dir, 'kernel');
    const files = { kernel, initrd, system, commandLine: COMMAND_LINE };
    const guest = await TestGuest.start(join(dir, 'guest'), files, disk, tpm);
    const host = new HostGuest(guest);
    await host.#next(BOOT_TIMEOUT_MS);
    return host;
  }

  /** The members of the answer that are texts; throws what went wrong in the guest. */
  async ask(question: Question): Promise<Readonly<Record<string, unknown>>> {
    this.#guest.port.write(`${JSON.stringify(question)}\n`);
    const answer: unknown = JSON.parse(await this.#next(ANSWER_TIMEOUT_MS));
    const members: Record<string, unknown> = { ...Object(answer) };
    if ('error' in members) throw new Error(String(members['error']));
    return members;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lines.close();
    await this.#guest[Symbol.asyncDispose]();
  }

  async #next(timeoutMs: number): Promise<string> {
    const answered = Promise.withResolvers<string>();
    this.#waiting.push(answered.resolve);
    const silent = this.#endOrLate(timeoutMs);
    return Promise.race([answered.promise, silent]);
  }

  /** Rejects when the host has ended, or the time is over. */
  async #endOrLate(timeoutMs: number): Promise<never> {
    await this.#guest.hasEnded(timeoutMs);
    throw new Error(`the host says nothing; its console:\n${this.#guest.console.slice(-4000)}`);
  }
}

/** Behind the image's own, whose `init` it replaces. */
async function ownInitrd(): Promise<Uint8Array> {
  const here = import.meta.dirname;
  return writeCpio([
    { kind: 'file', path: 'init', mode: 0o755, content: await readFile(join(here, 'init')) },
    { kind: 'file', path: 'host-ima-policy', mode: 0o644, content: await readFile(join(here, '../host-ima-policy')) },
  ]);
}

async function makeSystem(tree: string, image: string): Promise<void> {
  await mkdir(tree, { recursive: true });
  for (const directory of ['proc', 'dev', 'sys', 'tmp', 'etc', 'usr/bin', 'usr/lib', 'usr/lib64', 'opt/ringwall']) {
    await mkdir(join(tree, directory), { recursive: true });
  }
  for (const merged of ['bin', 'lib', 'lib64']) await symlink(`usr/${merged}`, join(tree, merged));
  const place = async (source: string, target: string): Promise<void> => {
    await mkdir(dirname(join(tree, target)), { recursive: true });
    await copyFile(source, join(tree, target));
  };
  await place(BUSYBOX, '/usr/bin/busybox');
  await place(process.execPath, NODE);
  for (const { source, target } of await readClosure(run, [...PROGRAMS, process.execPath])) {
    if (source === process.execPath || target === process.execPath) continue;
    await place(source, source);
    const link = join(tree, target);
    await mkdir(dirname(link), { recursive: true });
    if (!existsSync(link)) await symlink(source, link);
  }
  const entry = join(import.meta.dirname, 'answer-questions.ts');
  const options = ['--bundle', '--platform=node', '--format=esm', '--conditions=ringwall-source', '--log-level=error'];
  await runChecked(run, [process.execPath, ESBUILD, entry, ...options, `--outfile=${join(tree, PROGRAM)}`], {
    cwd: ROOT,
  });
  await writeFile(join(tree, 'init'), `export PATH=/bin\n${NODE} ${PROGRAM}\n/bin/busybox poweroff -f\n`);
  await chmod(join(tree, NODE), 0o755);
  // Not compressed: what is packed here is read once.
  const how = ['-noI', '-noD', '-noF', '-noX', '-no-progress', '-quiet'];
  const owner = ['-p', `${PROGRAM.slice(1)} m 644 0 ${CODE_GROUP}`];
  await runChecked(run, ['/usr/bin/mksquashfs', tree, image, ...how, ...owner], { timeoutMs: 120_000 });
}
