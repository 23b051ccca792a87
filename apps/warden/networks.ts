// Joins the warden to host/network: namespaces, and the walls and cables in them.
import type { NetworkPart } from '@ringwall/control/warden';
import { run } from '@ringwall/host/exec';
import {
  brokenCables,
  closeNamespace,
  connectCables,
  cutCable,
  isNamespace,
  limitReceiving,
  openNamespace,
  Walls,
} from '@ringwall/host/network';
import { NETWORK_COMPONENTS, requireComponents } from './components.ts';

export const networkPart: NetworkPart = {
  isThere: isNamespace,
  open: async (pin) => {
    await requireComponents(NETWORK_COMPONENTS);
    const inside = await openNamespace(run, pin);
    return {
      walls: new Walls(inside),
      connect: async (sharers) => {
        await connectCables(
          inside,
          sharers.map(({ machine }) => machine),
        );
        await limitReceiving(inside, sharers);
      },
      cut: (machines) => cutCable(inside, ...machines),
      broken: (machines) => brokenCables(inside, machines),
    };
  },
  close: (pin) => closeNamespace(run, pin),
};
