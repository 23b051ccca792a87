// Decides which kernel modules the initrd carries and in which order they load. Debian's kernel package brings no
// modules.dep (depmod writes it at installation), so the dependencies are read from the modules themselves.
import { basename } from 'node:path';
import { RingwallError } from '@ringwall/api';

/** The lists in the order in which the guest loads them; see load_all_drivers in apps/guest/initrd/devices.sh. */
export const DRIVERS = {
  /** The port to the broker, and disks. The TPM's driver is built in. */
  port: ['virtio_pci', 'virtio_console', 'virtio_blk'],
  /** The encrypted disk. */
  disk: [
    'virtio_rng',
    'dm_crypt',
    'aesni_intel', // AES in hardware where the CPU has it
    'ecb', // xts asks for it by name only
    'xts',
    'algif_skcipher', // how cryptsetup decrypts a keyslot
  ],
  /** The read-only system image. */
  system: [
    'sha256_ssse3', // dm-verity by vector instructions
    'dm_verity',
    'squashfs',
  ],
  /** A network card, which may be plugged in once the machine is trusted; what notices that is built in. */
  network: ['virtio_net'],
  /** The power button, so that a guest can be asked to stop. */
  button: ['button', 'evdev'],
  /** Only for a system that wants a writable root. */
  overlay: ['overlay'],
  /** Only for a disk whose sectors carry tags. */
  integrity: ['dm_integrity', 'authenc'],
} as const satisfies Record<string, readonly string[]>;

export interface ModuleSource {
  /** Where each module lies, by its name; see `moduleName`. */
  readonly paths: ReadonlyMap<string, string>;
  /** The names of the modules that this one needs. */
  readonly dependenciesOf: (path: string) => Promise<readonly string[]>;
}

/** `drivers/md/dm-mod.ko` is the module `dm_mod`: the kernel takes dashes for underscores. */
export function moduleName(path: string): string {
  return basename(path).replace(/\.ko$/, '').replaceAll('-', '_');
}

/** The paths of the wanted modules and all that they need, each once, a module after everything it needs. */
export async function loadOrder(wanted: readonly string[], source: ModuleSource): Promise<string[]> {
  const order: string[] = [];
  const done = new Set<string>();
  const visit = async (name: string, trail: readonly string[]): Promise<void> => {
    if (done.has(name)) return;
    if (trail.includes(name)) {
      throw new RingwallError('image-failed', `kernel modules need each other: ${[...trail, name].join(' → ')}`);
    }
    const path = source.paths.get(name);
    if (path === undefined) {
      throw new RingwallError('image-failed', `the kernel package has no module ${[...trail, name].join(' → ')}`, {
        hint: 'the package is not the cloud kernel that Ringwall knows; see DRIVERS in host/guestimage/modules.ts',
      });
    }
    for (const needed of await source.dependenciesOf(path)) await visit(needed.replaceAll('-', '_'), [...trail, name]);
    done.add(name);
    order.push(path);
  };
  for (const name of wanted) await visit(name, []);
  return order;
}
