// What the warden drives, as it needs it: effects that are passed in, so that every decision here runs against fakes.
// apps/warden joins these to the real components.
import type { DiskId, Finding, Protection } from '@ringwall/api';
import type { VmSpec } from '@ringwall/api/warden';
import type { HostReference, HostReferenceContent } from '@ringwall/evidence';
import type { answerAsHost, HostAnswer, HostFiles, HostIdentity } from '@ringwall/host/attest';
import type { ImageParts, ReferenceContent, SignedReference, Signer } from '@ringwall/evidence';
import type { ProcessRef } from '@ringwall/host/exec';
import type { Readable } from 'node:stream';
import type { Beginning, BrokenCable, Sharer, SiteCounts, SniffOrder, Walls } from '@ringwall/host/network';
import type { Edge } from '@ringwall/host/network/egress';
import type { NamesServer } from '@ringwall/host/network/names';
import type { Tunnels } from '@ringwall/host/network/tunnels';
import type { AddressRange, Machine, Network, ProtectedRange } from '@ringwall/netpolicy';
import type { MemoryCopy, PageDigests } from '@ringwall/host/memory';
import type { Crew } from '@ringwall/host/threads';
import type { Extent } from '@ringwall/host/qemu';
import type { Place } from '@ringwall/host/seal';
import type { Secret, SigningKey } from '../keys/index.ts';
import type { DiskLayout, MachineLayout, NetworkLayout } from './layout.ts';
import type { JailedProcess, RunningBoot } from './records.ts';

export interface WardenParts {
  readonly host: HostPart;
  readonly jail: JailPart;
  readonly tpm: TpmPart;
  readonly vmm: VmmPart;
  readonly images: ImagePart;
  readonly hostTpm: HostTpmPart;
  readonly disks: DiskPart;
  readonly networks: NetworkPart;
  readonly peers: PeerPart;
}

export type { Extent };

export type Accelerator = 'kvm' | 'tcg';

export interface HostPart {
  /** /proc/sys/kernel/random/boot_id. */
  readonly bootId: string;
  findings(): Promise<Finding[]>;
  /** Decided by a probe guest, once for each boot of the host. */
  accelerator(): Promise<Accelerator>;
  /** `memoryMiB` and `diskMiB` are what is free now. */
  capacity(): Promise<{
    readonly cpus: number;
    readonly memoryMiB: number;
    readonly totalMemoryMiB: number;
    readonly diskMiB: number;
  }>;
  /** What a state that is saved here needs where it is loaded. */
  platform(): Promise<{ readonly qemu: string; readonly firmware: string; readonly cpu: string }>;
  /** No room for another file, or next to none for its bytes, where machines lie. */
  isFull(): Promise<boolean>;
  isAlive(process: ProcessRef): boolean;
  /** Kills and waits; false where the process outlives the time. */
  kill(process: ProcessRef): Promise<boolean>;
  waitForExit(process: ProcessRef, timeoutMs: number): Promise<boolean>;
}

/** Each VMM and TPM lives in a jail: a uid of its own, control groups, a run directory. */
export interface JailPart {
  /** Machines of this instance for which a jail is on record, whether or not anything runs in it. */
  machinesWithJails(): readonly string[];
  /** Ends whatever runs in the machine's jails, and removes all that was made for them. Idempotent. */
  endJails(machine: MachineLayout): Promise<void>;
  readProtections(machine: MachineLayout, spec: VmSpec, boot: RunningBoot): Promise<Protection[]>;
}

export interface TpmPart {
  /** Certificates (DER) of the CA that signs this host's EK certificates. */
  certificates(): Promise<readonly Uint8Array[]>;
  /** Makes a TPM and its EK certificate; its state is encrypted under a key of its own, which is kept wrapped. */
  manufacture(machine: MachineLayout): Promise<{ readonly ekCertificate: Uint8Array }>;
  /** Makes the key for the state of a TPM that comes with a snapshot. */
  expect(machine: MachineLayout): Promise<void>;
}

/** The TPM of the host itself. */
export interface HostTpmPart {
  /** Undefined where this host has none. */
  identity(): Promise<HostIdentity | undefined>;
  /** A quote for this qualifying data, then the logs. Throws host-lacks where this host has no TPM or no logs. */
  answer(question: HostTpmQuestion): Promise<HostAnswer>;
  /** Boot log, and files by their digests. */
  describe(everything: boolean): Promise<HostFiles & { readonly eventLog: Uint8Array }>;
  /** By the key with which this host signs reference values. */
  sign(content: HostReferenceContent): Promise<HostReference>;
}

