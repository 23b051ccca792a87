// Boots a real machine in its jail as far as its firmware, and ends its parts the hard way.
import { existsSync, writeSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isAlive, killProcess, run, waitForExit } from '../exec/index.ts';
import { endJail, readMemoryFile, readProtections, type StartedJail } from '../jail/index.ts';
import { MemoryCopy, viewsOf } from '../memory/index.ts';
import { borrowCrew } from '../threads/index.ts';
import { runTool } from '../../lib/disk/testing/tools.ts';
import { lacksForJails, type Bench } from '../jail/testing/bench.ts';
import { closeNamespace, openNamespace, tapLauncher, type NamespaceRun } from '../network/index.ts';
import { startTpm, type StartedTpm, type TpmOptions } from '../swtpm/index.ts';
import { QEMU } from './argv.ts';
import { directFiles, FIRMWARE } from './testing/boot-files.ts';
import { openTpmBench } from './testing/tpm-bench.ts';
import {
  cutLine,
  DATA_NODE,
  expectDevices,
  goOn,
  hasCard,
  listenForState,
  powerDown,
  QmpClient,
  readMachineState,
  resumeLoaded,
  prepareToSave,
  saveDevices,
  setCard,
  startVmm,
  VMM_PATHS,
  vmmSockets,
  Writes,
  type VmmOptions,
} from './index.ts';

const QEMU_IMG = '/usr/bin/qemu-img';
const needed = [QEMU, QEMU_IMG, FIRMWARE.code, '/usr/bin/swtpm'].filter((path) => !existsSync(path));
const lacks = lacksForJails() ?? (needed.length === 0 ? undefined : `skipped: needs ${needed.join(' and ')}`);
const MIB = 1024 * 1024;
const TAP = 'ma2b3c4d5e6f7g2';
const MAC = '02:00:5e:00:00:01';
const DISK_KEY = 'a key of some length';

