// What ringwalld asks about watches: it orders them, brings the lists of files, reads how they stand, and passes on an
// operator's word that a machine may have its key again.
import type { BrokerRequest, BrokerResponse } from '@ringwall/api/broker';
import { RingwallError, type BootId } from '@ringwall/api';
import { decodeReference, imageDigestOf } from '@ringwall/evidence';
import type { BrokerStore } from './store.ts';
import type { WatchBook } from './watch-book.ts';

type Request<Op extends BrokerRequest['op']> = Extract<BrokerRequest, { readonly op: Op }>;

/** The list counts as that of the image which the boot is expected to be, whoever brings it. */
export async function expectWatch(
  book: WatchBook,
  store: BrokerStore,
  order: Request<'expect-watch'>,
): Promise<BrokerResponse<'expect-watch'>> {
  if (store.readMachine(order.machine)?.currentBoot !== order.boot) throw notExpected(order.machine, order.boot);
  const { machine, boot, mode, intervalMs, image } = order;
  const expected = store.readBoot(machine, boot);
  if (expected === undefined) throw notExpected(machine, boot);
  const { name, digest } = decodeReference(expected.reference).for.image;
  if ((await imageDigestOf(name, image)) !== digest) {
    throw new RingwallError('conflict', `the list of files is not that of the image ${name} which this boot is to be`, {
      hint: 'the image was exchanged while the machine started: start it again',
    });
  }
  return book.expect({ machine, boot, mode, intervalMs, files: image.files, image });
}

export function addImageFiles(
  book: WatchBook,
  { sha256, offset, part, last }: Request<'add-image-files'>,
): BrokerResponse<'add-image-files'> {
  book.files.add(sha256, { offset, part: new Uint8Array(Buffer.from(part, 'base64')), last });
  return {};
}

export function readWatches(book: WatchBook, { boots }: Request<'read-watches'>): BrokerResponse<'read-watches'> {
  return {
    watches: boots.flatMap(({ machine, boot }) => {
      const report = book.report(machine, boot);
      return report === undefined ? [] : [{ machine, boot, report }];
    }),
  };
}

export function readWatch(book: WatchBook, { machine }: Request<'read-watch'>): BrokerResponse<'read-watch'> {
  const quarantine = book.quarantineOf(machine);
  const leftOut = book.leftOut(machine);
  return {
    files: book.strays(machine),
    ...(quarantine === undefined ? {} : { quarantine }),
    ...(leftOut === undefined ? {} : { leftOut }),
  };
}

export function readmitMachine(
  book: WatchBook,
  { machine }: Request<'readmit-machine'>,
): BrokerResponse<'readmit-machine'> {
  return { lifted: book.readmit(machine) };
}

function notExpected(machine: string, boot: BootId): RingwallError {
  return new RingwallError('not-found', `the broker expects no boot ${boot} of ${machine}`, {
    hint: 'it must be told what the boot has to measure first',
  });
}
