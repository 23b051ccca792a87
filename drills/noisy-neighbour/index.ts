// Drill: a machine sends as much as it can, on a line that it shares with its neighbour.
import { join } from 'node:path';
import { run } from '@ringwall/host/exec';
import { closeNamespace, connectCables, openNamespace, pinNamespace, type NamespaceRun } from '@ringwall/host/network';
import { UPLINK } from '@ringwall/netpolicy';
import type { Attempt, Drill } from '../drill.ts';
import { ALICE, Guest, MALLORY, startIn } from '../network/guest.ts';
import { countedIn, deviceOf, ipIn, machinesOf, networkOf, raiseWalls, setUpRouted } from '../network/neighbourhood.ts';
import { program } from '../network/programs.ts';

/** Stands for the world, behind the line of the host. */
const WORLD = '203.0.113.1';
const PORT = 7;
/** The line: less than what one process sends, so that it is full wherever the drill runs. */
const LINE_MBIT = 10;
/** Of each machine, in Ringwall's policy for this line: together less than the line. */
const SHARE_MBIT = 2;
/** Alone and beside the flood in turn, so that what else the host does falls upon both. */
const ROUNDS = 3;
const QUESTIONS = 60;
/** Half a second's questions at this pace, one million bits in a second. */
const PACE_SECONDS = 0.008;
const FLOOD_SECONDS = 1;
/** What a neighbour may lose, of packets and of time. */
const TOLERATED = 0.1;
/** What waiting for a processor adds to an answer on a busy host, in milliseconds; the full line adds a hundred. */
const NOISE_MS = 10;

const SERVE_ECHO = program(`
own, end = socket.socket(V4, socket.SOCK_DGRAM), time.monotonic() + ARG['seconds']
own.bind((ARG['at'], ARG['port']))
ready()
while (left := end - time.monotonic()) > 0:
    if select.select([own], [], [], left)[0]:
        data, who = own.recvfrom(2048)
        if len(data) == 1000: own.sendto(data[:16], who)
answer(None)
`);

/** Asks at an even pace, and answers how many questions were answered, and after how long half of those. */
const ASK = program(`
own, sent, waits = socket.socket(V4, socket.SOCK_DGRAM), {}, []
own.setblocking(False)
own.connect((ARG['to'], ARG['port']))
begin = time.monotonic()
ready()
def hear(seconds):
    while select.select([own], [], [], max(0, seconds))[0]:
        try: number = int(own.recv(2048))
        except OSError: return
        if number in sent: waits.append((time.monotonic() - sent.pop(number)) * 1000)
for number in range(ARG['questions']):
    sent[number] = time.monotonic()
    try: own.send(b'%016d' % number + bytes(984))
    except OSError: pass
    while (left := begin + (number + 1) * ARG['pace'] - time.monotonic()) > 0: hear(left); time.sleep(0.0005)
while sent and select.select([own], [], [], 1)[0]: hear(0)
waits.sort()
answer([len(waits), waits[len(waits) // 2] if waits else None])
`);

const FLOOD = program(`
own, end = socket.socket(V4, socket.SOCK_DGRAM), time.monotonic() + ARG['seconds']
own.connect((ARG['to'], 9))
data = bytes(1400)
ready()
sent = 0
while time.monotonic() < end:
    for _ in range(64):
        try: sent += own.send(data)
        except OSError: pass
answer(sent / ARG['seconds'])
`);

interface Asked {
  readonly answered: number;
  readonly waitedMs: number;
}

export const noisyNeighbour: Drill = {
  name: 'noisy-neighbour',
  title: 'A machine takes the line that it shares',
  adversaries: ['A1'],
  story:
    'A host has one line to the world for all its machines. One of them sends as much as it can, to anybody. Its neighbour, which asks little, waits behind that, and most of what it asks is lost.',
  needsVictim: 'no',
  mustBeTrue: 'The attacker has root in a machine of her own on the same host, and is allowed to send.',
  stoppedBy:
    'A share for each machine, metered at its own cable before anything else is done for a packet: what is beyond it is dropped and counted.',

  async without({ directory, step }) {
    step('two machines behind a router that forwards what comes');
    return await floodIn(directory, async (inside) => {
      await connectCables(inside, machinesOf(networkOf(networkJson([])), [ALICE, MALLORY]));
    });
  },

  async with({ directory, step }) {
    step('the same machines behind walls, each with its share');
    return await floodIn(directory, async (inside) => {
      await raiseWalls(inside, networkOf(networkJson([{ sendMbit: SHARE_MBIT, burstKiB: 64 }])), [ALICE, MALLORY]);
      return async () => {
        if ((await countedIn(inside, 'over-share')) === 0) throw new Error('nothing was beyond a share');
      };
    });
  },
};

