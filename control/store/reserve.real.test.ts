// The reserve on a disk that is really full: a tmpfs of its own.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { newMachineId, newOperationId, type Operation } from '@ringwall/api';
import { run } from '@ringwall/host/exec';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RESERVE_BYTES } from './reserve.ts';
import { Store } from './store.ts';

const AT = '2026-01-02T03:04:05.678Z';

let disk: string;
let filler: string;
beforeEach(async () => {
  disk = mkdtempSync('/var/tmp/ringwall-reserve-');
  filler = join(disk, 'filler');
  await run(['/usr/bin/mount', '-t', 'tmpfs', '-o', 'mode=0700,size=16m', 'ringwall-test', disk]);
});
afterEach(async () => {
  await run(['/usr/bin/umount', disk]);
  rmSync(disk, { recursive: true });
});

const fill = (): Promise<unknown> => run(['/usr/bin/dd', 'if=/dev/zero', `of=${filler}`, 'bs=4k', 'status=none']);

function operationOf(kind: Operation['kind']): Operation {
  return { id: newOperationId(), kind, state: 'running', step: 'begun', createdAt: AT, updatedAt: AT };
}

describe.skipIf(process.getuid?.() !== 0)('Store on a full disk', () => {
  test('writes what makes room, refuses what takes it, and holds a reserve again once there is room', async () => {
    const reserve = join(disk, 'reserve');
    let store = await Store.open(join(disk, 'ringwall.db'));
    expect(statSync(reserve).size).toBe(RESERVE_BYTES);
    expect(store.trouble).toBeUndefined();
    await fill();
    expect(store.trouble).toContain(`the disk that holds ${disk} is full`);

    await expect(store.insertOperation(operationOf('machine.start'), {})).rejects.toMatchObject({ code: 'host-full' });
    const stop = operationOf('machine.stop');
    await store.insertOperation(stop, { graceMs: 0 });
    expect(statSync(reserve, { throwIfNoEntry: false })).toBeUndefined();
    await store.finishOperation({ ...stop, state: 'done' });
    await store.deleteMachine(newMachineId(), { kind: 'machine.removed', message: 'it was removed' });
    expect(await store.findOperation(stop.id)).toMatchObject({ state: 'done' });
    expect(store.makeRoom()).toBe(false);
    expect(store.trouble).toContain('is full');

    rmSync(filler);
    expect(store.trouble).toBeUndefined();
    await store.close();
    store = await Store.open(join(disk, 'ringwall.db'));
    expect(statSync(reserve).size).toBe(RESERVE_BYTES);
    await store.close();
  });

  test('that is full from the beginning has no reserve, and none is half made', async () => {
    await (await Store.open(join(disk, 'ringwall.db'))).close();
    rmSync(join(disk, 'reserve'));
    await run(['/usr/bin/dd', 'if=/dev/zero', `of=${filler}`, 'bs=1M', 'count=15', 'status=none']);
    const store = await Store.open(join(disk, 'ringwall.db'));
    expect(statSync(join(disk, 'reserve'), { throwIfNoEntry: false })).toBeUndefined();
    await store.close();
  });
});
