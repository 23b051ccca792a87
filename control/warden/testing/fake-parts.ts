// A host of the mind for the warden's unit tests: processes are numbers in a set, jails are entries in a map, and every
// effect can be made to fail, to hang, or to be the warden's last.
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { diskLayout, imageDir, layoutOf, type Layout, type MachineLayout } from '../layout.ts';
import { RingwallError } from '@ringwall/api';
import type { HostIdentity } from '@ringwall/host/attest';
import { makeSharedMemory, viewsOf, type DigestedCopy, type SharedMemory } from '@ringwall/host/memory';
import { PAGE_BYTES } from '@ringwall/seal';
import type { VmSpec } from '@ringwall/api/warden';
import type { BootOrder, Extent, HostTpmPart, SavedState, WardenParts } from '../parts.ts';
import type { JailedProcess } from '../records.ts';
import { FakeNetworks, fakePeerPart } from './fake-networks.ts';
import { FakeDisks } from './fake-disks.ts';
import { FakeTemplates } from './fake-templates.ts';
import { EMPTY_CONTENT, makeReferenceKey, signNow } from '../../broker/testing/reference.ts';

/** What a warden that is killed throws from inside an effect: nothing of it may be caught on the way out. */
/** Of an image that is none. */
const IMAGE_PARTS = {
  kernel: '01'.repeat(32),
  initrd: '02'.repeat(32),
  system: '03'.repeat(32),
  files: '04'.repeat(32),
  verityRootHash: '05'.repeat(32),
  hashOffset: 4096,
};

export class Killed extends Error {}

export class FakeHost {
  readonly layout: Layout;
  readonly processes = new Map<number, { readonly name: string }>();
  readonly jails = new Map<string, Set<number>>();
  readonly calls: string[] = [];
  readonly parts: WardenParts;
  bootId = 'this-boot';
  availableMiB = 4096;
  totalMemoryMiB = 8192;
  full = false;
  freeDiskMiB = 64 * 1024;
  /** Run at each effect, by its name: throws to make it fail, or stands still to make it hang. */
  before: (effect: string) => void | Promise<void> = () => undefined;
  /** What the guest does when its power button is pressed. */
  obeysPowerButton = true;
  runtimeFiles: Uint8Array | undefined = new Uint8Array();
  caCertificates: readonly Uint8Array[] = [Uint8Array.of(1)];
  /** The host's own TPM, where it has one. */
  hostTpm:
    | {
        readonly identity: HostIdentity;
        readonly answer: HostTpmPart['answer'];
        readonly sign?: HostTpmPart['sign'];
        readonly eventLog?: Uint8Array;
      }
    | undefined;
  readonly disks: FakeDisks = new FakeDisks();
  readonly networks: FakeNetworks = new FakeNetworks((effect) => this.#effect(effect));
  readonly templates: FakeTemplates;
  /** Where the cable of the VMM that was started last ends. */
  cable: BootOrder['cable'] | 'none' = 'none';
  /** The address of the card that each machine has, by its id. */
  readonly cards = new Map<string, string>();
  platform = { qemu: '7.2', firmware: 'f1', cpu: 'a processor' };
  /** What its memory is, to be saved; and of a machine that was put back, what it was given. */
  memory: Uint8Array = new Uint8Array();
  /** What it was when it was copied last. */
  memoryThen: Uint8Array | undefined;
  /** Of its disk, since then. */
  writtenSince: readonly Extent[] = [];
  devices: Uint8Array = Buffer.from('devices and a TPM');
  /** Of a machine that has a witness: what it has seen, and its TPM. */
  witnessed: Uint8Array = Buffer.from('a record and a TPM');
  /** Of its imported disks, by their ids. */
  readonly importedSince: Map<string, readonly Extent[]> = new Map();
  /** Called for each disk while a guest stands still; what it writes to it then is copied, too. */
  whileStopped: (disk: string) => readonly Extent[] = () => [];
  vmmState: 'running' | 'paused' | undefined = 'running';
  /** Its VMM has stopped the guest, for want of room. */
  outOfRoom = false;
  /** How a VMM that is dead ended. */
  guestPoweredOff = false;
  #nextPid = 1000;

  constructor(dir: string) {
    this.layout = layoutOf(join(dir, 'state'), join(dir, 'run'));
    this.templates = new FakeTemplates(dir, (effect) => this.#effect(effect));
    this.parts = this.#makeParts();
  }

  /** Ends a process as the kernel or an operator would. */
  kill(pid: number): void {
    this.processes.delete(pid);
  }

  async #effect(name: string): Promise<void> {
    this.calls.push(name);
    await this.before(name);
  }

  #spawn(machine: MachineLayout, name: string): JailedProcess {
    const pid = this.#nextPid++;
    this.processes.set(pid, { name });
    this.jails.set(machine.id, (this.jails.get(machine.id) ?? new Set()).add(pid));
    return { pid, startTime: pid * 10, uid: 2_000_000_000 + pid };
  }

