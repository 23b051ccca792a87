// The programs of the host that Ringwall drives, as Debian packages.
import type { HostCheck } from './finding.ts';

interface Component {
  readonly name: string;
  readonly does: string;
}

const COMPONENTS: readonly Component[] = [
  { name: 'qemu-system-x86', does: 'runs the machines' },
  { name: 'ovmf', does: 'is the machines’ firmware, which measures what it boots' },
  { name: 'swtpm', does: 'is the machines’ TPM' },
  { name: 'bubblewrap', does: 'builds the jails of VMMs and TPMs' },
  { name: 'cryptsetup-bin', does: 'makes system images that verify themselves' },
  { name: 'nftables', does: 'holds the walls between machines of a network' },
  { name: 'iproute2', does: 'connects machines to their networks' },
  { name: 'conntrack', does: 'ends the connections of a machine that loses its network' },
  { name: 'mmdebstrap', does: 'builds the debian image' },
];

export const COMPONENT_CHECKS: readonly HostCheck[] = COMPONENTS.map(({ name, does }) => ({
  id: `component.${name}`,
  title: name,
  present: `${name} ${does}`,
  missing: `${name} ${does}: without it that does not work`,
  hint: `apt-get install ${name}`,
  look: async (host) => {
    const version = (await host.packages([name])).get(name);
    return { present: version !== undefined, seen: version ?? 'not installed' };
  },
}));
