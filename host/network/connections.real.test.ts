// Connections in a kernel's own list: those that may not begin any more end, and no others.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runChecked } from '../exec/index.ts';
import { beginningsIn, endConnections, type Beginning } from './connections.ts';
import { NEEDS_PACKETS, Testbed } from './testing/testbed.ts';

const [ONE, TWO, ONE6, TWO6] = ['10.20.0.1', '10.20.0.2', 'fd00:20::1', 'fd00:20::2'];
const STANDING = [
  ...[40_001, 40_002].map((port) => `-p tcp -s ${ONE} -d ${TWO} --sport ${port} --dport 80 --state ESTABLISHED`),
  `-p tcp -s ${ONE} -d ${TWO} --sport 40001 --dport 81 --state ESTABLISHED`,
  `-p tcp -s ${TWO} -d ${ONE} --sport 40001 --dport 80 --state ESTABLISHED`,
  `-p tcp -s ${ONE6} -d ${TWO6} --sport 40001 --dport 80 --state ESTABLISHED`,
  `-p udp -s ${ONE} -d ${TWO} --sport 40001 --dport 80`,
  `-p icmp -s ${ONE} -d ${TWO} --icmp-type 8 --icmp-code 0 --icmp-id 7`,
  `-p icmpv6 -s ${ONE6} -d ${TWO6} --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7`,
  `-p gre -s ${ONE} -d ${TWO} --srckey 1 --dstkey 2`,
  `-p 50 -s ${ONE} -d ${TWO}`,
];
/** What is listed of all of them. */
const ALL = [
  ...[`${ONE} ${TWO} 6 80`, `${ONE} ${TWO} 6 81`, `${TWO} ${ONE} 6 80`, `${ONE} ${TWO} 17 80`],
  ...[`${ONE} ${TWO} 1 8`, `${ONE} ${TWO} 47 0`, `${ONE} ${TWO} 50 0`],
  ...[`${ONE6} ${TWO6} 6 80`, `${ONE6} ${TWO6} 58 128`],
];

const RULES = `table inet t {
  chain c {
    type filter hook input priority 0;
    ct state new accept
  }
}`;

describe.skipIf(NEEDS_PACKETS !== '')(`connections that the kernel follows${NEEDS_PACKETS}`, () => {
  let bed: Testbed;
  beforeAll(async () => {
    bed = await Testbed.open([]);
    // The kernel follows connections where a rule speaks of them.
    await runChecked(bed.inside, ['/usr/sbin/nft', '-f', '-'], { input: RULES });
    for (const each of STANDING) {
      await runChecked(bed.inside, ['/usr/sbin/conntrack', '-I', ...each.split(' '), '--timeout', '600']);
    }
  });
  afterAll(async () => {
    await bed[Symbol.asyncDispose]();
  });

  const standing = async (): Promise<string[]> => {
    const { stdout } = await runChecked(bed.inside, ['/usr/sbin/conntrack', '-L']);
    return beginningsIn(stdout.toString())
      .map(({ from, to, protocol, number }) => `${from.text} ${to.text} ${protocol} ${number}`)
      .toSorted();
  };

  test('are listed by how they began', async () => {
    expect(await standing()).toEqual(ALL.toSorted());
    expect(await endConnections(bed.inside, () => true)).toBe(0);
    expect(await standing()).toEqual(ALL.toSorted());
  });

  test.each(ALL)('%s: ends where it may not begin any more, and no other does', async (which) => {
    const before = await standing();
    const isIt = ({ from, to, protocol, number }: Beginning): boolean =>
      `${from.text} ${to.text} ${protocol} ${number}` === which;
    expect(await endConnections(bed.inside, (begun) => !isIt(begun))).toBe(1);
    expect(await standing()).toEqual(before.filter((each) => each !== which));
  });

  test('are all forgotten where too many ways to begin may not any more', async () => {
    const ports = Array.from({ length: 600 }, (_, index) => index + 1);
    const lines = ports.map(
      (port) =>
        `-I -p udp -s ${ONE} -d ${TWO} --sport 7000 --dport ${port} --timeout 600\n-I -p udp -s ${TWO} -d ${ONE} --sport 7000 --dport ${port} --timeout 600\n`,
    );
    await runChecked(bed.inside, ['/bin/sh', '-c', 'cat | conntrack -R -'], { input: lines.join('') });
    expect(await standing()).toHaveLength(1_200);
    expect(await endConnections(bed.inside, ({ number }) => number > 10)).toBe(20);
    expect(await standing()).toHaveLength(1_180);
    expect(await endConnections(bed.inside, ({ from }) => from.text === ONE)).toBe(590);
    expect(await standing()).toEqual([]);
  });
});

test('what a listing has of other kinds is passed over', () => {
  const hostile = 'tcp 6 src=10.0.0.1\nunknown 999 src=10.0.0.1\n\ntcp      6 1 dst=x src=y\n';
  expect(beginningsIn(hostile)).toEqual([]);
});
