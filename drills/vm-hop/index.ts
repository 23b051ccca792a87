// Drill: a machine reaches for the machines of another tenant, for the host's own services and for the address where clouds keep keys.
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';
import { closeNamespace, openNamespace, pinNamespace, type NamespaceRun } from '@ringwall/host/network';
import { parseRange, UPLINK } from '@ringwall/netpolicy';
import { type Attempt, type Drill, ProvesNothingError } from '../drill.ts';
import { Guest, MALLORY, startIn, type Identity } from '../network/guest.ts';
import { countedIn, deviceOf, ipIn, networkOf, raiseWalls, setUpRouted } from '../network/neighbourhood.ts';
import { FETCH, SERVE } from '../network/programs.ts';
import { newCanary } from '../victim.ts';

const SECONDS = 1.2;
const PORT = 9090;
/** The other tenant's machine. */
const CAROL: Identity = { name: 'carol', mac: '02:00:00:00:00:04', ipv4: '10.30.0.4', ipv6: 'fd00:30::4' };
/** Where the host is managed, and where clouds hand out credentials to whoever asks. */
const MANAGEMENT = '192.0.2.1';
const METADATA = '169.254.169.254';
/** Stands for the world, so that we see that a way out is there. */
const WORLD = '203.0.113.1';

interface Target {
  readonly what: string;
  readonly to: string;
}

export const vmHop: Drill = {
  name: 'vm-hop',
  title: 'A machine reaches other tenants and the host that it runs on',
  adversaries: ['A1'],
  story:
    'A host routes for its machines, so that they reach the world. It routes between its tenants just as well; and its own services, which nobody outside can reach, listen on every address that it has, also on that of the bridge. Last, the address from which clouds hand out credentials answers anybody.',
  needsVictim: 'no',
  mustBeTrue: 'The attacker has root in a machine of her own, and her own tenant’s rules allow her everything.',
  stoppedBy:
    'A network namespace for each tenant network: no interface of the host is in it. The host’s own ranges, link-local and metadata addresses are no destination of any rule; nobody outside a network begins a connection into it.',

  async without({ directory, step }) {
    const host = await openHost(directory);
    try {
      step('two tenants on one host, each on a bridge of its own');
      return await hopPlain(directory, host);
    } finally {
      await closeNamespace(run, join(directory, 'host'));
    }
  },

  async with({ directory, step }) {
    const host = await openHost(directory);
    try {
      step('the same tenants behind walls, with a way out and rules that allow all');
      return await hopWalled(directory, host);
    } finally {
      await closeNamespace(run, join(directory, 'host'));
    }
  },
};

/** A namespace that stands for the host, so that the host itself is left in peace. */
async function openHost(directory: string): Promise<NamespaceRun> {
  const host = await pinNamespace(run, join(directory, 'host'));
  const own = [MANAGEMENT, METADATA, WORLD].map((address) => `address add ${address}/32 dev lo`);
  await ipIn(host, 'link set lo up', ...own);
  const routing = 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter';
  await runChecked(host, ['/bin/sh', '-e', '-c', routing]);
  return host;
}

async function hopPlain(directory: string, host: NamespaceRun): Promise<Attempt[]> {
  const gateways = { [MALLORY.name]: '10.20.0.254', [CAROL.name]: '10.30.0.254' };
  const guests: Guest[] = [];
  await using cleanup = new AsyncDisposableStack();
  for (const who of [MALLORY, CAROL]) {
    const guest = cleanup.use(await Guest.open(who, directory));
    await guest.plugIn(join(directory, 'host'), deviceOf(who));
    guests.push(guest);
    const [bridge, gateway] = [`br${who.name}`, gateways[who.name] ?? ''];
    await ipIn(
      host,
      `link add ${bridge} type bridge`,
      `address add ${gateway}/24 dev ${bridge}`,
      `link set ${bridge} up`,
      `link set ${deviceOf(who)} master ${bridge} up`,
    );
    await guest.ip(`address add ${who.ipv4}/24 dev eth0`, `route add default via ${gateway}`);
  }
  return await hop(
    guests,
    [host],
    [
      { what: 'the machine of another tenant', to: CAROL.ipv4 },
      { what: 'the host, at the address of the bridge', to: '10.20.0.254' },
      { what: 'the host, at its management address', to: MANAGEMENT },
      { what: 'the metadata address', to: METADATA },
    ],
  );
}

