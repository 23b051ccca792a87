// Memory that many machines begin with: filled once, sealed by the kernel against whoever would write to it, and mapped privately by
// each of them, so that they have it in common until they write. It is a file without a name (memfd_create(2)) and without a place: it is
// gone when nobody has it any more. Seals: fcntl(2), F_ADD_SEALS. Node has neither call; perl-base, which is essential in Debian, has.
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { RingwallError } from '@ringwall/api';
import { run, runChecked } from '../exec/index.ts';

const PERL = '/usr/bin/perl';
const NAME = 'ringwall-template';
/** By which /proc names mappings of it. */
export const TEMPLATE_MAPPING: string = `/memfd:${NAME} (deleted)`;
/** Of stat(2), whatever the file system's own are. */
const STAT_BLOCK_BYTES = 512;
/** Who maps it opens it as QEMU does, to read and to write, by a uid of its own; what it may do is up to the seals. */
const MODE = 0o666;

/**
 * Fixed text: makes the file, says who has it (process and descriptor), and waits until we have it, too. 319 is memfd_create of x86-64;
 * flags of linux/memfd.h: MFD_ALLOW_SEALING, and MFD_NOEXEC_SEAL where the kernel knows it (6.3).
 */
const MAKE = `
use strict;
use warnings;
my $name = $ARGV[0];
my $fd = syscall(319, $name, 2 | 8);
$fd = syscall(319, $name, 2) if $fd < 0;
die "no memfd: $!" if $fd < 0;
$| = 1;
print "$$ $fd\\n";
<STDIN>;
`;

/** Fixed text: F_ADD_SEALS, then what F_GET_SEALS says. linux/fcntl.h. */
const SEAL = `
use strict;
use warnings;
my ($path, $seals) = @ARGV;
open(my $file, '+<', $path) or die "cannot open it: $!";
fcntl($file, 1033, $seals + 0) or die "cannot seal it: $!";
print fcntl($file, 1034, 0) + 0;
`;
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE: nothing of it changes any more, these seals included. */
const SEALS = 0x1 | 0x2 | 0x4 | 0x8;

export interface MemoryTemplateOptions {
  readonly bytes: number;
  /** Called with the empty file of that size; nobody writes to it any more once this has resolved. */
  readonly fill: (descriptor: number) => Promise<void>;
}

export class MemoryTemplate implements AsyncDisposable {
  readonly bytes: number;
  readonly #file: FileHandle;

  private constructor(file: FileHandle, bytes: number) {
    this.#file = file;
    this.bytes = bytes;
  }

  /** Made once it was filled and sealed. */
  static async make({ bytes, fill }: MemoryTemplateOptions): Promise<MemoryTemplate> {
    const file = await openNameless();
    try {
      await file.chmod(MODE);
      await file.truncate(bytes);
      await fill(file.fd);
      await seal(file);
      return new MemoryTemplate(file, bytes);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** What of it takes room: all but zeros that nobody wrote. */
  async heldBytes(): Promise<number> {
    const { blocks } = await this.#file.stat();
    return blocks * STAT_BLOCK_BYTES;
  }

  /** For one who maps it: a descriptor that shares no place in the file with those of others. */
  open(): Promise<FileHandle> {
    return open(ownPathOf(this.#file), constants.O_RDONLY);
  }

  /** Who has mapped it keeps it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

async function openNameless(): Promise<FileHandle> {
  const leave = new PassThrough();
  let opening: Promise<FileHandle> | undefined;
  try {
    await runChecked(run, [PERL, '-e', MAKE, NAME], {
      inputStream: leave,
      onLine: (line) => {
        const [, pid, descriptor] = /^([1-9]\d*) (\d+)$/.exec(line) ?? [];
        if (pid === undefined || descriptor === undefined) return;
        opening ??= open(`/proc/${pid}/fd/${descriptor}`, constants.O_RDWR).finally(() => leave.end());
        opening.catch(() => undefined); // told below
      },
    });
    if (opening === undefined) throw new RingwallError('internal', `${PERL} has not said what it has made`);
    return await opening;
  } catch (error) {
    await opening?.then((file) => file.close()).catch(() => undefined);
    throw error;
  }
}

/** Fails where one of the seals is not on it. */
async function seal(file: FileHandle): Promise<void> {
  const { stdout } = await runChecked(run, [PERL, '-e', SEAL, ownPathOf(file), String(SEALS)]);
  const seals = Number(stdout.toString('latin1'));
  if ((seals & SEALS) !== SEALS) {
    throw new RingwallError('host-lacks', `the kernel has sealed a template's memory by ${String(seals)} only`);
  }
}

/** For a process that we start, and for us. */
function ownPathOf(file: FileHandle): string {
  return `/proc/${String(process.pid)}/fd/${String(file.fd)}`;
}
