// A machine's network card: plugged in and out through the monitor while the machine runs (docs/pcie.txt of QEMU, hot-plug; QMP
// device_add, device_del, set_link). What a guest makes of it is the guest's: whether anything passes is decided on the host.
import { CARD, MODERN } from './argv.ts';
import { isRecord, type QmpClient } from './qmp.ts';

const ID = 'card0';

/** Makes it so that the card is there, or on its way out. Idempotent; whether anything had to be done. */
export async function setCard(qmp: QmpClient, mac: string | undefined, timeoutMs: number): Promise<boolean> {
  const there = hasCard(await qmp.execute('qom-list', { path: '/machine/peripheral' }, timeoutMs));
  // A guest that hangs lets go of nothing; that its line is down needs no guest.
  if (there) await qmp.execute('set_link', { name: ID, up: mac !== undefined }, timeoutMs);
  if (there === (mac !== undefined)) return false;
  if (mac === undefined) {
    await qmp.execute('device_del', { id: ID }, timeoutMs);
    return true;
  }
  // No ROM: firmware that comes with a card would be run, and measured, by the guest's next firmware.
  const card = { driver: 'virtio-net-pci', id: ID, bus: CARD.bus, addr: '0x0', netdev: CARD.netdev, mac, romfile: '' };
  await qmp.execute('device_add', { ...card, ...MODERN }, timeoutMs);
  return true;
}

function hasCard(reply: unknown): boolean {
  return Array.isArray(reply) && reply.some((item) => isRecord(item) && item['name'] === ID);
}