async function hopWalled(directory: string, host: NamespaceRun): Promise<Attempt[]> {
  await using cleanup = new AsyncDisposableStack();
  const [guests, insides]: [Guest[], NamespaceRun[]] = [[], []];
  for (const [index, who] of [MALLORY, CAROL].entries()) {
    const place = `network-${who.name}`;
    const inside = await openNamespace(run, join(directory, place));
    cleanup.defer(() => closeNamespace(run, join(directory, place)));
    insides.push(inside);
    const guest = cleanup.use(await Guest.open(who, directory));
    await guest.plugIn(join(directory, place), deviceOf(who));
    guests.push(guest);
    await setUpRouted(guest);
    const [near, far] = [`198.51.100.${String(2 * index)}`, `198.51.100.${String(2 * index + 1)}`];
    await ipIn(
      inside,
      `link add ${UPLINK} type veth peer name up${who.name} netns ${join(directory, 'host')}`,
      `link set ${UPLINK} up`,
      `address add ${near}/31 dev ${UPLINK}`,
      `route add default via ${far}`,
    );
    // Worse than it need be: the host knows the way to either tenant's machines.
    await ipIn(
      host,
      `address add ${far}/31 dev up${who.name}`,
      `link set up${who.name} up`,
      `route add ${who.ipv4}/32 via ${near}`,
    );
    const open = { name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] };
    // Rules mean private addresses by name alone.
    const named = { ...open, name: 'private', to: { addresses: ['10.0.0.0/8'] } };
    const addresses = who === CAROL ? ['10.30.0.0/24', 'fd00:30::/64'] : ['10.20.0.0/24', 'fd00:20::/64'];
    const network = networkOf({ name: who.name, addresses, internet: 'nat', rules: [open, named] });
    const protectedRanges = [MANAGEMENT, '198.51.100.0/24'].map((text) => parseRange(text, ''));
    await raiseWalls(inside, network, [who], { protectedRanges });
  }
  const attempts = await hop(
    guests,
    [host, ...insides],
    [
      { what: 'the machine of another tenant', to: CAROL.ipv4 },
      { what: 'the host, at the address of the gateway', to: '169.254.1.1' },
      { what: 'the host, at the address of the uplink', to: '198.51.100.1' },
      { what: 'the host, at its management address', to: MANAGEMENT },
      { what: 'the metadata address', to: METADATA },
    ],
  );
  const [own, others] = insides;
  if (own === undefined || others === undefined) throw new Error('a network is missing');
  for (const [inside, name] of [
    [own, 'to-host'],
    [own, 'protected'],
    [others, 'refused'],
  ] as const) {
    if ((await countedIn(inside, name)) === 0) throw new Error(`nothing was counted as ${name}`);
  }
  return attempts;
}

/** Everybody serves the same text on all of their addresses, and the first of the guests asks all of them for it. */
async function hop(
  [attacker, other]: readonly Guest[],
  places: readonly NamespaceRun[],
  targets: readonly Target[],
): Promise<Attempt[]> {
  if (attacker === undefined || other === undefined) throw new Error('a machine is missing');
  const secret = newCanary();
  const service = { port: PORT, text: secret };
  const services = [await other.start(SERVE, service)];
  for (const place of places) services.push(await startIn(place, SERVE, service));
  const addresses = [WORLD, ...targets.map(({ to }) => to)];
  const got = await attacker.run(FETCH, { targets: addresses.map((to) => [to, PORT]), seconds: SECONDS });
  await Promise.all(services.map(({ stop }) => stop()));
  const [world, ...answers] = Array.isArray(got) ? got.map((text) => text === secret) : [];
  if (world !== true) throw new ProvesNothingError('not even the world can be reached');
  return targets.map(({ what, to }, index) => {
    const succeeded = answers[index] === true;
    return { what: `reach ${what}`, succeeded, seen: succeeded ? `the canary, from ${to}` : `no answer from ${to}` };
  });
}