describe.skipIf(lacks !== undefined)(`a machine in its jail${lacks === undefined ? '' : ` (${lacks})`}`, () => {
  let bench: Bench;
  let tpmOptions: TpmOptions;
  let tpm: StartedTpm | undefined;
  let vmm: StartedJail | undefined;
  let network: NamespaceRun;
  const pin = (): string => join(bench.dir, 'network');
  const openTap = (fd: number): string[] => tapLauncher({ file: pin(), name: TAP }, fd);
  const inNetwork = async (...argv: readonly string[]): Promise<string> => String((await network(argv)).stdout);

  beforeAll(async () => {
    ({ bench, tpmOptions } = await openTpmBench('qemu'));
    network = await openNamespace(run, pin());
    await writeFile(join(bench.dir, 'key'), DISK_KEY, { mode: 0o600 });
    runTool([
      'qemu-img',
      ...['create', '-q', '-f', 'luks', '--object', `secret,id=key,file=${join(bench.dir, 'key')}`],
      ...['-o', 'key-secret=key', join(bench.dir, 'encrypted.img'), '16M'],
    ]);
  });
  afterEach(async () => {
    if (vmm !== undefined) await endJail(vmm, bench.leases);
    if (tpm !== undefined) await endJail(tpm, bench.leases);
    vmm = undefined;
    tpm = undefined;
  });
  afterAll(async () => {
    await closeNamespace(run, pin());
    await bench[Symbol.asyncDispose]();
  });

  async function boot(changes: Partial<VmmOptions> = {}): Promise<{ tpm: StartedTpm; vmm: StartedJail }> {
    tpm = await startTpm(tpmOptions);
    vmm = await startVmm({
      machine: bench.name,
      accelerator: 'tcg',
      cpus: 2,
      memoryMiB: 256,
      firmwareCode: FIRMWARE.code,
      firmwareVariables: FIRMWARE.variables,
      direct: directFiles(bench.dir),
      tpm: { channel: 'control', socket: tpm.channel },
      runDir: join(bench.dir, 'vmm'),
      memory: { dir: join(bench.dir, 'memory') },
      leases: bench.leases,
      ...changes,
    });
    return { tpm, vmm };
  }

  test('reaches its firmware, with disks, TPM and ports, and every protection holds', async () => {
    const path = join(bench.dir, 'encrypted.img');
    const machine = await boot({ encrypted: [{ serial: 'a2b3', path, key: Buffer.from(DISK_KEY) }], openTap });
    const spoken = await readUntil(vmmSockets(machine.vmm.runDir).console, /BdsDxe|UEFI/i, 300_000);
    expect(spoken).toMatch(/BdsDxe|UEFI/i);

    await using qmp = await QmpClient.connect(vmmSockets(machine.vmm.runDir).qmp);
    expect(await readMachineState(machine, qmp)).toBe('running');
    expect(await qmp.execute('query-tpm')).toMatchObject([{ id: 'tpm0', model: 'tpm-crb' }]);
    const disks = JSON.stringify(await qmp.execute('query-block'));
    expect(disks).toContain('/dev/fdset/2');
    expect(disks).not.toContain(bench.dir);
    expect(disks).toContain('"drv":"luks"');
    expect(await readdir(machine.vmm.runDir)).not.toContain('disk-0.key');
    await qmp.execute('stop');
    expect(await readMachineState(machine, qmp)).toBe('paused');
    await qmp.execute('cont');

    const files = [join(bench.dir, 'system.img'), join(bench.dir, 'data.img'), path];
    const seen = [
      ...(await readProtections({
        part: 'vmm',
        process: machine.vmm.process,
        files,
        ownDirs: [machine.vmm.runDir],
        tap: TAP,
        memory: VMM_PATHS.memory,
      })),
      ...(await readProtections({
        part: 'tpm',
        process: machine.tpm.process,
        files: [],
        ownDirs: [machine.tpm.runDir, tpmOptions.stateDir],
      })),
    ];
    expect(seen.filter(({ state }) => state !== 'holds')).toEqual([]);
    expect((await readFile(`/proc/${machine.vmm.process.pid}/environ`, 'utf8')).replaceAll('\0', '')).toBe('PWD=/');

    // Its cable is the only way out that it has, and nobody else's would pass for it.
    const other = {
      part: 'vmm',
      process: machine.vmm.process,
      files,
      ownDirs: [machine.vmm.runDir],
      memory: VMM_PATHS.memory,
      tap: 'other',
    } as const;
    const wrong = (await readProtections(other)).find(({ id }) => id === 'vmm.descriptors');
    expect(wrong).toMatchObject({ state: 'missing', seen: `/dev/net/tun ${TAP}` });
    await checkCard(qmp);
  });

  /** Plugged in and out while the firmware runs, which knows nothing of such things. */
  async function checkCard(qmp: QmpClient): Promise<void> {
    expect(JSON.stringify(await qmp.execute('query-pci'))).not.toContain('Ethernet');
    expect(await inNetwork('/usr/sbin/ip', 'link', 'show', 'dev', TAP)).toContain('state DOWN');
    expect(await setCard(qmp, undefined, 2_000)).toBe(false);
    expect(await setCard(qmp, MAC, 2_000)).toBe(true);
    expect(await setCard(qmp, MAC, 2_000)).toBe(false);
    expect(JSON.stringify(await qmp.execute('query-pci'))).toContain('Ethernet');
    expect(await qmp.execute('query-rx-filter')).toMatchObject([{ 'main-mac': MAC }]);
    expect(await setCard(qmp, undefined, 2_000)).toBe(true);
    await setCard(qmp, undefined, 2_000);
    expect(await setCard(qmp, MAC, 2_000)).toBe(false);
  }

  test('whose cable has a name that is taken says so, and its cable is gone with it', async () => {
    await network(['/usr/sbin/ip', 'tuntap', 'add', 'dev', TAP, 'mode', 'tap']);
    await expect(boot({ openTap })).rejects.toThrow(`the interface name ${TAP} is taken in this network`);
    await network(['/usr/sbin/ip', 'link', 'delete', TAP]);
    if (tpm !== undefined) await endJail(tpm, bench.leases);
    const machine = await boot({ openTap });
    expect(await inNetwork('/usr/sbin/ip', 'link')).toContain(TAP);
    await killProcess(machine.vmm.process);
    await expect.poll(() => inNetwork('/usr/sbin/ip', 'link')).not.toContain(TAP);
  });

  test('is saved beside its memory, goes on, and is another that goes on from there, TPM, card and all', async () => {
    const machine = await boot({ openTap });
    const data = join(bench.dir, 'data.img');
    await writeFile(data, Buffer.alloc(MIB, 'x'), { flag: 'r+' });

    const { qmp: monitor, disk } = vmmSockets(machine.vmm.runDir);
    await using memory = await readMemoryFile(join(bench.dir, 'memory'), 256 * MIB);
    using crew = borrowCrew();
    const options = { crew, descriptor: memory.fd, bytes: 256 * MIB, maxBytes: 256 * MIB };
    const copy = await MemoryCopy.make(options);
    let devices = Buffer.alloc(0);
    {
      await using qmp = await QmpClient.connect(monitor);
      const tracked = { node: DATA_NODE, socket: VMM_PATHS.disk, connect: async () => connect(disk) };
      const writes = await Writes.track(qmp, tracked);
      expect(await writes.readData(qmp)).toEqual([{ offset: 0, length: MIB, flags: 0 }]);
      await using socket = await listenForState(machine.vmm);
      expect(await hasCard(qmp)).toBe(false);
      await setCard(qmp, MAC, 2_000);
      expect(await hasCard(qmp)).toBe(true);
      await qmp.execute('stop');
      await copy.refresh();
      expect(await writes.count(qmp)).toBe(0);
      expect(await writes.turn(qmp)).toEqual([]);
      const taken = socket.connected.then((stream) => buffer(stream));
      await prepareToSave(qmp);
      await saveDevices(qmp, VMM_PATHS.state);
      devices = await taken;
      expect(await qmp.execute('query-status')).toMatchObject({ running: false });
      // Saving devices has written nothing to its memory.
      const again = await MemoryCopy.make({ ...options, before: (await copy.digest()).digests });
      const { kept } = await again.digest();
      expect(kept.every((byte) => byte === 0xff)).toBe(true);
      await goOn(qmp);
      expect(await qmp.execute('query-status')).toMatchObject({ running: true });
      await writes.end(qmp);
    }
    expect(devices.length).toBeGreaterThan(100_000);
    expect(devices.length).toBeLessThan(16 * MIB);
    await endJail(machine.vmm, bench.leases);
    await endJail(machine.tpm, bench.leases);

    const fillMemory = async (descriptor: number): Promise<void> => {
      for (const { view, done } of viewsOf(copy.memory, 0, 256 * MIB))
        writeSync(descriptor, view, 0, view.length, done);
    };
    const leadsNowhere = (fd: number): string[] => tapLauncher({ name: TAP }, fd);
    const filled = { dir: join(bench.dir, 'memory'), fill: fillMemory };
    const other = await boot({ waiting: true, memory: filled, savedCard: MAC, openTap: leadsNowhere });
    await using qmp = await QmpClient.connect(vmmSockets(other.vmm.runDir).qmp);
    await expectDevices(qmp, VMM_PATHS.state);
    connect(vmmSockets(other.vmm.runDir).state).end(devices);
    await resumeLoaded(qmp, () => cutLine(qmp));
    expect(await readMachineState(other, qmp)).toBe('running');
    expect(await qmp.execute('query-rx-filter')).toMatchObject([{ name: 'card0', 'main-mac': MAC }]);
    expect(await inNetwork('/usr/sbin/ip', 'link')).not.toContain(TAP);
    const seen = await readProtections({
      part: 'vmm',
      process: other.vmm.process,
      files: [join(bench.dir, 'system.img'), data],
      ownDirs: [other.vmm.runDir],
      tap: TAP,
      memory: VMM_PATHS.memory,
    });
    expect(seen.filter(({ state }) => state !== 'holds')).toEqual([]);
    // What we have filled is charged to us, and taken from what it may have.
    expect(seen.find(({ id }) => id === 'vmm.memory-limit')?.seen).toBe('576 MiB');
  });

  test('whose state cannot be taken goes on', async () => {
    const machine = await boot();
    await using qmp = await QmpClient.connect(vmmSockets(machine.vmm.runDir).qmp);
    await qmp.execute('stop');
    await prepareToSave(qmp);
    await expect(saveDevices(qmp, VMM_PATHS.state)).rejects.toMatchObject({ code: 'vmm-failed' });
    await goOn(qmp);
    expect(await qmp.execute('query-status')).toMatchObject({ running: true });
  });

  test('whose TPM is killed while it boots is noticed', async () => {
    const machine = await boot();
    await sleep(500);
    await killProcess(machine.tpm.process);
    expect(await readMachineState(machine)).toBe('tpm-dead');
    // Firmware without an answer from its TPM does not power down: the caller ends it.
    expect(await powerDown(machine.vmm, 200)).toBe(false);
    expect(isAlive(machine.vmm.process)).toBe(true);
  });

  test('whose VMM is killed is noticed, and its TPM ends with it', async () => {
    const machine = await boot();
    await killProcess(machine.vmm.process);
    expect(await readMachineState(machine)).toBe('vmm-dead');
    expect(await waitForExit(machine.tpm.process, 120_000)).toBe(true);
    expect(await powerDown(machine.vmm, 200)).toBe(true);
  });

  test.each<[string, Partial<VmmOptions> | ((dir: string) => Partial<VmmOptions>), RegExp]>([
    [
      'no kernel',
      (dir) => ({ direct: { ...directFiles(dir), kernel: join(dir, 'none') } }),
      /^qemu-\d+ vmm did not start: .*none/,
    ],
    [
      'an initrd in place of a kernel',
      (dir) => ({ direct: { ...directFiles(dir), kernel: join(dir, 'initrd') } }),
      /^qemu-\d+ vmm did not start: status 1: .*kernel/,
    ],
    [
      'a disk that is not there',
      (dir) => ({ direct: { ...directFiles(dir), dataDisk: join(dir, 'none.img') } }),
      /the disk .*none\.img could not be opened/,
    ],
    [
      'a disk that is a directory',
      (dir) => ({ direct: { ...directFiles(dir), dataDisk: dir } }),
      /the disk .* could not be opened/,
    ],
    [
      'an encrypted disk and another key',
      (dir) => ({ encrypted: [{ serial: 'a2b3', path: join(dir, 'encrypted.img'), key: Buffer.from('another') }] }),
      /^qemu-\d+ vmm did not start: .*Invalid password/,
    ],
    [
      'an encrypted disk that is none',
      (dir) => ({ encrypted: [{ serial: 'a2b3', path: join(dir, 'data.img'), key: Buffer.from(DISK_KEY) }] }),
      /^qemu-\d+ vmm did not start: .*LUKS/,
    ],
    [
      'firmware that is not there',
      { firmwareCode: '/no/such/firmware' },
      /^qemu-\d+ vmm did not start: .*\/no\/such\/firmware/,
    ],
  ])('that has %s says so, and leaves nothing', async (_, changes, message) => {
    const failed = boot(typeof changes === 'function' ? changes(bench.dir) : changes);
    await expect(failed).rejects.toMatchObject({ code: 'vmm-failed', message: expect.stringMatching(message) });
    expect(bench.leases.list().map(({ purpose }) => purpose)).toEqual([`${bench.name} tpm`]);
  });

  test('leaves nothing behind', async () => {
    await closeNamespace(run, pin());
    expect(await bench.left()).toEqual([]);
  });
});

/** Connects to a socket and reads until the text matches, or for so long. */
async function readUntil(path: string, pattern: RegExp, timeoutMs: number): Promise<string> {
  const socket = connect(path);
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  socket.on('error', () => undefined);
  const deadline = performance.now() + timeoutMs;
  while (!pattern.test(text) && performance.now() < deadline) await sleep(50);
  socket.destroy();
  return text;
}
