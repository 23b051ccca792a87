// Builds the command line of QEMU (7.2 on), from checked values alone. Every option with parts is written by `option`,
// the one place that knows QEMU's quoting; no text of a user gets here but the kernel's command line, which is an
// argument of its own. Paths are those inside the jail; disks come as descriptors.

export const QEMU = '/usr/bin/qemu-system-x86_64';
/** The emulator's engine is a module that QEMU loads itself. */
export const QEMU_TCG_MODULE = '/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so';

export type Accelerator = 'kvm' | 'tcg';

/** Where things are inside the jail. */
export const VMM_PATHS = {
  roms: '/roms',
  firmwareCode: '/boot/firmware-code',
  kernel: '/boot/kernel',
  initrd: '/boot/initrd',
  memory: '/memory',
  /** Its own descriptors, where its memory is one of them. */
  descriptors: '/fd',
  firmwareVariables: '/run/firmware-variables',
  qmp: '/run/qmp.sock',
  console: '/run/console.sock',
  consoleLog: '/run/console.log',
  attest: '/run/attest.sock',
  /** Through which a state is saved and loaded, and asked what a disk holds. */
  state: '/run/state.sock',
  disk: '/run/disk.sock',
} as const;

/** QEMU's name for the file of a machine's own disk. */
export const DATA_NODE = 'data-file';

/** And for that of the encrypted disk at `index`: what lies in it is ciphertext. */
export function encryptedNode(index: number): string {
  return `disk-${String(index)}-file`;
}

/** The guest's name for its attestation port. */
export const ATTEST_PORT = 'org.ringwall.attest';

/** Translated code: QEMU's default of 1 GiB would be most of a small machine's memory limit. */
const TCG_CODE_MIB = 256;

export interface VmmArguments {
  readonly machine: string;
  readonly accelerator: Accelerator;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Of a template that its memory is until it writes to it; where there is none, its memory is a file of its own. */
  readonly templateFd?: number;
  /** What is booted instead of the boot loader on the first of `encrypted`; there is an attestation port then. */
  readonly direct?: {
    readonly commandLine: string;
    readonly systemFd: number;
    readonly data: { readonly fd: number; readonly bytes: number };
  };
  /** `control`: of swtpm's control channel. `commands`: raw TPM commands, to whoever stands before the TPM. */
  readonly tpm: { readonly channel: 'control' | 'commands'; readonly fd: number };
  /** Disks that QEMU itself encrypts, in the order in which the guest finds them. */
  readonly encrypted?: readonly EncryptedDiskArguments[];
  /** The tap of a card that can be plugged in later (card.ts). */
  readonly tapFd?: number;
  /** It boots nothing, and waits for a state that was saved. */
  readonly waiting?: boolean;
  /** The address of the card that is part of that state; its tap is `tapFd`. */
  readonly savedCard?: string;
}

/** A LUKS file: QEMU keeps the key while it runs, the guest sees a plain disk. */
export interface EncryptedDiskArguments {
  /** Up to 20 letters and digits: what virtio has room for. The guest finds it as /dev/disk/by-id/virtio-SERIAL. */
  readonly serial: string;
  readonly fd: number;
}

/** An option and its value, or several that belong together. */
export type Row = readonly string[];

/** Pure. */
export function qemuArgv(vm: VmmArguments): string[] {
  const rows: Row[] = [
    ['-name', option('', { guest: vm.machine })],
    ...machineArguments(vm.accelerator),
    ['-smp', option('', { cpus: vm.cpus, sockets: 1, cores: vm.cpus, threads: 1, maxcpus: vm.cpus })],
    ...memoryArguments(vm),
    ...firmwareArguments(),
    ...directArguments(vm.direct),
    ...(vm.encrypted ?? []).flatMap((disk, index) =>
      encryptedDiskArguments(disk, index, vm.direct === undefined && index === 0),
    ),
    ...randomArguments(),
    ...timeTravelArguments(),
    ...consoleArguments(),
    ...(vm.direct === undefined ? [] : portArguments()),
    ...tpmArguments(vm.tpm),
    ...cardArguments(vm),
    ...monitorArguments(),
    ...(vm.waiting === true ? [['-S', '-incoming', 'defer']] : []),
    ...sandboxArguments(),
  ];
  return [QEMU, ...rows.flat()];
}

