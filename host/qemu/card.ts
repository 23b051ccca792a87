// A machine's network card: plugged in and out through the monitor while the machine runs (docs/pcie.txt of QEMU, hot-plug; QMP
// device_add, device_del, set_link). What a guest makes of it is the guest's: whether anything passes is decided on the host.
import { CARD_DRIVER, CARD_ID, cardProperties } from './argv.ts';
import { isRecord, type QmpClient } from './qmp.ts';

/** Makes it so that the card is there, or on its way out. Idempotent; whether anything had to be done. */
export async function setCard(qmp: QmpClient, mac: string | undefined, timeoutMs: number): Promise<boolean> {
  const there = await hasCard(qmp, timeoutMs);
  // A guest that hangs lets go of nothing; that its line is down needs no guest.
  if (there) await qmp.execute('set_link', { name: CARD_ID, up: mac !== undefined }, timeoutMs);
  if (there === (mac !== undefined)) return false;
  if (mac === undefined) {
    await qmp.execute('device_del', { id: CARD_ID }, timeoutMs);
    return true;
  }
  await qmp.execute('device_add', { driver: CARD_DRIVER, ...cardProperties(mac) }, timeoutMs);
  return true;
}

/** Also where its guest has yet to let go of it. */
export async function hasCard(qmp: QmpClient, timeoutMs?: number): Promise<boolean> {
  const devices = await qmp.execute('qom-list', { path: '/machine/peripheral' }, timeoutMs);
  return Array.isArray(devices) && devices.some((item) => isRecord(item) && item['name'] === CARD_ID);
}

/** The guest sees that nothing is at the other end. */
export async function cutLine(qmp: QmpClient): Promise<void> {
  await qmp.execute('set_link', { name: CARD_ID, up: false });
}
