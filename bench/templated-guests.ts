// What bench/template measures, below the warden's decisions: a guest of ours that was saved, its memory as a template, and guests that go
// on from it as the warden starts them, TPM and VMM in their jails. The peer is the same machine in a bare QEMU, without jail and TPM.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { mkdir, open, rm, truncate, writeFile, type FileHandle } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { FIRMWARE_CODE, FIRMWARE_VARS, writeCpio } from '@ringwall/host/guestimage';
import { endJail, readMemoryFile, UidLeases, type StartedJail } from '@ringwall/host/jail';
import { MemoryTemplate, TEMPLATE_MAPPING } from '@ringwall/host/memory';
import {
  expectDevices,
  listenForState,
  prepareToSave,
  qemuArgv,
  QmpClient,
  resumeLoaded,
  saveDevices,
  startVmm,
  VMM_PATHS,
  vmmSockets,
  withoutTpm,
  type VmmMemory,
} from '@ringwall/host/qemu';
import { manufactureTpm, openTpm, type TpmOptions } from '@ringwall/host/swtpm';

const MIB = 2 ** 20;
const BOOT_TIMEOUT_MS = 120_000;
const FILL_TIMEOUT_MS = 120_000;

const FILLED = 'it is filled';
const DISK_MIB = 16;
const COMMAND_LINE = 'console=ttyS0 quiet no_timer_check rdinit=/bench';
/** Of a descriptor of the peer's. */
const FIRST_FD = 3;

export interface GuestSize {
  readonly memoryMiB: number;
  readonly filledMiB: number;
}

/** A machine that is not started yet: its TPM is made, its disk is there. */
export interface MadeMachine {
  readonly name: string;
  readonly tpm: TpmOptions;
  readonly disk: string;
}

export interface RunningGuest {
  readonly tpm: StartedJail;
  readonly vmm: StartedJail;
}

/** Of the guest's memory. */
export interface MemoryUse {
  /** What it has of its own, and what the template has that it has looked at. */
  readonly ownMiB: number;
  readonly sharedMiB: number;
  /** Of the whole VMM, with its share of what others have, too. */
  readonly pssMiB: number;
}

export class TemplatedGuests implements AsyncDisposable {
  readonly #dir: string;
  readonly #image: string;
  readonly #size: GuestSize;
  readonly #leases: UidLeases;
  #count = 0;
  #template: MemoryTemplate | undefined;
  #devices: Uint8Array = new Uint8Array();

  private constructor(dir: string, image: string, size: GuestSize) {
    this.#dir = dir;
    this.#image = image;
    this.#size = size;
    this.#leases = new UidLeases(join(dir, 'leases'));
  }

