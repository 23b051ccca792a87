// Drill: a machine makes the switch believe that its neighbour is on its own port, and reads what is meant for that one.
import { type Attempt, type Drill, ProvesNothingError } from '../drill.ts';
import { BOB, MALLORY } from '../network/guest.ts';
import { PORTS, type Neighbourhood } from '../network/neighbourhood.ts';
import { LISTEN, program, TALK } from '../network/programs.ts';
import { attackUsual, attackWalled } from '../network/segments.ts';
import { newCanary } from '../victim.ts';

const SECONDS = 0.8;

/** Frames under the neighbour's hardware address, so that a switch learns a new place for it; and ears for what follows. */
const STEAL_PORT = program(`
own, theirs = ARG['mallory'], ARG['bob']
as_bob = frame(EVERYBODY, theirs['mac'], 0x0800, udp4(theirs['ipv4'], own['ipv4'], (9, 9), b''))
answer(pelt([as_bob], ARG['seconds'], ARG['canaries']))
`);

export const sniffNeighbour: Drill = {
  name: 'sniff-neighbour',
  title: 'A machine reads what is sent to its neighbour',
  adversaries: ['A1'],
  story:
    'Two machines talk to each other. A third on the same host sends a few frames under the hardware address of one of them: the switch believes that it has moved, and delivers its post to the thief. What is sent to all on the segment, she gets anyway.',
  needsVictim: 'no',
  mustBeTrue:
    'The attacker has root in a machine of her own on the same host and network, and knows her neighbours’ addresses.',
  stoppedBy:
    'There is no segment: each machine has a cable of its own to a router, which delivers by address. Frames of another card are dropped and counted. On an Open vSwitch of Ringwall’s there is a segment; it learns nothing, floods nothing, and knows whose card is on which port.',

  without: (context) => attackUsual(context, 'machines on one bridge talk, and one of them listens', listenIn),
  with: (context) => attackWalled(context, listenIn),
};

async function listenIn({ alice, bob, mallory }: Neighbourhood, seconds = SECONDS): Promise<Attempt[]> {
  const canaries = [newCanary(), newCanary()];
  const [letter = '', shout = ''] = canaries;
  const honest = await bob.start(LISTEN, { port: PORTS.talk, seconds });
  const messages = [
    [BOB.ipv4, PORTS.talk, letter],
    ['255.255.255.255', PORTS.talk, shout],
  ];
  const talk = await alice.start(TALK, { messages, seconds });
  const theft = await mallory.start(STEAL_PORT, { mallory: MALLORY, bob: BOB, canaries, seconds });
  const [heard, got] = await Promise.all([theft.answer, honest.answer, talk.answer]);
  if (!JSON.stringify(got).includes(letter)) throw new ProvesNothingError('the honest machines cannot talk');
  const [letterHeard, shoutHeard] = Array.isArray(heard) ? heard.map(Boolean) : [];
  return [
    attempt('read what is sent to the neighbour', letterHeard),
    attempt('read what is sent to all on the segment', shoutHeard),
  ];
}

function attempt(what: string, succeeded = false): Attempt {
  return { what, succeeded, seen: succeeded ? 'the canary, on her card' : 'nothing of it' };
}
