// From what somebody asked for to the machine that will be made, or the reason why not: pure, before anything is touched.
import {
  type CreateMachine,
  FOREIGN_IMAGE,
  type Image,
  IMAGE_NAME,
  MACHINE_DEFAULTS,
  MACHINE_LIMITS,
  type MachineSpec,
  RingwallError,
  type DiskId,
} from '@ringwall/api';
import type { Disk } from '@ringwall/api/disks';
import type { WardenResponse } from '@ringwall/api/warden';
import type { WatchMode } from '@ringwall/api/watch';
import { checkMachineName, freeName } from './names.ts';

/** On an image of few programs, any other is a stranger. On a whole Debian somebody installs what they need. */
const WATCH_OF_IMAGE: ReadonlyMap<string, WatchMode> = new Map([['hello', 'enforce']]);

export interface PlanFacts {
  readonly images: readonly Pick<Image, 'name' | 'built'>[];
  readonly capacity: WardenResponse<'host-capacity'>;
  readonly takenNames: ReadonlySet<string>;
  /** Imported disks, each with the machine that has it. */
  readonly disks: readonly PlannedDisk[];
}

export interface PlannedDisk extends Pick<Disk, 'id' | 'name' | 'status'> {
  readonly machine?: string | undefined;
}

export interface MachinePlan {
  readonly name: string;
  readonly spec: MachineSpec;
}

export function planMachine(request: CreateMachine, facts: PlanFacts): MachinePlan {
  if (request.image === FOREIGN_IMAGE) checkForeign(request);
  else checkImage(request.image, facts.images);
  const name = request.name ?? freeName(request.image, facts.takenNames);
  checkMachineName(name);
  if (facts.takenNames.has(name)) {
    throw new RingwallError('name-taken', `there is a machine named ${name} already`, {
      hint: `choose another name, or remove that machine first: ringwall rm ${name}`,
    });
  }
  const sizes = {
    cpus: request.cpus ?? MACHINE_DEFAULTS.cpus,
    memoryMiB: request.memoryMiB ?? MACHINE_DEFAULTS.memoryMiB,
    diskMiB: request.diskMiB ?? MACHINE_DEFAULTS.diskMiB,
  };
  for (const dimension of DIMENSIONS) checkSize(dimension, sizes[dimension.key], facts.capacity[dimension.key]);
  const ownWatch = request.image === FOREIGN_IMAGE ? 'off' : (WATCH_OF_IMAGE.get(request.image) ?? 'report');
  const watch = request.watch ?? ownWatch;
  const { encryption = 'guest', clones } = request;
  const disks = (request.attach ?? []).map((disk) => findDisk(disk, facts.disks));
  if (new Set(disks).size !== disks.length) {
    throw new RingwallError('spec-invalid', 'a disk is attached twice', { hint: 'name each disk once by --attach' });
  }
  const attached = disks.length === 0 ? {} : { disks };
  if (request.network === undefined && request.labels !== undefined) {
    throw new RingwallError('spec-invalid', 'labels are for the rules of a network, and none is named', {
      hint: 'name it by --network; see which there are: ringwall network ls',
    });
  }
  return {
    name,
    spec: {
      ...{ image: request.image, ...sizes, isolation: 'vm', running: false, watch, encryption },
      ...(clones === undefined ? {} : { clones }),
      ...attached,
    },
  };
}

function findDisk(name: string, disks: PlanFacts['disks']): DiskId {
  const disk = disks.find((each) => each.name === name || each.id === name);
  if (disk === undefined) {
    throw new RingwallError('not-found', `there is no disk ${JSON.stringify(name.slice(0, 64))}`, {
      hint: 'see which there are: ringwall disks',
    });
  }
  if (disk.status.phase !== 'ready') {
    throw new RingwallError('conflict', `the disk ${disk.name} is ${disk.status.phase}`, {
      hint: 'only a disk that was imported whole can be attached: ringwall disk import goes on',
    });
  }
  if (disk.machine !== undefined) {
    throw new RingwallError('conflict', `the machine ${disk.machine} has the disk ${disk.name}`, {
      hint: 'a disk has one machine: import the image once more under another name',
    });
  }
  return disk.id;
}

/** Its system is its own: nothing in it would answer a watch, and it runs only once its disk is there. */
function checkForeign(request: CreateMachine): void {
  if (request.watch !== undefined && request.watch !== 'off') {
    throw new RingwallError(
      'spec-invalid',
      `a system that is not Ringwall's cannot be watched (--watch ${request.watch})`,
      {
        hint: 'leave --watch out: what it boots is proven, what it runs later is not',
      },
    );
  }
  if (request.encryption !== undefined) {
    throw new RingwallError(
      'spec-invalid',
      'the disk of a system that is not Ringwall’s is what that system makes of it',
      {
        hint: 'leave --encryption out',
      },
    );
  }
  if (request.clones === 'allow') {
    throw new RingwallError('spec-invalid', 'a machine with a system of its own cannot be cloned yet', {
      hint: 'leave --clones out',
    });
  }
  if (request.attach === undefined || request.attach.length === 0) {
    throw new RingwallError('bad-request', 'a system that is not Ringwall’s comes on a disk, and none is named', {
      hint: 'bring one with --disk-image, or name one that was imported: --attach DISK',
    });
  }
}

export function checkImage(image: string, images: PlanFacts['images']): void {
  if (images.some((known) => known.name === image)) return;
  const named = IMAGE_NAME.test(image) ? image : 'of this name';
  throw new RingwallError('image-unknown', `there is no image ${named}`, {
    hint: `the images are: ${images.map((known) => known.name).join(', ') || 'none'}`,
  });
}

interface Dimension {
  readonly key: keyof typeof MACHINE_LIMITS;
  readonly title: string;
  readonly unit: string;
  readonly option: string;
}

const DIMENSIONS: readonly Dimension[] = [
  { key: 'cpus', title: 'cpus', unit: '', option: '--cpus' },
  { key: 'memoryMiB', title: 'memory', unit: ' MiB', option: '--memory' },
  { key: 'diskMiB', title: 'disk', unit: ' MiB', option: '--disk' },
];

function checkSize({ key, title, unit, option }: Dimension, size: number, capacity: number): void {
  const { min, max } = MACHINE_LIMITS[key];
  if (!Number.isSafeInteger(size) || size < min || size > max) {
    throw new RingwallError(
      'spec-invalid',
      `${title} ${String(size)}${unit}, expected a whole number of ${String(min)}..${String(max)}${unit}`,
      { hint: `say how much by ${option}` },
    );
  }
  if (size > capacity) {
    throw new RingwallError(
      'host-full',
      `${title} ${String(size)}${unit}, this host has ${String(capacity)}${unit} to give`,
      {
        hint: `ask for less by ${option}, or stop or remove other machines`,
      },
    );
  }
}
