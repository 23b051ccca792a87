// The files of the host without which no TPM or no VMM starts, and the Debian package that each comes from: looked for
// before anything is made, so that what is missing is said in one sentence with its remedy.
import { isThere } from '@ringwall/control/files';
import { RingwallError } from '@ringwall/api';
import { OPENVSWITCH_PROGRAMS } from '@ringwall/host/network/openvswitch';
import { FIRMWARE_CODE, FIRMWARE_VARS } from '@ringwall/host/guestimage';

export interface Component {
  readonly path: string;
  readonly package: string;
}

export const TPM_COMPONENTS: readonly Component[] = [
  { path: '/usr/bin/swtpm', package: 'swtpm' },
  { path: '/usr/bin/bwrap', package: 'bubblewrap' },
  { path: '/usr/bin/setpriv', package: 'util-linux' },
];

export const VMM_COMPONENTS: readonly Component[] = [
  { path: '/usr/bin/qemu-system-x86_64', package: 'qemu-system-x86' },
  { path: FIRMWARE_CODE, package: 'ovmf' },
  { path: FIRMWARE_VARS, package: 'ovmf' },
  ...TPM_COMPONENTS,
];

export const DISK_COMPONENTS: readonly Component[] = [
  { path: '/usr/bin/fallocate', package: 'util-linux' },
  { path: '/usr/bin/qemu-nbd', package: 'qemu-utils' },
  { path: '/usr/bin/bwrap', package: 'bubblewrap' },
];

export const NETWORK_COMPONENTS: readonly Component[] = [
  { path: '/usr/sbin/ip', package: 'iproute2' },
  { path: '/usr/sbin/nft', package: 'nftables' },
  { path: '/usr/sbin/conntrack', package: 'conntrack' },
  { path: '/usr/bin/perl', package: 'perl-base' },
];

export const SWITCH_COMPONENTS: readonly Component[] = [
  ...NETWORK_COMPONENTS,
  ...Object.values(OPENVSWITCH_PROGRAMS).map((path) => ({ path, package: 'openvswitch-switch' })),
];

/** Throws `host-lacks`, naming every package that is missing. */
export async function requireComponents(components: readonly Component[]): Promise<void> {
  const missing: Component[] = [];
  for (const component of components) if (!(await isThere(component.path))) missing.push(component);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((component) => component.package))].join(' ');
  const paths = missing.map(({ path }) => path).join(', ');
  throw new RingwallError('host-lacks', `this host has no ${paths}`, { hint: `apt-get install ${packages}` });
}
