// A network namespace of a tenant network: pinned by a file of ours (ip-netns(8) without its common folder), it routes between its
// cables and is nobody's host. The machine's own interfaces, routes and firewall are never touched: each command runs inside.
import { mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import { GATEWAY_IPV4 } from '@ringwall/netpolicy';
import { runChecked, type Run } from '../exec/index.ts';

const UNSHARE = '/usr/bin/unshare';
const NSENTER = '/usr/bin/nsenter';
const UMOUNT = '/usr/bin/umount';
const SHELL = '/bin/sh';

/**
 * Settings of a router that believes nobody, for `all` and for what comes later (`default`): packets are forwarded; sources must be
 * where their route leads (rp_filter, RFC 3704); no redirects, source routes or router advertisements are taken or given; ARP
 * is answered for addresses of the very interface or the loopback, and what is not asked for is not learned.
 */
const SETTINGS: readonly string[] = [
  'ipv4/ip_forward=1',
  ...['all', 'default'].flatMap((scope) => [
    `ipv4/conf/${scope}/rp_filter=1`,
    `ipv4/conf/${scope}/accept_redirects=0`,
    `ipv4/conf/${scope}/send_redirects=0`,
    `ipv4/conf/${scope}/accept_source_route=0`,
    `ipv4/conf/${scope}/arp_accept=0`,
    `ipv4/conf/${scope}/proxy_arp=0`,
    `ipv6/conf/${scope}/forwarding=1`,
    `ipv6/conf/${scope}/accept_ra=0`,
    `ipv6/conf/${scope}/accept_redirects=0`,
    `ipv6/conf/${scope}/accept_source_route=0`,
    // No address that nobody has given: the gateway's is set by hand.
    `ipv6/conf/${scope}/addr_gen_mode=1`,
  ]),
];

declare const INSIDE: unique symbol;

/** Runs programs in one network namespace: what puts rules in force takes nothing else, so that it is never handed the host's. */
export type NamespaceRun = Run & { readonly [INSIDE]: true };

/** Runs programs inside the namespace that this file pins. */
export function inNamespace(run: Run, file: string): NamespaceRun {
  const inside: Run = (argv, options) => run([NSENTER, `--net=${file}`, '--', ...argv], options);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place where such a thing is made
  return inside as NamespaceRun;
}

/** Makes the namespace of a network, or finds it as it was left: it outlives whoever made it, until the host is booted anew. */
export async function openNamespace(run: Run, file: string): Promise<NamespaceRun> {
  const inside = await openRouter(run, file);
  await runChecked(inside, ['/usr/sbin/ip', 'address', 'replace', `${GATEWAY_IPV4}/32`, 'dev', 'lo']);
  return inside;
}

/** The same, for whoever routes and is no machine's gateway. */
export async function openRouter(run: Run, file: string): Promise<NamespaceRun> {
  const inside = await pinNamespace(run, file);
  // Each setting is a file of its own that exists in the namespace alone: no program but a shell is needed to write them.
  const script = SETTINGS.map((setting) => setting.split('='))
    .map(([path = '', value = '']) => `echo ${value} > /proc/sys/net/${path}`)
    .join('\n');
  await runChecked(inside, [SHELL, '-e', '-c', script]);
  await runChecked(inside, ['/usr/sbin/ip', 'link', 'set', 'dev', 'lo', 'up']);
  return inside;
}

/** A namespace as the kernel makes it, which routes nothing and has no card; or the one that the file pins already. */
export async function pinNamespace(run: Run, file: string): Promise<NamespaceRun> {
  if (!(await isNamespace(file))) {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await (await open(file, 'w', 0o600)).close();
    await runChecked(run, [UNSHARE, `--net=${file}`, '--', '/bin/true']);
    if (!(await isNamespace(file))) throw new RingwallError('internal', `${file} pins no namespace`);
  }
  return inNamespace(run, file);
}

/** Takes the namespace away, with its cables and rules. Idempotent. Whoever is just on the way into it ends with it, and is not waited for. */
export async function closeNamespace(run: Run, file: string): Promise<void> {
  if (await isNamespace(file)) await runChecked(run, [UMOUNT, '--lazy', file]);
  await rm(file, { force: true });
}

/** Whether something is mounted upon the file: it is on another device than its folder. */
export async function isNamespace(file: string): Promise<boolean> {
  try {
    return (await stat(file)).dev !== (await stat(dirname(file))).dev;
  } catch {
    return false;
  }
}
