// Where everything of one Ringwall instance lies. Paths are made here and nowhere else, from two directories that root
// chose and ids that match their patterns: nothing that came over a socket can become a path.
import { join } from 'node:path';
import {
  DISK_ID,
  IMAGE_NAME,
  MACHINE_ID,
  NETWORK_ID,
  RingwallError,
  SNAPSHOT_ID,
  type DiskId,
  type MachineId,
  type NetworkId,
  type SnapshotId,
} from '@ringwall/api';
import { LUKS_FILE } from '@ringwall/host/disk';
import { WITNESS_PORT_NAME, WITNESS_STATES_NAME } from '@ringwall/host/witness';

export interface Layout {
  readonly state: string;
  readonly run: string;
  /** warden/: root's own. */
  readonly warden: string;
  readonly hostKey: string;
  /** One file: the CA's certificate and its wrapped key. */
  readonly ca: string;
  /** Where the host's own TPM is, if not at the kernel's device. */
  readonly hostTpm: string;
  /** The key by which this host stands for what its images measure, wrapped. */
  readonly referenceKey: string;
  readonly log: string;
  /** Made by root where packets of machines may be looked at. */
  readonly captureConsent: string;
  /** Written by root where networks may get out: how. */
  readonly egress: string;
  /** Root's word that machines may be mirrored: see consent.ts. */
  readonly mirrorConsent: string;
  readonly images: string;
  /** What each image is expected to measure (see expected-image.ts). */
  readonly expected: string;
  readonly records: string;
  readonly machines: string;
  readonly runMachines: string;
  /** Imported disks: what is recorded of them, their files, and the jails in which they are written. */
  readonly diskRecords: string;
  readonly disks: string;
  /** Sealed: root's own all the same. */
  readonly snapshots: string;
  /** Disks of templates, as their guests have encrypted them, while those are held. */
  readonly templates: string;
  readonly runDisks: string;
  /** What is wanted of each network, and the files that pin their namespaces. */
  readonly networks: string;
  readonly runNetworks: string;
  /** Pins the namespace by which they get out. */
  readonly edge: string;
  /** Jails and sockets of tunnels, which other users have to pass through. */
  readonly runTunnels: string;
  /** The same of switches, with their databases. */
  readonly runSwitches: string;
  /** run/warden/: root:ringwall 0750, so that only ringwalld gets as far as the socket. */
  readonly socketDir: string;
  readonly socket: string;
  /** Sockets without a name are made here; only root may enter. */
  readonly private: string;
  /** The probe guest's, and what came of it. */
  readonly probe: string;
  /** The image builder's own: its packages, kept between builds. */
  readonly builder: string;
}

/** Of one machine. `record*` is root's own and decides; `data*` holds what is large; `run*` lives as long as a boot. */
export interface MachineLayout {
  readonly id: MachineId;
  readonly record: string;
  readonly spec: string;
  readonly tpmKey: string;
  readonly ekCertificate: string;
  readonly lastConsole: string;
  /** Of a clone that went on from memory: that it did, so that its disk is its own. */
  readonly used: string;
  readonly data: string;
  readonly disk: string;
  readonly tpmState: string;
  /** Disk and TPM of before, while it is put back to a snapshot. */
  readonly before: string;
  readonly snapshots: string;
  readonly runDir: string;
  readonly boot: string;
  /** That the boot is admitted to its network. */
  readonly admission: string;
  /** Its guest may stand still because we save it, and not by anybody's order. */
  readonly saving: string;
  readonly vmmDir: string;
  /** Of the file that its guest's memory is. */
  readonly memoryDir: string;
  readonly tpmDir: string;
  /** Of whoever speaks for a guest that cannot: its run directory, and where it is spoken to. */
  readonly witnessDir: string;
  readonly witnessSocket: string;
  /** And where it is saved, and told what it goes on from. */
  readonly witnessStates: string;
  readonly qmpSocket: string;
  /** Through which its state is loaded, and QEMU is asked what its disk holds. */
  readonly stateSocket: string;
  readonly diskSocket: string;
  readonly consoleSocket: string;
  readonly attestSocket: string;
  readonly consoleLog: string;
}

/** Of one imported disk. */
export interface DiskLayout {
  readonly id: DiskId;
  readonly record: string;
  readonly spec: string;
  /** SHA-256 of each chunk that lies on the disk for good, one after the other. */
  readonly digests: string;
  /** Of the file alone: it belongs to the jail that writes it. */
  readonly data: string;
  readonly file: string;
  /** Of before, while its machine is put back to a snapshot. */
  readonly before: string;
  readonly runDir: string;
}

/** Of one network. */
export interface NetworkLayout {
  readonly id: NetworkId;
  readonly record: string;
  /** Pins its namespace until the host is booted anew. */
  readonly pin: string;
  /** What is known of its other hosts. */
  readonly peers: string;
  /** Whose cables are mirrored, and what pins the namespace where they are listened to. */
  readonly mirror: string;
  readonly mirrorPin: string;
  /** Sockets and jails of its tunnels, while they stand. */
  readonly tunnels: string;
}