  #alive(pid: number): boolean {
    return this.processes.has(pid);
  }

  #memoryOf(memoryMiB: number): SharedMemory {
    const memory = makeSharedMemory(memoryMiB * 2 ** 20);
    for (const { view, done } of viewsOf(memory, 0, this.memory.length)) {
      view.set(this.memory.subarray(done, done + view.length));
    }
    return memory;
  }

  /** As a jail does it: there is a VMM, which waits, while memory is filled. */
  async #load({ id, runDir }: MachineLayout, spec: VmSpec, state: SavedState): Promise<void> {
    if (state.card === undefined) this.cards.delete(id);
    else this.cards.set(id, state.card.mac);
    if ('template' in state) {
      ({ memory: this.memory, devices: this.devices } = this.templates.contentsOf(state.template));
      return;
    }
    const path = join(runDir, 'memory');
    await using file = await open(path, 'w+');
    await file.truncate(spec.memoryMiB * 2 ** 20);
    await state.fillMemory(file.fd, new AbortController().signal);
    this.memory = readFileSync(path);
    this.devices = state.devices();
    if (state.witness === undefined) return;
    await this.#effect('witness.load');
    this.witnessed = state.witness();
  }

  #makeParts(): WardenParts {
    const bootId = (): string => this.bootId;
    return {
      host: {
        get bootId() {
          return bootId();
        },
        findings: async () => [],
        accelerator: async () => 'tcg',
        capacity: async () => ({
          cpus: 4,
          memoryMiB: this.availableMiB,
          totalMemoryMiB: this.totalMemoryMiB,
          diskMiB: this.freeDiskMiB,
        }),
        platform: async () => this.platform,
        isFull: async () => this.full,
        isAlive: ({ pid }) => this.#alive(pid),
        kill: async ({ pid }) => {
          await this.#effect('host.kill');
          this.kill(pid);
          return true;
        },
        waitForExit: async ({ pid }) => !this.#alive(pid),
      },
      jail: {
        machinesWithJails: () => [...this.jails.keys()],
        endJails: async ({ id }) => {
          await this.#effect('jail.endJails');
          for (const pid of this.jails.get(id) ?? []) this.kill(pid);
          this.jails.delete(id);
        },
        readProtections: async () => [],
      },
      tpm: {
        certificates: async () => this.caCertificates,
        expect: async (machine) => writeFileSync(machine.tpmKey, 'key'),
        manufacture: async (machine) => {
          this.#spawn(machine, 'tpm');
          await this.#effect('tpm.manufacture');
          writeFileSync(join(machine.tpmState, 'tpm2-00.permall'), 'state');
          return {
            ekCertificate: Uint8Array.of(
              2,
              ...machine.id
                .slice(4)
                .split('')
                .map((c) => c.charCodeAt(0)),
            ),
          };
        },
      },
      vmm: {
        start: async ({ machine, spec, direct, state, cable }) => {
          this.cable = cable ?? 'none';
          const tpm = this.#spawn(machine, 'tpm');
          await this.#effect('tpm.start');
          const witness = direct === undefined ? { witness: this.#spawn(machine, 'witness') } : {};
          const vmm = this.#spawn(machine, 'vmm');
          try {
            if (state !== undefined) await this.#load(machine, spec, state);
          } catch (error) {
            this.kill(vmm.pid);
            throw error;
          }
          await this.#effect('vmm.start');
          return { tpm, ...witness, vmm };
        },
        holdTemplate: (order) => this.templates.hold(order),
        copy: async (machine, { witness }, { memoryMiB, disks, before }) => {
          await this.#effect('vmm.copy');
          let copied: SharedMemory | undefined;
          const continues = before !== undefined && this.memoryThen !== undefined;
          const imported = disks.map((id) => diskLayout(this.layout, id));
          const since = [this.writtenSince, ...disks.map((id) => this.importedSince.get(id) ?? [])];
          const whole = [2 ** 20, ...imported.map(({ file }) => statSync(file).size)];
          return {
            continues,
            data: async () => (continues ? since : whole.map((length) => [{ offset: 0, length }])),
            written: async () => [],
            writtenBytes: async () => 0,
            copyMemory: async (maxBytes) => {
              if (maxBytes < this.memory.length) return false;
              copied = this.#memoryOf(memoryMiB);
              return true;
            },
            save: async ({ takeWritten, takeState }) => {
              await this.#effect('vmm.save');
              if (witness !== undefined) await this.#effect('witness.save');
              await takeWritten([machine.disk, ...imported.map(({ file }) => file)].map(this.whileStopped));
              const memory = copied ?? this.#memoryOf(memoryMiB);
              const { memoryThen, memory: now } = this;
              const mac = this.cards.get(machine.id);
              this.memoryThen = now;
              await takeState({
                devices: this.devices,
                ...(witness === undefined ? {} : { witness: this.witnessed }),
                memory,
                ...(mac === undefined ? {} : { card: { mac } }),
                ...(copied && {
                  copied: {
                    digest: async () => {
                      await this.#effect('memory.digest');
                      return digestedCopy(memoryMiB * 2 ** 20, memoryThen, now);
                    },
                    zeros: new Uint8Array(memoryMiB * 32),
                    [Symbol.dispose]: () => void this.#effect('memory.ended'),
                  },
                }),
              });
              await this.#effect('vmm.goes-on');
              return { pauseMs: 7 };
            },
            [Symbol.asyncDispose]: async () => this.#effect('vmm.copied'),
          };
        },
        poweredOff: async () => this.guestPoweredOff,
        status: async () => this.vmmState,
        goOn: async () => {
          const stopped = this.outOfRoom;
          this.outOfRoom = false;
          if (stopped) this.vmmState = 'running';
          return stopped;
        },
        pause: async () => {
          await this.#effect('vmm.pause');
          this.vmmState = 'paused';
        },
        resume: async () => {
          await this.#effect('vmm.resume');
          this.vmmState = 'running';
        },
        setCard: async ({ id }, _boot, mac) => {
          await this.#effect('vmm.setCard');
          if (mac === undefined) this.cards.delete(id);
          else this.cards.set(id, mac);
        },
        powerDown: async (_machine, boot) => {
          await this.#effect('vmm.powerDown');
          if (this.obeysPowerButton) this.kill(boot.vmm.pid);
        },
        quit: async (_machine, boot) => {
          await this.#effect('vmm.quit');
          this.kill(boot.vmm.pid);
        },
      },
      disks: this.disks,
      networks: this.networks,
      peers: fakePeerPart(),
      hostTpm: {
        identity: async () => this.hostTpm?.identity,
        answer: async (question) => {
          await this.#effect('hostTpm.answer');
          if (this.hostTpm === undefined) throw new RingwallError('host-lacks', 'this host has no TPM');
          return this.hostTpm.answer(question);
        },
        describe: async () => ({
          files: [],
          unmeasured: [],
          eventLog: this.hostTpm?.eventLog ?? new Uint8Array(),
        }),
        sign: async (content) => {
          if (this.hostTpm?.sign === undefined) throw new RingwallError('host-lacks', 'this host has no TPM');
          return this.hostTpm.sign(content);
        },
      },
      images: {
        known: [
          { name: 'hello', title: 'Hello' },
          { name: 'debian', title: 'Debian' },
        ],
        read: async (dir) => {
          const path = join(dir, 'manifest.json');
          if (!existsSync(path)) return undefined;
          return {
            digest: readFileSync(path, 'utf8'),
            bytes: 1,
            builtAt: '2026-11-21T00:00:00.000Z',
            outdated: false,
            kernel: '6.1.0',
            packages: [],
          };
        },
        files: async () =>
          this.runtimeFiles === undefined ? undefined : { list: this.runtimeFiles, parts: IMAGE_PARTS },
        record: async () => this.#effect('images.record'),
        settle: async () => this.#effect('images.settle'),
        build: async (name, dir, progress) => {
          progress({ step: 'building', fraction: 0.5 });
          await this.#effect(`images.build ${name}`);
          chmodSync(dir, 0o700);
          writeFileSync(join(dir, 'manifest.json'), 'a'.repeat(64));
        },
        firmware: async () => EMPTY_CONTENT,
        predict: async (name, { brokerKey }) =>
          existsSync(join(imageDir(this.layout, name), 'manifest.json'))
            ? { commandLine: `ringwall.broker=${brokerKey}`, reference: EMPTY_CONTENT }
            : undefined,
        sign: async (reference) => signNow(reference, await makeReferenceKey()),
      },
    };
  }
}

/** Which pages are as they were, by looking at them. */
function digestedCopy(bytes: number, then: Uint8Array | undefined, now: Uint8Array): DigestedCopy {
  const kept = new Uint8Array(bytes / PAGE_BYTES / 8);
  const pageOf = (memory: Uint8Array, page: number): Uint8Array => {
    const whole = Buffer.alloc(PAGE_BYTES);
    whole.set(memory.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
    return whole;
  };
  const last = Math.ceil(Math.max(then?.length ?? 0, now.length) / PAGE_BYTES);
  for (let page = 0; page < bytes / PAGE_BYTES; page += 1) {
    const isKept = page >= last || Buffer.compare(pageOf(then ?? now, page), pageOf(now, page)) === 0;
    if (isKept) kept[page >> 3] = (kept[page >> 3] ?? 0) | (1 << (page & 7));
  }
  const nothing = new SharedArrayBuffer(0);
  return { digests: { pieces: nothing, pages: nothing }, kept };
}

/** For `before`: the named effect fails. */
export function failing(effect: string, error: Error): (name: string) => void {
  return (name: string): void => {
    if (name === effect) throw error;
  };
}
