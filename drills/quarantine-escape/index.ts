// Drill: a machine is no longer trusted, and goes on with a connection that it had begun before.
import { cutCable } from '@ringwall/host/network';
import { type Attempt, type Drill, ProvesNothingError } from '../drill.ts';
import { ALICE, BOB, type Guest } from '../network/guest.ts';
import { openFirewall, openWalls, PORTS } from '../network/neighbourhood.ts';
import { program } from '../network/programs.ts';

/** What is promised: a second after the verdict nothing passes. */
const GRACE_MS = 1_000;
const SECONDS = 1.8;

/** Says when each piece came: `{port, seconds}` answers Unix times in milliseconds. */
const RECORD = program(`
own = socket.create_server(('', ARG['port']), family=V6, dualstack_ipv6=True)
end, links, times = time.monotonic() + ARG['seconds'], [own], []
ready()
while (left := end - time.monotonic()) > 0:
    for each in select.select(links, [], [], left)[0]:
        if each is own: links.append(own.accept()[0])
        elif each.recv(4096):
            # The first is answered: it was there.
            if not times: each.send(b'heard')
            times.append(time.time() * 1000)
        else: links.remove(each)
answer(times)
`);

/** Carries data away, a piece every 20 ms: `{to, port, seconds}`. */
const LEAK = program(`
with socket.create_connection((ARG['to'], ARG['port']), timeout=60) as link:
    link.send(b'data')
    link.recv(16)
    ready()
    end = time.monotonic() + ARG['seconds']
    while time.monotonic() < end:
        try: link.send(b'data')
        except OSError: pass
        time.sleep(0.02)
answer(True)
`);

export const quarantineEscape: Drill = {
  name: 'quarantine-escape',
  title: 'A machine in quarantine goes on with the connection that it has',
  adversaries: ['A1', 'A7'],
  story:
    'A machine is found to run what it should not. Its permission is taken out of the firewall, as every handbook says. But firewalls ask for permission when a connection begins: what has begun goes on, and the data keep leaving.',
  needsVictim: 'no',
  mustBeTrue: 'The machine has a connection to where it wants the data before anybody notices.',
  stoppedBy:
    'Who loses trust loses the network: its elements leave all sets, its cable goes down, and what the kernel knows of its connections is forgotten, within a second.',

  async without({ directory, step }) {
    await using here = await openFirewall(directory);
    step('a stateful firewall takes back what it had allowed');
    return [await leak(here, () => here.forbid())];
  },

  async with({ directory, step }) {
    await using here = await openWalls(directory);
    step('the machine is dismissed');
    const alice = here.machines.find(({ name }) => name === ALICE.name);
    if (alice === undefined) throw new Error('the machine is not there');
    return [
      await leak(here, async () => {
        await here.walls.dismiss(alice);
        await cutCable(here.inside, alice);
      }),
    ];
  },
};

async function leak({ alice, bob }: { alice: Guest; bob: Guest }, quarantine: () => Promise<void>): Promise<Attempt> {
  const record = await bob.start(RECORD, { port: PORTS.serve, seconds: SECONDS });
  const leaking = await alice.start(LEAK, { to: BOB.ipv4, port: PORTS.serve, seconds: SECONDS });
  const at = Date.now();
  await quarantine();
  const [times] = await Promise.all([record.answer, leaking.answer]);
  const came = Array.isArray(times) ? times.map(Number) : [];
  if (came.length === 0) throw new ProvesNothingError('nothing passed before');
  const late = came.filter((time) => time > at + GRACE_MS).length;
  return {
    what: 'go on with a connection a second after the verdict',
    succeeded: late > 0,
    seen: late > 0 ? `${String(late)} more pieces of data arrived` : 'not a byte arrived any more',
  };
}
