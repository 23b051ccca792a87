// The DHCP clients of Debian and of busybox, run where a stand-in machine is, in a jail of mounts so that they change nothing of the
// host's; and a question of DHCP, byte by byte, as a guest would forge it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { run, type RunResult } from '../../exec/index.ts';
import type { Station } from './testbed.ts';

const DHCPCD = '/usr/sbin/dhcpcd';
const BUSYBOX = '/usr/bin/busybox';
export const NEEDS_CLIENTS: string = [DHCPCD, BUSYBOX].every((file) => existsSync(file))
  ? ''
  : ' (skipped: needs dhcpcd-base and busybox-static)';

/** Some seconds for both families: it waits before it asks, and before it takes an address. */
const TIMEOUT_MS = 120_000;
const CLEAN = 'ip address flush dev eth0 scope global; ip route flush dev eth0; ip link set eth0 up';
/** Has the kernel forget its address of the link and its router, and ask for one. */
const ANEW = 'for off in 1 0; do echo $off > /proc/sys/net/ipv6/conf/eth0/disable_ipv6; done';

/** Runs a shell in the station's network, with folders of its own where clients keep what they know. */
export function inStation({ child }: Station, script: string): Promise<RunResult> {
  const folders = 'for d in /run /var/lib /etc; do mount -t tmpfs none "$d"; done; mkdir /run/dhcpcd /var/lib/dhcpcd';
  const enter = ['/usr/bin/nsenter', `--net=/proc/${child.pid ?? 0}/ns/net`, '/usr/bin/unshare', '--mount', '--'];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  return run([...enter, '/bin/sh', '-euc', `${folders}\n${script}`], { timeoutMs: TIMEOUT_MS, env });
}

/** What dhcpcd makes of an interface that knows nothing: its addresses, routes and resolvers. */
export async function dhcpcd(station: Station): Promise<string> {
  const config = 'noarp\\nnodelay\\noption classless_static_routes, domain_name_servers, domain_search, host_name\\n';
  const script = `
    ${CLEAN}
    ${ANEW}
    printf '${config}' > /etc/conf
    printf '#!/bin/sh\\nset > /run/said-"$reason"\\n' > /run/hook; chmod 755 /run/hook
    ${DHCPCD} -B -q -f /etc/conf -c /run/hook eth0 2> /run/log & client=$!
    for i in $(seq 600); do [ -e /run/said-BOUND ] && [ -e /run/said-BOUND6 ] && break; sleep 0.1; done
    ip -o address show dev eth0 scope global; ip -o route; ip -o -6 route
    grep -h -E '^new_(dhcp6_)?(domain|host)_?name' /run/said-* || true
    kill -9 $client; cat /run/log`;
  const result = await inStation(station, script);
  return result.stdout.toString() + result.stderr.toString();
}

/** What busybox's client makes of it: its lease, or `no lease`. */
export async function udhcpc(station: Station): Promise<string> {
  const script = `
    ${CLEAN}
    cat > /run/hook <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev eth0; ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1
echo "$ip/$mask $staticroutes $dns $hostname"
END
    chmod 755 /run/hook
    ${BUSYBOX} udhcpc -i eth0 -f -q -n -t 4 -T 1 -O 121 -s /run/hook 2>&1`;
  const text = (await inStation(station, script)).stdout.toString();
  return /^\d+\.\d+\.\d+\.\d+\/.*$/m.exec(text)?.[0] ?? 'no lease';
}

/** What the `hello` image makes of its card, with its own scripts and nothing but busybox: the addresses, the routes, who knows names. */
export async function helloGuest(station: Station): Promise<string> {
  const scripts = join(import.meta.dirname, '../../../apps/guest/hello');
  const script = `
    ${CLEAN}
    mkdir /run/ringwall; echo ${station.machine.name} > /run/ringwall/name
    mkdir /run/bin; ${BUSYBOX} --install -s /run/bin; PATH=/run/bin
    cp -r ${scripts} /run/hello; chmod 755 /run/hello/*
    ${ANEW}
    sh /run/hello/network & client=$!
    sh /run/hello/network6 >/dev/null 2>&1 & client6=$!
    for i in $(seq 600); do
      [ -e /run/resolv.conf ] && ip -6 address show dev eth0 scope global | grep -v tentative | grep -q inet6 &&
        ip -6 route | grep -q ^default && break
      sleep 0.1
    done
    ip address show dev eth0; ip route; ip -6 route; cat /run/resolv.conf
    kill -9 $client $client6`;
  const result = await inStation(station, script);
  return result.stdout.toString() + result.stderr.toString();
}

/** DHCPDISCOVER (RFC 2131, table 5) of a card, with a number that its answers repeat. */
export function discover(mac: string, xid: string): string {
  const fixed = `01010600${xid}00000000${'0'.repeat(32)}${mac.replaceAll(':', '')}${'0'.repeat(20)}`;
  return `${fixed}${'0'.repeat(384)}63825363350101ff`;
}