export type HostTpmQuestion = Parameters<typeof answerAsHost>[1];

/** Disks that the VMM encrypts: made, written and read back. */
export interface DiskPart {
  /** The key by which this host stands for what its images measure, and asks for keys of disks. */
  signer(): Promise<Signer>;
  /** Makes the file with all its room. Throws host-full. */
  create(disk: DiskLayout, sizeBytes: number, key: Secret): Promise<void>;
  /** For one who writes, in a jail of its own. */
  open(disk: DiskLayout, sizeBytes: number, key: Secret): Promise<DiskWriter>;
  /** The offset of the first chunk that is not as its digest says; undefined where all are. */
  readBack(disk: DiskLayout, order: ReadBackOrder): Promise<number | undefined>;
}

export interface DiskWriter extends AsyncDisposable {
  write(offset: number, bytes: Uint8Array): Promise<void>;
  writeZeros(offset: number, length: number): Promise<void>;
  flush(): Promise<void>;
}

export interface ReadBackOrder {
  readonly key: Secret;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly digests: Uint8Array;
  readonly onRead: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** Namespaces of tenant networks, each named by the file that pins it. */
export interface NetworkPart {
  isThere(pin: string): Promise<boolean>;
  /** Makes it where it is missing; what stands in it stays. */
  open(pin: string, mode: Network['mode']): Promise<NetworkSite>;
  /** Removes it with all that is in it. Idempotent. */
  close(pin: string): Promise<void>;
  /** Addresses of this host and its links: its machines reach them by no way out. */
  ownRanges(): Promise<readonly ProtectedRange[]>;
  /** By which they get out. */
  readonly edge: Pick<Edge, 'set' | 'close' | 'lookAfter' | 'counts' | 'trouble'>;
}

/** The walls and cables in a namespace, and who gives addresses and names there. */
export interface NetworkSite {
  readonly names: Pick<NamesServer, 'apply' | 'stop' | 'lookAfter'>;
  readonly walls: Pick<Walls, 'raise' | 'change' | 'admit' | 'dismiss' | 'inspect' | 'lookAfter'>;
  /** Each to its share of what comes. */
  connect(sharers: readonly Sharer[]): Promise<void>;
  /** Has the kernel keep machines from each other that no rule connects; of the others of these, the walls decide. */
  keepApart(machines: readonly Machine[], isolated: readonly Machine[]): Promise<void>;
  /** With all their connections. An interface that is gone is no error. */
  cut(machines: readonly Machine[]): Promise<void>;
  /** Ends connections that may not begin any more, where the kernel follows them; answers how many. */
  endConnections(mayBegin: (begun: Beginning) => boolean): Promise<number>;
  /** Packets as they come, as pcap, until it is destroyed or has what was ordered. */
  sniff(order: SniffOrder): Promise<Readable>;
  counts(): Promise<SiteCounts>;
  /** Has the cables of these machines mirrored, and no others; answers those that were not so before. */
  mirror(machines: readonly Machine[]): Promise<readonly Machine[]>;
  /** By which the log of what is dropped names machines: the kernel's numbers of their interfaces, or those of a switch. */
  indexes(machines: readonly Machine[]): Promise<ReadonlyMap<Machine, number>>;
  /** Those that are not as `connect` leaves them, their shares among it. */
  broken(sharers: readonly Sharer[]): Promise<readonly BrokenCable[]>;
  /** Those that stand stay; addresses of `ranges` without a machine are nowhere from then on. */
  tunnels(place: NetworkLayout, ranges: readonly AddressRange[]): Promise<SiteTunnels>;
}

/** Tunnels to the other hosts of a network. */
export type SiteTunnels = Pick<Tunnels, 'set' | 'status' | 'lookAfter'>;

/** What keeps and proves what this host says to other hosts of a network. */
export interface PeerPart {
  /** The key that this host is known by. */
  readonly signer: SigningKey;
  /** A tunnel's key, as it lies on the disk. */
  wrap(id: string, key: Secret): Uint8Array;
  unwrap(id: string, wrapped: Uint8Array): Secret;
}

export interface BootOrder {
  readonly machine: MachineLayout;
  readonly spec: VmSpec;
  readonly accelerator: Accelerator;
  /** Further disks, each with its key for this start. */
  readonly disks: readonly { readonly disk: DiskLayout; readonly key: Secret }[];
  /** The namespace in which its cable shall end. */
  readonly cable?: { readonly pin: string };
  /** The image that is booted; absent where the first of `disks` is. */
  readonly direct?: { readonly commandLine: string; readonly imageDir: string };
  readonly state?: SavedState;
}

/** From which a VMM goes on that boots nothing: one of its own, or a template's, from which others go on, too. */
export type SavedState = OwnState | TemplateState;

export interface OwnState {
  /**
   * Called with the empty file that its guest's memory is to be. A VMM may be started meanwhile that uses nothing of it; it gets its
   * devices when this is fulfilled, and is ended where this rejects. Broken off by the signal where there will be no VMM.
   */
  readonly fillMemory: (descriptor: number, signal: AbortSignal) => Promise<void>;
  /** Its devices and its TPM, once memory is filled. */
  readonly devices: () => Uint8Array;
  /** Of a machine that has a witness: what that was, and its TPM, which is not among the devices. Once memory is filled. */
  readonly witness?: () => Uint8Array;
  /** One of these devices. Its cable leads nowhere, and its guest is told so. */
  readonly card?: SavedCard;
}

/** Its memory is the template's until it writes to it; its devices are the template's, with the TPM that it has been given. */
export interface TemplateState {
  readonly template: MachineTemplate;
  /** As in `OwnState`. */
  readonly card?: SavedCard;
}

export interface SavedCard {
  readonly mac: string;
}

export interface TemplateOrder {
  /** Of the memory of a machine. */
  readonly bytes: number;
  /** Called with the empty file of that size, which nobody can write to any more once this has resolved. */
  readonly fill: (descriptor: number) => Promise<void>;
  /** As in `OwnState`, once memory is filled. The TPM in it is left out. */
  readonly devices: () => Uint8Array;
}

/** Memory and devices of a machine, held for others to go on from. What has gone on from it keeps what it has when it ends. */
export interface MachineTemplate extends AsyncDisposable {
  /** Of the memory of each machine that goes on from it. */
  readonly bytes: number;
  /** What it takes of this host's memory. */
  heldBytes(): Promise<number>;
}

export interface CopyMachineOrder {
  readonly memoryMiB: number;
  /** Its imported ones, in their order. */
  readonly disks: readonly DiskId[];
  /** Its name, for a later one to continue it. */
  readonly name: string;
  /** An earlier one of this boot that this one continues. */
  readonly before?: string | undefined;
}

/** Of each disk of a machine, as they lie in their files: its own, then those that were imported. */
export type DiskExtents = readonly (readonly Extent[])[];

/** A copy of a machine under way, while it runs. Whatever becomes of the copy, the guest goes on. */
export interface MachineCopy extends AsyncDisposable {
  /** Whether it has of the disks only what is not as in the one before: not where the VMM does not know what that is. */
  readonly continues: boolean;
  /** Where its disks hold data; of one that continues another, what was written since then. */
  data(): Promise<DiskExtents>;
  /** What was written to them since this was asked last, or since the copy was begun. */
  written(): Promise<DiskExtents>;
  /** To all of them. */
  writtenBytes(): Promise<number>;
  /**
   * Copies its memory while it runs, so that what is left for the stop is little; false where more than this would be held. `before`: as
   * it was in the one that this continues.
   */
  copyMemory(maxBytes: number, before: PageDigests | undefined): Promise<boolean>;
  /** Stops the guest, takes all of it that is of this moment, and lets it go on, whatever came of that. */
  save(order: SaveOrder): Promise<{ readonly pauseMs: number }>;
}

/** Both are called while the guest stands still. */
export interface SaveOrder {
  /** With what was written to its disks since that was asked last. */
  readonly takeWritten: (extents: DiskExtents) => Promise<void>;
  readonly takeState: (state: StoppedMachine) => Promise<void>;
}

export interface StoppedMachine {
  /** And its TPM: as QEMU's migration stream. */
  readonly devices: Uint8Array;
  /** Of a machine that has a witness: that one, and the TPM. */
  readonly witness?: Uint8Array;
  /** The copy; or, where none was made, the guest's own, which is of this moment only until it goes on. */
  readonly memory: Place;
  /** Where it has one in this moment. */
  readonly card?: SavedCard;
  /** Of the copy, what the next one is to know. Whoever is given it ends it. */
  readonly copied?: CopiedMemory;
}

export interface CopiedMemory extends Pick<MemoryCopy, 'digest' | 'zeros'>, Disposable {
  /** For all that is done with it. */
  readonly crew?: Crew;
}

/** What a boot runs. `witness` is there where a system is booted that cannot speak for itself. */
export interface StartedBoot {
  readonly tpm: JailedProcess;
  readonly witness?: JailedProcess;
  readonly vmm: JailedProcess;
}

export interface VmmPart {
  /** Starts the machine's TPM, then its VMM. Resolves when the VMM answers on its monitor; by then it runs. */
  start(order: BootOrder): Promise<StartedBoot>;
  /** Of a VMM that has ended: whether its guest powered it down. */
  poweredOff(machine: MachineLayout, boot: RunningBoot): Promise<boolean>;
  /** What the monitor says; undefined where it does not answer in time. */
  status(machine: MachineLayout, boot: RunningBoot): Promise<'running' | 'paused' | undefined>;
  /** Makes a template, which is there for as long as this process is. */
  holdTemplate(order: TemplateOrder): Promise<MachineTemplate>;
  /** Begins to copy it; not for one that goes on from a template: its memory is no file. */
  copy(machine: MachineLayout, boot: RunningBoot, order: CopyMachineOrder): Promise<MachineCopy>;
  /** Lets a guest go on that its VMM has stopped because a disk of the host was full; whether there was one to let. */
  goOn(machine: MachineLayout, boot: RunningBoot): Promise<boolean>;
  /** Stops its processors. */
  pause(machine: MachineLayout, boot: RunningBoot): Promise<void>;
  /** Lets the processors go on that `pause` has stopped, or that stood still to be saved. */
  resume(machine: MachineLayout, boot: RunningBoot): Promise<void>;
  /** Plugs the card with this address in, or where there is none to be, out. Idempotent. */
  setCard(machine: MachineLayout, boot: RunningBoot, mac: string | undefined): Promise<void>;
  /** Presses the power button. */
  powerDown(machine: MachineLayout, boot: RunningBoot): Promise<void>;
  /** Tells the VMM to end, so that it flushes its disks. */
  quit(machine: MachineLayout, boot: RunningBoot): Promise<void>;
}

export interface BuiltImage {
  readonly digest: string;
  readonly bytes: number;
  readonly builtAt: string;
  /** The guest's scripts in it are not those of the Ringwall that runs. */
  readonly outdated: boolean;
  /** What it was built from: the kernel's version, and Debian packages. */
  readonly kernel: string;
  readonly packages: readonly { readonly name: string; readonly version: string }[];
}

export type ProgressListener = (progress: { readonly step: string; readonly fraction?: number }) => void;

export interface RecordedFiles {
  /** files.json. */
  readonly list: Uint8Array;
  readonly parts: ImageParts;
}

export interface ImagePart {
  /** What can be built: a closed list. */
  readonly known: readonly { readonly name: string; readonly title: string }[];
  /** What its manifest says; undefined where it is not built. */
  read(dir: string): Promise<BuiltImage | undefined>;
  /** Compares every file in `staged` with its manifest, and keeps what it is expected to measure. */
  record(name: string, staged: string): Promise<void>;
  /** Once `staged` has taken its place, or has not; also at the start of a warden. Idempotent. */
  settle(name: string): Promise<void>;
  /** The list of what may run in it, as it was recorded, and what shows that it is its own; undefined where there is none. */
  files(name: string): Promise<RecordedFiles | undefined>;
  /** Runs the builder, as its own user, into `dir`. Throws image-failed. */
  build(name: string, dir: string, progress: ProgressListener): Promise<void>;
  /** What the firmware of this host measures of itself in a machine of this size, whatever it boots. */
  firmware(machine: string, size: Omit<BootToPredict, 'brokerKey'>): Promise<ReferenceContent>;
  /** The exact command line of a boot and what it must measure; undefined where the image is not built. */
  predict(name: string, boot: BootToPredict): Promise<Prediction | undefined>;
  /** This host stands for what its images measure. */
  sign(reference: ReferenceContent): Promise<SignedReference>;
}

export interface BootToPredict {
  readonly brokerKey: string;
  /** QEMU writes an address into the kernel that depends on it. */
  readonly memoryMiB: number;
  readonly cpus: number;
}

export interface Prediction {
  readonly commandLine: string;
  readonly reference: ReferenceContent;
}
