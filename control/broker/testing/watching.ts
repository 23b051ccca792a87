// A boot that is watched, for tests: ordered, with the list of its image's files, and unlocked.
import type { WatchMode, WatchReport } from '@ringwall/api/watch';
import type { BrokerInstance, TestMachine } from './instance.ts';
import { FILES, imageParts } from './image.ts';
import { WatchedGuest } from './watched-guest.ts';

/** The shortest that is allowed. */
const INTERVAL_MS = 250;

export interface Watching {
  readonly machine: TestMachine;
  readonly boot: string;
  readonly guest: WatchedGuest;
  /** The same machine with another session, as when a relay was cut. */
  rejoin(): Promise<WatchedGuest>;
}

export async function watchBoot(
  broker: BrokerInstance,
  options: {
    readonly mode?: WatchMode;
    readonly intervalMs?: number;
    readonly machine?: TestMachine | undefined;
  } = {},
): Promise<Watching> {
  const { mode = 'enforce', intervalMs = INTERVAL_MS, machine = await broker.addMachine() } = options;
  const { boot, guest } = await broker.boot(machine);
  const image = imageParts();
  const order = { op: 'expect-watch', machine: machine.id, boot, mode, intervalMs, image } as const;
  const { wantsFiles } = await broker.client.call(order);
  if (wantsFiles) await sendImageFiles(broker);
  await guest.unlock(await broker.brokerKey());
  return {
    machine,
    boot,
    guest: new WatchedGuest(guest, machine.tpm),
    rejoin: async () => new WatchedGuest(await broker.connect(machine, boot), machine.tpm),
  };
}

/** The image's list of files, or what somebody calls so. */
export async function sendImageFiles(
  broker: BrokerInstance,
  { text, sha256 }: { readonly text: string; readonly sha256: string } = FILES,
): Promise<void> {
  const bytes = Buffer.from(text);
  const half = Math.floor(bytes.length / 2);
  const part = (offset: number, end: number, last: boolean): Promise<unknown> =>
    broker.client.call({
      op: 'add-image-files',
      sha256,
      offset,
      part: bytes.subarray(offset, end).toString('base64'),
      last,
    });
  await part(0, half, false);
  await part(half, bytes.length, true);
}

export async function watchReport(broker: BrokerInstance, { machine, boot }: Watching): Promise<WatchReport> {
  const { watches } = await broker.client.call({ op: 'read-watches', boots: [{ machine: machine.id, boot }] });
  const [watch] = watches;
  if (watch === undefined) throw new Error('it is not watched');
  return watch.report;
}