export function layoutOf(state: string, run: string): Layout {
  const warden = join(state, 'warden');
  const socketDir = join(run, 'warden');
  return {
    state,
    run,
    warden,
    hostKey: join(warden, 'host.key'),
    ca: join(warden, 'ca.json'),
    hostTpm: join(warden, 'host-tpm.json'),
    referenceKey: join(warden, 'reference.key'),
    log: join(warden, 'log'),
    captureConsent: join(warden, 'allow-capture'),
    egress: join(warden, 'egress.json'),
    mirrorConsent: join(warden, 'allow-mirror'),
    images: join(state, 'images'),
    expected: join(warden, 'expected'),
    records: join(warden, 'machines'),
    machines: join(state, 'machines'),
    runMachines: join(run, 'machines'),
    diskRecords: join(warden, 'disks'),
    disks: join(state, 'disks'),
    snapshots: join(state, 'snapshots'),
    templates: join(state, 'templates'),
    runDisks: join(run, 'disks'),
    networks: join(warden, 'networks'),
    runNetworks: join(run, 'networks'),
    edge: join(run, 'networks', 'edge'),
    runTunnels: join(run, 'tunnels'),
    runSwitches: join(run, 'switches'),
    socketDir,
    socket: join(socketDir, 'warden.sock'),
    private: join(run, 'private'),
    probe: join(run, 'probe'),
    builder: join(state, 'builder'),
  };
}

export function machineLayout(layout: Layout, id: string): MachineLayout {
  if (!isMachineId(id)) throw new RingwallError('bad-request', 'not a machine id');
  const record = join(layout.records, id);
  const data = join(layout.machines, id);
  const runDir = join(layout.runMachines, id);
  const vmmDir = join(runDir, 'vmm');
  const witnessDir = join(runDir, 'witness');
  return {
    id,
    record,
    spec: join(record, 'spec.json'),
    tpmKey: join(record, 'tpm-state.key'),
    ekCertificate: join(record, 'ek-certificate.der'),
    lastConsole: join(record, 'console.log'),
    used: join(record, 'used'),
    data,
    disk: join(data, 'disk.img'),
    tpmState: join(data, 'tpm'),
    before: join(data, 'before'),
    snapshots: join(layout.snapshots, id),
    runDir,
    boot: join(runDir, 'boot.json'),
    admission: join(runDir, 'admission.json'),
    saving: join(runDir, 'saving'),
    vmmDir,
    memoryDir: join(runDir, 'memory'),
    tpmDir: join(runDir, 'tpm'),
    witnessDir,
    witnessSocket: join(witnessDir, WITNESS_PORT_NAME),
    witnessStates: join(witnessDir, WITNESS_STATES_NAME),
    qmpSocket: join(vmmDir, 'qmp.sock'),
    stateSocket: join(vmmDir, 'state.sock'),
    diskSocket: join(vmmDir, 'disk.sock'),
    consoleSocket: join(vmmDir, 'console.sock'),
    attestSocket: join(vmmDir, 'attest.sock'),
    consoleLog: join(vmmDir, 'console.log'),
  };
}

/** In the place of a TPM's state: the machine came from elsewhere, and is in its snapshot alone. It goes where that state goes. */
export function notYetBack({ tpmState }: MachineLayout): string {
  return join(tpmState, 'not-yet-back');
}

export function diskLayout(layout: Layout, id: string): DiskLayout {
  if (!isDiskId(id)) throw new RingwallError('bad-request', 'not a disk id');
  const record = join(layout.diskRecords, id);
  const data = join(layout.disks, id);
  return {
    id,
    record,
    spec: join(record, 'spec.json'),
    digests: join(record, 'digests'),
    data,
    file: join(data, LUKS_FILE),
    before: join(data, 'before.luks'),
    runDir: join(layout.runDisks, id),
  };
}

export function networkLayout(layout: Layout, id: string): NetworkLayout {
  if (!isNetworkId(id)) throw new RingwallError('bad-request', 'not a network id');
  return {
    id,
    record: join(layout.networks, `${id}.json`),
    peers: join(layout.networks, `${id}.peers`),
    pin: join(layout.runNetworks, id),
    mirror: join(layout.networks, `${id}.mirror`),
    mirrorPin: join(layout.runNetworks, `${id}.mirror`),
    tunnels: join(layout.runTunnels, id),
  };
}

export function snapshotFile(layout: Layout, machine: MachineId, id: string): string {
  if (!isSnapshotId(id)) throw new RingwallError('bad-request', 'not a snapshot id');
  return join(machineLayout(layout, machine).snapshots, `${id}.sealed`);
}

export function templateDisk(layout: Layout, id: string): string {
  if (!isSnapshotId(id)) throw new RingwallError('bad-request', 'not a snapshot id');
  return join(layout.templates, `${id}.img`);
}

export function imageDir(layout: Layout, name: string): string {
  if (!IMAGE_NAME.test(name)) throw new RingwallError('bad-request', 'not an image name');
  return join(layout.images, name);
}

/** Where the warden keeps what an image is expected to be. */
export function expectedDir(layout: Layout, name: string): string {
  if (!IMAGE_NAME.test(name)) throw new RingwallError('bad-request', 'not an image name');
  return join(layout.expected, name);
}

export function isMachineId(name: string): name is MachineId {
  return MACHINE_ID.test(name);
}

export function isNetworkId(name: string): name is NetworkId {
  return NETWORK_ID.test(name);
}

export function isDiskId(name: string): name is DiskId {
  return DISK_ID.test(name);
}

function isSnapshotId(name: string): name is SnapshotId {
  return SNAPSHOT_ID.test(name);
}