/** Of x86. */
const HUGE_PAGE = '2M';

/**
 * Guest memory from a file that others may read: it need not leave QEMU to be saved. That of a template is mapped privately: the first
 * write to a page makes it the machine's own.
 */
function memoryArguments({ memoryMiB, templateFd }: Pick<VmmArguments, 'memoryMiB' | 'templateFd'>): Row[] {
  const size = `${String(memoryMiB)}M`;
  const path = templateFd === undefined ? VMM_PATHS.memory : `${VMM_PATHS.descriptors}/${String(templateFd)}`;
  // Huge pages are mapped only where file and mapping begin at one.
  const file = { id: 'memory', size, 'mem-path': path, share: templateFd === undefined, align: HUGE_PAGE };
  return [
    ['-m', size],
    ['-object', option('memory-backend-file', file)],
    ['-machine', option('', { 'memory-backend': 'memory' })],
  ];
}

/** Machine type, accelerator and processor, and nothing that QEMU would add by itself. */
export function machineArguments(accelerator: Accelerator): Row[] {
  const machine = { smm: 'off', hpet: 'off', 'mem-merge': 'off', 'dump-guest-core': 'off', vmport: 'off', usb: 'off' };
  return [
    ['-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'none', '-L', VMM_PATHS.roms],
    ['-machine', option('q35', machine)],
    ['-accel', accelerator === 'kvm' ? 'kvm' : option('tcg', { thread: 'multi', 'tb-size': TCG_CODE_MIB })],
    // The host's own extensions for guests inside guests stay with the host.
    ['-cpu', accelerator === 'kvm' ? option('host', { vmx: 'off', svm: 'off' }) : 'max'],
    // Suspend would keep secrets in a memory whose TPM has lost its state.
    ['-global', 'ICH9-LPC.disable_s3=1', '-global', 'ICH9-LPC.disable_s4=1'],
    // A reboot ends QEMU: each boot has an id, a TPM process and firmware variables of its own, so that the evidence of
    // one boot never speaks for the next. The machine is stopped then, until it is started again.
    ['-action', option('', { reboot: 'shutdown', shutdown: 'poweroff', panic: 'shutdown' })],
  ];
}

/** QEMU's own seccomp filter, on top of the jail's; it takes execve and fork away as well. */
export function sandboxArguments(): Row[] {
  const denied = { obsolete: 'deny', elevateprivileges: 'deny', spawn: 'deny', resourcecontrol: 'deny' };
  return [['-sandbox', option('on', denied)]];
}

/** `head,key=value,…`, as QEMU reads it: a comma inside a value is doubled. */
export function option(head: string, values: Readonly<Record<string, string | number | boolean>>): string {
  const pairs = Object.entries(values).map(([key, value]) => {
    const text = typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
    if (/[\0\n]/.test(text)) throw new RangeError(`${key} holds a character that no option may hold`);
    return `${key}=${text.replaceAll(',', ',,')}`;
  });
  return [...(head === '' ? [] : [head]), ...pairs].join(',');
}

function firmwareArguments(): Row[] {
  const code = { 'node-name': 'code', filename: VMM_PATHS.firmwareCode, 'read-only': true };
  // A copy of the pristine variables for this boot alone: what a guest writes there does not change what is measured at
  // its next boot.
  const variables = { 'node-name': 'variables', filename: VMM_PATHS.firmwareVariables };
  return [
    ['-blockdev', option('', { driver: 'file', ...code })],
    ['-blockdev', option('', { driver: 'file', ...variables })],
    ['-machine', option('', { pflash0: 'code', pflash1: 'variables' })],
  ];
}

function directArguments(direct: VmmArguments['direct']): Row[] {
  if (direct === undefined) return [];
  return [
    // The kernel gets its command line as it is.
    ['-kernel', VMM_PATHS.kernel, '-initrd', VMM_PATHS.initrd, '-append', direct.commandLine],
    ...diskArguments({ name: 'system', fd: direct.systemFd, readOnly: true, slot: 2 }),
    ...diskArguments({ name: 'data', fd: direct.data.fd, readOnly: false, slot: 3, bytes: direct.data.bytes }),
  ];
}

interface DiskArguments {
  readonly name: string;
  readonly fd: number;
  readonly readOnly: boolean;
  readonly slot: number;
  /** Where it is given, QEMU reads nothing of the disk before its guest does. */
  readonly bytes?: number;
}

function diskArguments(disk: DiskArguments): Row[] {
  const set = disk.slot;
  const writable = disk.readOnly ? {} : { discard: 'unmap', 'detect-zeroes': 'unmap' };
  const file = {
    driver: 'file',
    'node-name': `${disk.name}-file`,
    filename: `/dev/fdset/${set}`,
    'read-only': disk.readOnly,
    'auto-read-only': false,
    // Several machines share one system image, which nobody writes; a data disk has one user alone.
    locking: disk.readOnly ? 'off' : 'on',
    aio: 'threads',
    'cache.direct': false,
    'cache.no-flush': false,
    ...writable,
  };
  // The format is always named: a guest that writes another format's header into its disk stays a guest with that
  // header in its disk.
  const raw = {
    driver: 'raw',
    'node-name': disk.name,
    file: `${disk.name}-file`,
    'read-only': disk.readOnly,
    ...writable,
  };
  const geometry = disk.bytes === undefined ? {} : geometryOf(disk.bytes);
  const device = { drive: disk.name, serial: disk.name, addr: `0x${disk.slot.toString(16)}`, ...geometry, ...MODERN };
  return [
    ['-add-fd', option('', { fd: disk.fd, set })],
    ['-blockdev', option('', file)],
    ['-blockdev', option('', raw)],
    ['-device', option('virtio-blk-pci', device)],
  ];
}

const SECTOR_BYTES = 512;
const GEOMETRY = { heads: 16, secs: 63 } as const;
/** Of ATA. */
const MOST_CYLINDERS = 16_383;

/** What QEMU says of a disk without a table of partitions (hd_geometry_guess), for which it would read the first sector. */
function geometryOf(bytes: number): Readonly<Record<'cyls' | 'heads' | 'secs', number>> {
  const cylinders = Math.floor(bytes / SECTOR_BYTES / (GEOMETRY.heads * GEOMETRY.secs));
  return { cyls: Math.min(Math.max(cylinders, 2), MOST_CYLINDERS), ...GEOMETRY };
}

/** Behind those that every machine has; the slots up to 0x1e are free on q35. */
const FIRST_ENCRYPTED_SLOT = 0x8;
const MAX_ENCRYPTED_DISKS = 8;

/** Where QEMU reads the passphrase of the disk at `index`, once. */
export function keyPathOf(index: number): string {
  return `/run/disk-${String(index)}.key`;
}

/** Pure: one LUKS disk (docs/system/qemu-block-drivers, "LUKS encrypted disk images"). `boots`: the firmware looks there. */
function encryptedDiskArguments({ serial, fd }: EncryptedDiskArguments, index: number, boots: boolean): Row[] {
  if (!/^[a-z0-9]{1,20}$/.test(serial)) throw new RangeError('a serial number has up to 20 letters and digits');
  if (index >= MAX_ENCRYPTED_DISKS) throw new RangeError(`more than ${MAX_ENCRYPTED_DISKS} encrypted disks`);
  const slot = FIRST_ENCRYPTED_SLOT + index;
  const name = `disk-${String(index)}`;
  const file = {
    driver: 'file',
    'node-name': encryptedNode(index),
    filename: `/dev/fdset/${slot}`,
    'read-only': false,
    'auto-read-only': false,
    locking: 'on',
    aio: 'threads',
    'cache.direct': false,
    'cache.no-flush': false,
  };
  const place = { addr: `0x${slot.toString(16)}`, ...(boots ? { bootindex: 1 } : {}) };
  const device = { drive: name, serial, ...place, ...MODERN };
  return [
    ['-object', option('secret', { id: `${name}-key`, file: keyPathOf(index) })],
    ['-add-fd', option('', { fd, set: slot })],
    ['-blockdev', option('', file)],
    [
      '-blockdev',
      option('', { driver: 'luks', 'node-name': name, file: encryptedNode(index), 'key-secret': `${name}-key` }),
    ],
    ['-device', option('virtio-blk-pci', device)],
  ];
}

/** Virtio 1 alone: the older interface is code that no guest of ours uses. Addresses are fixed, since they are measured. */
export const MODERN = { 'disable-legacy': 'on', 'disable-modern': 'off' } as const;

function randomArguments(): Row[] {
  return [
    ['-object', 'rng-builtin,id=rng'],
    ['-device', option('virtio-rng-pci', { rng: 'rng', addr: '0x4', ...MODERN })],
  ];
}

/**
 * How a guest learns that it goes on from a saved state: an id (Microsoft's Virtual Machine Generation ID) that is another one for
 * each QEMU, which QEMU writes over the old one when a state is loaded, and tells the guest by an event of ACPI. The RTC follows
 * the host's clock across that; what a guest counts itself does not.
 */
function timeTravelArguments(): Row[] {
  return [
    ['-device', option('vmgenid', { guid: 'auto' })],
    ['-rtc', option('', { base: 'utc', clock: 'host' })],
  ];
}

function consoleArguments(): Row[] {
  const server = { server: 'on', wait: 'off' };
  const console_ = {
    id: 'console',
    path: VMM_PATHS.console,
    ...server,
    logfile: VMM_PATHS.consoleLog,
    logappend: 'on',
  };
  return [
    ['-chardev', option('socket', console_)],
    ['-serial', 'chardev:console'],
  ];
}

function portArguments(): Row[] {
  const attest = { id: 'attest', path: VMM_PATHS.attest, server: 'on', wait: 'off' };
  return [
    ['-device', option('virtio-serial-pci', { id: 'ports', max_ports: 2, addr: '0x5', ...MODERN })],
    ['-chardev', option('socket', attest)],
    ['-device', option('virtserialport', { bus: 'ports.0', nr: 1, chardev: 'attest', name: ATTEST_PORT })],
  ];
}

const TPM_SET = 4;

function tpmArguments({ channel, fd }: VmmArguments['tpm']): Row[] {
  if (channel === 'commands') {
    // What this backend writes and reads is one command and one response, on a device or on whatever else it was given.
    // It would cancel a command through a file of the kernel's driver. Its buffers are as large as TIS's, not CRB's.
    const backend = { id: 'tpm0', path: `/dev/fdset/${TPM_SET}`, 'cancel-path': '/dev/null' };
    return [
      ['-add-fd', option('', { fd, set: TPM_SET })],
      ['-tpmdev', option('passthrough', backend)],
      ['-device', option('tpm-tis', { tpmdev: 'tpm0' })],
    ];
  }
  return [
    ['-chardev', option('socket', { id: 'tpm', fd })],
    ['-tpmdev', option('emulator', { id: 'tpm0', chardev: 'tpm' })],
    ['-device', option('tpm-crb', { tpmdev: 'tpm0' })],
  ];
}

/** What a card is plugged into, and where it leads. */
const CARD = { bus: 'cards', netdev: 'card' } as const;
export const CARD_ID = 'card0';
export const CARD_DRIVER = 'virtio-net-pci';

/** The card with this address: the same where it is plugged in and where a state is loaded that has it. */
export function cardProperties(mac: string): Readonly<Record<string, string>> {
  // No ROM: firmware that comes with a card would be run, and measured, by the guest's next firmware.
  return { id: CARD_ID, bus: CARD.bus, addr: '0x0', netdev: CARD.netdev, mac, romfile: '', ...MODERN };
}

/**
 * Every machine has the place for a card, so that all machines measure the same. The card itself comes when the guest has proven
 * what it is: until then neither firmware nor guest sees anything of a network. A state that was saved with it is loaded into one
 * that is there from the beginning (docs/devel/migration of QEMU: both sides have the same devices).
 */
function cardArguments({ tapFd, savedCard }: Pick<VmmArguments, 'tapFd' | 'savedCard'>): Row[] {
  const port = { id: CARD.bus, bus: 'pcie.0', addr: '0x6', chassis: 1, 'io-reserve': 0 };
  const rows: Row[] = [['-device', option('pcie-root-port', port)]];
  if (tapFd !== undefined) rows.push(['-netdev', option('tap', { id: CARD.netdev, fd: tapFd })]);
  if (savedCard !== undefined) rows.push(['-device', option(CARD_DRIVER, cardProperties(savedCard))]);
  return rows;
}

function monitorArguments(): Row[] {
  const monitor = { id: 'qmp', path: VMM_PATHS.qmp, server: 'on', wait: 'off' };
  return [
    ['-chardev', option('socket', monitor)],
    ['-mon', option('', { chardev: 'qmp', mode: 'control' })],
  ];
}