  /** Boots the guest, has it fill its memory, and holds what it is then. `dir`: others may pass through it. */
  static async hold(dir: string, image: string, size: GuestSize): Promise<TemplatedGuests> {
    const guests = new TemplatedGuests(dir, image, size);
    await mkdir(join(dir, 'leases'), { mode: 0o700 });
    writeFileSync(join(dir, 'initrd'), guests.#initrd(), { mode: 0o644 });
    await guests.#saveOriginal();
    return guests;
  }

  get #held(): MemoryTemplate {
    if (this.#template === undefined) throw new Error('there is no template');
    return this.#template;
  }

  heldMiB(): Promise<number> {
    return this.#held.heldBytes().then((bytes) => bytes / MIB);
  }

  async make(): Promise<MadeMachine> {
    this.#count += 1;
    const name = `bench-${String(process.pid)}-${String(this.#count)}`;
    const tpm = {
      machine: name,
      stateDir: join(this.#dir, `${name}-tpm-state`),
      runDir: join(this.#dir, `${name}-tpm`),
      privateDir: join(this.#dir, 'leases'),
      stateKey: new Uint8Array(32),
      leases: this.#leases,
    };
    await manufactureTpm({ ...tpm, issueEkCertificate: async () => new Uint8Array(600) });
    const disk = join(this.#dir, `${name}.img`);
    await writeFile(disk, '');
    await truncate(disk, DISK_MIB * MIB);
    return { name, tpm, disk };
  }

  /** Until it runs. */
  async goOn(machine: MadeMachine): Promise<RunningGuest> {
    const guest = await this.#start(machine, { template: this.#held });
    const { qmp: monitor, state } = vmmSockets(guest.vmm.runDir);
    await using qmp = await QmpClient.connect(monitor);
    await expectDevices(qmp, VMM_PATHS.state);
    const into = connect(state);
    const closed = once(into, 'close');
    into.resume();
    into.end(this.#devices);
    await closed;
    await resumeLoaded(qmp);
    return guest;
  }

  async end({ vmm, tpm }: RunningGuest): Promise<void> {
    await endJail(vmm, this.#leases);
    await endJail(tpm, this.#leases);
  }

  /** The same machine in a bare QEMU that maps the template; until its monitor answers. Gives milliseconds. */
  async timeBare(): Promise<number> {
    const disk = join(this.#dir, 'bare.img');
    await writeFile(disk, '');
    await truncate(disk, DISK_MIB * MIB);
    const variables = join(this.#dir, 'bare-variables');
    await writeFile(variables, readFileSync(FIRMWARE_VARS));
    const files: FileHandle[] = [
      await this.#held.open(),
      await open(join(this.#image, 'system.img')),
      await open(disk, 'r+'),
    ];
    const argv = bareArgv(this.#size.memoryMiB, {
      [VMM_PATHS.descriptors]: '/proc/self/fd',
      [VMM_PATHS.firmwareCode]: FIRMWARE_CODE,
      [VMM_PATHS.firmwareVariables]: variables,
      [VMM_PATHS.kernel]: join(this.#image, 'kernel'),
      [VMM_PATHS.initrd]: join(this.#dir, 'initrd'),
      [VMM_PATHS.roms]: '/usr/share/qemu',
      '/run/': `${this.#dir}/bare-`,
    });
    const startedAt = performance.now();
    const [program = '', ...rest] = argv;
    const child = spawn(program, rest, { stdio: ['ignore', 'ignore', 'inherit', ...files.map(({ fd }) => fd)] });
    const ended = once(child, 'exit');
    try {
      for (;;) {
        const qmp = await QmpClient.connect(`${this.#dir}/bare-qmp.sock`).catch(() => undefined);
        if (qmp !== undefined) {
          const tookMs = performance.now() - startedAt;
          await qmp[Symbol.asyncDispose]();
          return tookMs;
        }
        if (child.exitCode !== null) throw new Error('the bare QEMU has ended');
        await sleep(1);
      }
    } finally {
      child.kill('SIGKILL');
      await ended;
      for (const file of files) await file.close();
      for (const name of ['qmp', 'console', 'attest']) await rm(`${this.#dir}/bare-${name}.sock`, { force: true });
    }
  }

  /** Of mappings of the template, and of all that the VMM has: smaps and smaps_rollup of proc(5). */
  readUse({ vmm }: RunningGuest): MemoryUse {
    const read = (name: string): string => readFileSync(`/proc/${String(vmm.process.pid)}/${name}`, 'utf8');
    const mapping = read('smaps')
      .split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)
      .find((each) => each.includes(TEMPLATE_MAPPING));
    const ownMiB = field(mapping ?? '', 'Anonymous');
    return { ownMiB, sharedMiB: field(mapping ?? '', 'Rss') - ownMiB, pssMiB: field(read('smaps_rollup'), 'Pss') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#template?.[Symbol.asyncDispose]();
  }

  /** Mounts a tmpfs, fills it with what does not compress, and says so. */
  #initrd(): Buffer {
    const init = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs -o size=95% fill /run
exec >/dev/ttyS0 2>&1
/bin/busybox dd if=/dev/urandom of=/run/filled bs=1M count=${String(this.#size.filledMiB)} 2>/dev/null
echo "${FILLED}"
while true; do /bin/busybox sleep 1; done
`;
    const original = readFileSync(join(this.#image, 'initrd'));
    const extra = writeCpio([{ kind: 'file', path: 'bench', mode: 0o755, content: Buffer.from(init) }]);
    return Buffer.concat([original, new Uint8Array((512 - (original.length % 512)) % 512), extra]);
  }

  async #start(machine: MadeMachine, memory: VmmMemory): Promise<RunningGuest> {
    const tpm = await openTpm(machine.tpm, 'control');
    const vmm = startVmm({
      machine: machine.name,
      accelerator: 'tcg',
      cpus: 1,
      memoryMiB: this.#size.memoryMiB,
      firmwareCode: FIRMWARE_CODE,
      firmwareVariables: FIRMWARE_VARS,
      direct: {
        kernel: join(this.#image, 'kernel'),
        initrd: join(this.#dir, 'initrd'),
        commandLine: COMMAND_LINE,
        systemImage: join(this.#image, 'system.img'),
        dataDisk: machine.disk,
      },
      tpm: { channel: 'control', socket: tpm.channel },
      runDir: join(this.#dir, `${machine.name}-vmm`),
      memory,
      waiting: 'template' in memory,
      leases: this.#leases,
    });
    const [startedTpm, startedVmm] = await Promise.all([tpm.started, vmm]);
    return { tpm: startedTpm, vmm: startedVmm };
  }

  async #saveOriginal(): Promise<void> {
    const dir = join(this.#dir, 'memory');
    const bytes = this.#size.memoryMiB * MIB;
    const guest = await this.#start(await this.make(), { dir });
    const { qmp: monitor, console: serial } = vmmSockets(guest.vmm.runDir);
    await waitFor(serial, FILLED, BOOT_TIMEOUT_MS + FILL_TIMEOUT_MS);
    await using qmp = await QmpClient.connect(monitor);
    await using socket = await listenForState(guest.vmm);
    await prepareToSave(qmp);
    await qmp.execute('stop');
    await using memory = await readMemoryFile(dir, bytes);
    this.#template = await MemoryTemplate.make({ bytes, fill: async (into) => copy(memory.fd, into) });
    const taken = socket.connected.then((stream) => buffer(stream));
    await saveDevices(qmp, VMM_PATHS.state);
    this.#devices = withoutTpm(await taken);
    await this.end(guest);
  }
}

/** As the warden's VMM has it, but for jail and TPM: each path where it is on the host. */
function bareArgv(memoryMiB: number, places: Readonly<Record<string, string>>): string[] {
  const argv = qemuArgv({
    machine: 'bare',
    accelerator: 'tcg',
    cpus: 1,
    memoryMiB,
    templateFd: FIRST_FD,
    direct: { commandLine: COMMAND_LINE, systemFd: FIRST_FD + 1, data: { fd: FIRST_FD + 2, bytes: DISK_MIB * MIB } },
    tpm: { channel: 'control', fd: 0 },
    waiting: true,
  });
  const isOfTpm = (text: string | undefined): boolean => /\btpm\b|tpm0/.test(text ?? '');
  const bare = argv.filter((text, index) => !isOfTpm(text) && !isOfTpm(argv[index + 1]));
  return bare.map((text) =>
    Object.entries(places).reduce(
      (said, [from, to]) => said.replaceAll(`=${from}`, `=${to}`).replace(new RegExp(`^${from}`), to),
      text,
    ),
  );
}

function copy(from: number, to: number): void {
  const piece = Buffer.alloc(MIB);
  const zeros = Buffer.alloc(MIB);
  for (let at = 0; readSync(from, piece, 0, MIB, at) > 0; at += MIB) {
    if (!piece.equals(zeros)) writeSync(to, piece, 0, MIB, at);
  }
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN) / 1024;
}

async function waitFor(serial: string, text: string, timeoutMs: number): Promise<void> {
  const socket = connect(serial);
  const deadline = setTimeout(() => socket.destroy(new Error(`the guest did not say: ${text}`)), timeoutMs);
  let said = '';
  try {
    for await (const piece of socket.setEncoding('latin1')) {
      said += String(piece);
      if (said.includes(text)) return;
    }
    throw new Error(`the guest said no more than ${said.slice(-500)}`);
  } finally {
    clearTimeout(deadline);
  }
}
