// A machine's memory and devices as a template, and two real VMMs in their jails that go on from it at once.
import { hash } from 'node:crypto';
import { existsSync, readSync, writeSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { commands, EK_HANDLE, fillTemplate, parseFields } from '@ringwall/tpm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endJail, readMemoryFile, readProtections, type StartedJail } from '../jail/index.ts';
import { lacksForJails, openBench, type Bench } from '../jail/testing/bench.ts';
import { MemoryTemplate, TEMPLATE_MAPPING } from '../memory/index.ts';
import { manufactureTpm, startTpm, type StartedTpm, type TpmOptions } from '../swtpm/index.ts';
import { SocketTransport } from '../tpm/index.ts';
import { QEMU } from './argv.ts';
import { directFiles, FIRMWARE, makeBootFiles } from './testing/boot-files.ts';
import {
  expectDevices,
  goOn,
  listenForState,
  prepareToSave,
  QmpClient,
  resumeLoaded,
  saveDevices,
  startVmm,
  VMM_PATHS,
  vmmSockets,
  withoutTpm,
  type VmmMemory,
} from './index.ts';

const needed = [QEMU, FIRMWARE.code, '/usr/bin/swtpm', '/usr/bin/perl'].filter((path) => !existsSync(path));
const lacks = lacksForJails() ?? (needed.length === 0 ? undefined : `skipped: needs ${needed.join(' and ')}`);
const MIB = 2 ** 20;
const MEMORY_MIB = 128;
/** Firmware has unpacked itself by then, and looks for something to boot for seconds more. */
const BOOTING_MS = 1_500;

interface Machine {
  readonly name: string;
  readonly tpmOptions: TpmOptions;
  readonly ekPublic: Uint8Array;
}

interface Running {
  readonly machine: Machine;
  readonly tpm: StartedTpm;
  readonly vmm: StartedJail;
}

describe.skipIf(lacks !== undefined)(`a template${lacks === undefined ? '' : ` (${lacks})`}`, () => {
  let bench: Bench;
  let original: Machine;
  let memory: MemoryTemplate;
  let devices: Uint8Array;

  beforeAll(async () => {
    bench = await openBench('template');
    bench.leases.release(bench.leases.acquire({ purpose: 'warm-up' }).uid);
    await makeBootFiles(bench.dir);
    original = await makeMachine('original');
    const running = await start(original, { dir: join(bench.dir, 'memory') });
    await sleep(BOOTING_MS);
    const qmp = await QmpClient.connect(vmmSockets(running.vmm.runDir).qmp);
    await using socket = await listenForState(running.vmm);
    await prepareToSave(qmp);
    await qmp.execute('stop');
    await using file = await readMemoryFile(join(bench.dir, 'memory'), MEMORY_MIB * MIB);
    memory = await MemoryTemplate.make({
      bytes: MEMORY_MIB * MIB,
      fill: async (descriptor) => copyMemory(file.fd, descriptor),
    });
    const taken = socket.connected.then((stream) => buffer(stream));
    await saveDevices(qmp, VMM_PATHS.state);
    devices = await taken;
    await goOn(qmp);
    await qmp[Symbol.asyncDispose]();
    await end(running);
  });
  afterAll(async () => {
    await memory[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });

  async function makeMachine(what: string): Promise<Machine> {
    const name = `${bench.name}-${what}`;
    const tpmOptions = {
      machine: name,
      stateDir: join(bench.dir, `${what}-tpm-state`),
      runDir: join(bench.dir, `${what}-tpm`),
      privateDir: join(bench.dir, 'leases'),
      stateKey: new Uint8Array(32).fill(what.length),
      leases: bench.leases,
    };
    const { ekPublic } = await manufactureTpm({ ...tpmOptions, issueEkCertificate: async () => new Uint8Array(600) });
    return { name, tpmOptions, ekPublic };
  }

  async function start(machine: Machine, of: VmmMemory): Promise<Running> {
    const tpm = await startTpm(machine.tpmOptions);
    const data = join(bench.dir, `${machine.name}.img`);
    await writeFile(data, await readFile(join(bench.dir, 'data.img')));
    const vmm = await startVmm({
      machine: machine.name,
      accelerator: 'tcg',
      cpus: 1,
      memoryMiB: MEMORY_MIB,
      firmwareCode: FIRMWARE.code,
      firmwareVariables: FIRMWARE.variables,
      direct: { ...directFiles(bench.dir), dataDisk: data },
      tpm: { channel: 'control', socket: tpm.channel },
      runDir: join(bench.dir, `${machine.name}-vmm`),
      memory: of,
      waiting: 'template' in of,
      leases: bench.leases,
    });
    return { machine, tpm, vmm };
  }

  async function goOnFrom(machine: Machine, stream: Uint8Array): Promise<Running> {
    const running = await start(machine, { template: memory });
    await using qmp = await QmpClient.connect(vmmSockets(running.vmm.runDir).qmp);
    await expectDevices(qmp, VMM_PATHS.state);
    connect(vmmSockets(running.vmm.runDir).state).end(stream);
    await resumeLoaded(qmp);
    return running;
  }

  async function end({ vmm, tpm }: Running): Promise<void> {
    await endJail(vmm, bench.leases);
    await endJail(tpm, bench.leases);
  }

  async function ekOf({ tpmOptions }: Machine): Promise<Uint8Array> {
    const tpm = await startTpm(tpmOptions, 'commands');
    try {
      await using transport = new SocketTransport(tpm.channel);
      await transport.send(fillTemplate(commands.startup()));
      const answer = await transport.send(fillTemplate(commands.readPublic(EK_HANDLE)));
      return parseFields('readPublic', answer).outPublic;
    } finally {
      await endJail(tpm, bench.leases);
    }
  }

  test('is what two machines go on from, each with a TPM of its own; they share it, and neither writes to it', async () => {
    const [one, two] = [await makeMachine('one'), await makeMachine('two-two')];
    const before = await digestOf(memory);
    const stream = withoutTpm(devices);
    const running = await Promise.all([goOnFrom(one, stream), goOnFrom(two, stream)]);
    for (const { vmm, machine } of running) {
      await using qmp = await QmpClient.connect(vmmSockets(vmm.runDir).qmp);
      expect(await qmp.execute('query-status')).toMatchObject({ running: true });
      const seen = await readProtections({
        part: 'vmm',
        process: vmm.process,
        files: [join(bench.dir, 'system.img'), join(bench.dir, `${machine.name}.img`)],
        ownDirs: [vmm.runDir],
        memory: TEMPLATE_MAPPING,
        ownDescriptors: VMM_PATHS.descriptors,
      });
      expect(seen.filter(({ state }) => state !== 'holds')).toEqual([]);
      await expect.poll(async () => (await readGuestMemory(vmm)).sharedKiB).toBeGreaterThan(0);
      await expect.poll(async () => (await readGuestMemory(vmm)).ownKiB).toBeGreaterThan(0);
    }
    // Each has written to its memory by now; what the template has is as it was.
    expect(await digestOf(memory)).toBe(before);
    for (const machine of running) await end(machine);
    for (const { machine } of running) expect(await ekOf(machine)).toEqual(machine.ekPublic);
  });

  test('whose devices are as they were saved would give every machine the TPM of the original', async () => {
    const machine = await makeMachine('careless');
    const running = await goOnFrom(machine, devices);
    await end(running);
    expect(await ekOf(machine)).toEqual(original.ekPublic);
  });

  test('is not made of a stream that QEMU did not end', () => {
    for (let cut = 1; cut < 200_000; cut = cut * 2 + 1)
      expect(() => withoutTpm(devices.subarray(0, devices.length - cut))).toThrow('not as QEMU writes them');
    expect(() => withoutTpm(withoutTpm(devices))).toThrow('not as QEMU writes them');
  });

  test('leaves nothing behind', async () => {
    expect(await bench.left()).toEqual([]);
  });
});

/** What its mapping of the template has in common with others, and what it has written itself. */
async function readGuestMemory({ process: { pid } }: StartedJail): Promise<{ sharedKiB: number; ownKiB: number }> {
  const mappings = (await readFile(`/proc/${String(pid)}/smaps`, 'utf8')).split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  const mapping = mappings.find((each) => each.includes(TEMPLATE_MAPPING)) ?? '';
  const kiB = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(mapping)?.[1]);
  return { sharedKiB: kiB('Rss') - kiB('Anonymous'), ownKiB: kiB('Anonymous') };
}

function copyMemory(from: number, to: number): void {
  const piece = Buffer.alloc(MIB);
  const zeros = Buffer.alloc(MIB);
  for (let at = 0; readSync(from, piece, 0, MIB, at) > 0; at += MIB) {
    if (!piece.equals(zeros)) writeSync(to, piece, 0, MIB, at);
  }
}

async function digestOf(memory: MemoryTemplate): Promise<string> {
  await using file = await memory.open();
  return hash('sha256', await file.readFile());
}
