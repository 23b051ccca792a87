// Drill: somebody on the network between two hosts reads what their machines say to each other, and has her own say.
import { type Attempt, type Drill, ProvesNothingError } from '../drill.ts';
import { ALICE, BOB, startIn } from '../network/guest.ts';
import { PORTS } from '../network/neighbourhood.ts';
import { FETCH, LISTEN, program, SERVE, TALK } from '../network/programs.ts';
import { newCanary } from '../victim.ts';
import { openTunnels, openVxlan, type TwoHosts } from './hosts.ts';

const SECONDS = 2;

/** Every frame that passes through the switch: `{canaries, seconds}` answers for each canary whether it was seen. */
const TAP = program(`
own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
heard, frames, end = set(), 0, time.monotonic() + ARG['seconds']
ready()
while (left := end - time.monotonic()) > 0:
    if select.select([own], [], [], left)[0]:
        data = own.recv(65536)
        frames += 1
        heard |= {canary for canary in ARG['canaries'] if canary.encode() in data}
answer([frames] + [canary in heard for canary in ARG['canaries']])
`);

/** A packet of Alice's that she has not sent, wrapped as VXLAN wraps it and bare, to where the other host listens. */
const FORGE = program(`
alice, bob, (host, port) = ARG['alice'], ARG['bob'], ARG['door']
packet = udp4(alice['ipv4'], bob['ipv4'], (9, ARG['port']), ARG['canary'].encode())
wrapped = struct.pack('!II', 8 << 24, 7 << 8) + frame(bob['mac'], alice['mac'], 0x0800, packet)
own, end = socket.socket(V4, socket.SOCK_DGRAM), time.monotonic() + ARG['seconds']
ready()
while time.monotonic() < end:
    for message in (wrapped, packet): own.sendto(message, (host, port))
    time.sleep(0.05)
answer(True)
`);

export const hostToHostSniff: Drill = {
  name: 'host-to-host-sniff',
  title: 'Somebody between two hosts reads what their machines say',
  adversaries: ['A3'],
  story:
    'Two machines of one network run on two hosts. Whoever owns a switch between them, or a cable into it, reads every word, and sends packets of her own that claim to come from one of the machines.',
  needsVictim: 'no',
  mustBeTrue: 'The attacker sees the frames between the hosts, and can send packets to them.',
  stoppedBy:
    'Between hosts there is WireGuard alone, with keys for each two hosts and network and a secret besides (ML-KEM-768), so that what is recorded today stays closed: nothing of the machines is on the wire in clear, and what its keys did not seal is never theirs.',

  async without({ directory, step }) {
    await using hosts = await openVxlan(directory);
    step('machines of two hosts talk over VXLAN');
    return await attack(hosts);
  },

  async with({ directory, step }) {
    await using hosts = await openTunnels(directory);
    step('the same machines, with Ringwall on both hosts');
    return await attack(hosts);
  },
};

async function attack({ alice, bob, mallory, wire, door }: TwoHosts): Promise<Attempt[]> {
  const [letter, page, lie] = [newCanary(), newCanary(), newCanary()];
  const listening = await bob.start(LISTEN, { port: PORTS.talk, seconds: SECONDS });
  const serving = await bob.start(SERVE, { port: PORTS.serve, text: page });
  const tap = await startIn(wire, TAP, { canaries: [letter, page], seconds: SECONDS });
  const talk = await alice.start(TALK, { messages: [[BOB.ipv4, PORTS.talk, letter]], seconds: SECONDS - 1 });
  const forging = { alice: ALICE, bob: BOB, door, port: PORTS.talk, canary: lie, seconds: SECONDS - 1 };
  const forge = await mallory.start(FORGE, forging);
  const fetched = await alice.run(FETCH, { targets: [[BOB.ipv4, PORTS.serve]], seconds: SECONDS - 1 });
  const [seen, got] = await Promise.all([tap.answer, listening.answer, talk.answer, forge.answer]);
  await serving.stop();
  const heard = JSON.stringify(got);
  if (!heard.includes(letter) || !JSON.stringify(fetched).includes(page)) {
    throw new ProvesNothingError('the honest machines cannot talk');
  }
  const [frames, letterSeen, pageSeen]: unknown[] = Array.isArray(seen) ? seen : [];
  if (!(Number(frames) > 0)) throw new ProvesNothingError('nothing passed through the switch');
  const read = (what: string, succeeded: boolean): Attempt => {
    return {
      what,
      succeeded,
      seen: succeeded ? 'the canary, on the wire' : `${String(frames)} frames, and it is in none`,
    };
  };
  const believed = heard.includes(lie);
  return [
    read('read what one machine sends the other', letterSeen === true),
    read('read what one machine fetches from the other', pageSeen === true),
    {
      what: 'be taken for a machine of the other host',
      succeeded: believed,
      seen: believed ? 'the victim has her packet' : 'the victim never heard of it',
    },
  ];
}
