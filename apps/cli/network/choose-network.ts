// Which network a command is about: the one that is named, or the only one there is.
import type { ShownNetwork } from '@ringwall/api/networks';
import { RingwallError } from '@ringwall/api/errors';
import type { Invocation } from '../invocation.ts';
import { nearest } from '../parse.ts';

export async function chooseNetwork(invocation: Invocation): Promise<ShownNetwork> {
  const { values, self } = invocation;
  const wanted = values.get('network');
  const { networks } = await invocation.withApi((api) => api.call('listNetworks'));
  const names = networks.map(({ name }) => name);
  const [only, ...others] = networks;
  if (wanted === undefined) {
    if (only === undefined) {
      throw new RingwallError('not-found', 'there are no networks', { hint: `make one: ${self} network create app` });
    }
    if (others.length === 0) return only;
    throw new RingwallError('bad-request', `there are ${String(names.length)} networks, and none is named`, {
      hint: `name one by --network: ${names.slice(0, 8).join(', ')}`,
    });
  }
  const found = networks.find(({ name, id }) => name === wanted || id === wanted);
  if (found !== undefined) return found;
  const meant = nearest(wanted, names);
  throw new RingwallError('not-found', `there is no network ${JSON.stringify(wanted)}`, {
    hint: meant === undefined ? `see which there are: ${self} network ls` : `did you mean ${meant}?`,
  });
}