function networkJson(shares: readonly object[]): object {
  const rules = [{ name: 'out', action: 'allow', from: 'any', to: 'any', services: ['udp'] }];
  return { name: 'app', addresses: ['10.20.0.0/24', 'fd00:20::/64'], internet: 'nat', rules, shares };
}

/** `open` connects the machines whose cards are there, and answers what is to be looked at after the flood. */
async function floodIn(
  directory: string,
  open: (inside: NamespaceRun) => Promise<(() => Promise<void>) | void>,
): Promise<Attempt[]> {
  await using cleanup = new AsyncDisposableStack();
  const [place, beyond] = ['network', 'world'].map((name) => join(directory, name));
  if (place === undefined || beyond === undefined) throw new Error('no place');
  cleanup.defer(() => closeNamespace(run, place));
  cleanup.defer(() => closeNamespace(run, beyond));
  const world = await pinNamespace(run, beyond);
  const inside = await openNamespace(run, place);
  const guests: Guest[] = [];
  for (const who of [ALICE, MALLORY]) {
    const guest = cleanup.use(await Guest.open(who, directory));
    await guest.plugIn(place, deviceOf(who));
    await setUpRouted(guest);
    guests.push(guest);
  }
  await ipIn(inside, `link add ${UPLINK} type veth peer name line netns ${beyond}`, `link set ${UPLINK} up`);
  await ipIn(inside, `address add 198.51.100.1/31 dev ${UPLINK}`, 'route add default via 198.51.100.0');
  await ipIn(world, 'link set lo up', 'link set line up', `address add ${WORLD}/32 dev lo`);
  await ipIn(world, 'address add 198.51.100.0/31 dev line', 'route add 10.20.0.0/24 via 198.51.100.1');
  const line = ['tbf', 'rate', `${String(LINE_MBIT)}mbit`, 'burst', '32kb', 'latency', '100ms'];
  const { code } = await inside(['/usr/sbin/tc', 'qdisc', 'add', 'dev', UPLINK, 'root', ...line]);
  if (code !== 0) throw new Error('no line can be made: the kernel lacks tbf');
  const look = await open(inside);
  const [alice, mallory] = guests;
  if (alice === undefined || mallory === undefined) throw new Error('no guests');
  const attempts = await compare(world, alice, mallory);
  await look?.();
  return attempts;
}

async function compare(world: NamespaceRun, alice: Guest, mallory: Guest): Promise<Attempt[]> {
  const [alone, beside]: [Asked[], Asked[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    alone.push(await ask(world, alice));
    const flood = await mallory.start(FLOOD, { to: WORLD, seconds: FLOOD_SECONDS });
    beside.push(await ask(world, alice));
    if (Number(await flood.answer) * 8 < 2 * LINE_MBIT * 1_000_000) {
      throw new Error('the flood is less than twice the line: this host is too busy to show anything');
    }
  }
  const [before, after] = [alone, beside].map((asked) => ({
    answered: middle(asked.map(({ answered }) => answered)),
    waitedMs: middle(asked.map(({ waitedMs }) => waitedMs)),
  }));
  if (before === undefined || after === undefined) throw new Error('nothing was asked');
  if (before.answered < QUESTIONS * (1 - TOLERATED)) throw new Error('alone, too little is answered');
  const ms = (value: number): string => (Number.isFinite(value) ? `${value.toFixed(1)} ms` : 'for ever');
  return [
    {
      what: 'have the neighbour’s packets lost',
      succeeded: after.answered < before.answered * (1 - TOLERATED),
      seen: `of ${String(QUESTIONS)} questions ${String(before.answered)} are answered alone, ${String(after.answered)} beside the flood`,
    },
    {
      what: 'have the neighbour wait',
      succeeded: after.waitedMs > before.waitedMs * (1 + TOLERATED) + NOISE_MS,
      seen: `an answer takes ${ms(before.waitedMs)} alone, ${ms(after.waitedMs)} beside the flood`,
    },
  ];
}

async function ask(world: NamespaceRun, alice: Guest): Promise<Asked> {
  const echo = await startIn(world, SERVE_ECHO, { at: WORLD, port: PORT, seconds: QUESTIONS * PACE_SECONDS + 5 });
  try {
    const options = { to: WORLD, port: PORT, questions: QUESTIONS, pace: PACE_SECONDS };
    const said = await alice.run(ASK, options);
    const [answered, waitedMs] = Array.isArray(said) ? said : [];
    return { answered: Number(answered), waitedMs: typeof waitedMs === 'number' ? waitedMs : Number.POSITIVE_INFINITY };
  } finally {
    await echo.stop();
  }
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
