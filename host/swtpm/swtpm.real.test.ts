// Makes and starts real TPMs in their jails.
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  akTemplate,
  commands,
  EK_CERTIFICATE_NV_INDEX,
  EK_HANDLE,
  fillTemplate,
  parseFields,
  parsePublic,
  parseResponse,
  TPM_RH,
  type CommandTemplate,
} from '@ringwall/tpm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAlive, socketPair } from '../exec/index.ts';
import { endJail, readProtections } from '../jail/index.ts';
import { lacksForJails, openBench, type Bench } from '../jail/testing/bench.ts';
import { SWTPM } from './argv.ts';
import { SocketTransport } from '../tpm/index.ts';
import { SwtpmControl } from './control-channel.ts';
import { manufactureTpm, openWitnessedTpm, startTpm, type ManufacturedTpm, type TpmOptions } from './index.ts';
import { startSwtpm } from './start.ts';

const lacks = lacksForJails() ?? (existsSync(SWTPM) ? undefined : `skipped: needs ${SWTPM}`);
const CERTIFICATE = Uint8Array.from({ length: 700 }, (_, i) => i & 0xff);
const KEY = Uint8Array.from({ length: 32 }, (_, i) => i);

describe.skipIf(lacks !== undefined)(`a TPM in its jail${lacks === undefined ? '' : ` (${lacks})`}`, () => {
  let bench: Bench;
  let options: TpmOptions;
  let made: ManufacturedTpm;

  beforeAll(async () => {
    bench = await openBench('swtpm');
    options = {
      machine: bench.name,
      stateDir: join(bench.dir, 'state'),
      runDir: join(bench.dir, 'run'),
      privateDir: join(bench.dir, 'leases'),
      stateKey: KEY,
      leases: bench.leases,
    };
    // The directory of leases is one that only root may enter.
    bench.leases.list();
    bench.leases.release(bench.leases.acquire({ purpose: 'warm-up' }).uid);
    made = await manufactureTpm({ ...options, issueEkCertificate: async () => CERTIFICATE });
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  /** Opens the TPM for commands, as its firmware would. */
  async function withTpm<T>(
    use: (send: (command: CommandTemplate) => Promise<Uint8Array>) => Promise<T>,
    key: Uint8Array = KEY,
  ): Promise<T> {
    const [ours, theirs] = await socketPair(options.privateDir);
    await using tpm = new SocketTransport(ours);
    const jail = await startSwtpm({ ...options, stateKey: key }, { kind: 'commands', socket: theirs });
    try {
      return await use((command) => tpm.send(fillTemplate(command)));
    } finally {
      await endJail(jail, bench.leases);
    }
  }

  test('keeps its EK and its certificate, and has the SHA-256 bank alone', async () => {
    await withTpm(async (send) => {
      await send(commands.startup());
      const { outPublic } = parseFields('readPublic', await send(commands.readPublic(EK_HANDLE)));
      expect([...outPublic]).toEqual([...made.ekPublic]);
      expect(parsePublic(made.ekPublic).type).toBe(parsePublic(outPublic).type);
      const read = await send(
        commands.nvRead({ nvIndex: EK_CERTIFICATE_NV_INDEX, size: CERTIFICATE.length, offset: 0 }),
      );
      expect([...parseFields('nvRead', read).data]).toEqual([...CERTIFICATE]);
      // TPM2_GetCapability(TPM_CAP_PCRS): one bank has PCRs, and it is SHA-256 (0x000b).
      const request = Uint8Array.of(0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7a, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 8);
      const banks = Buffer.from(await send([request])).subarray(19);
      const allocated = Array.from({ length: banks.length / 6 }, (_, i) => banks.subarray(i * 6, i * 6 + 6))
        .filter((bank) => !bank.subarray(3).every((byte) => byte === 0))
        .map((bank) => bank.readUInt16BE(0));
      expect(allocated).toEqual([0x000b]);
    });
  });

  test('makes the same AK at each boot', async () => {
    const ak = (): Promise<Uint8Array> =>
      withTpm(async (send) => {
        await send(commands.startup());
        return parseFields('createPrimary', await send(commands.createPrimary(TPM_RH.ENDORSEMENT, akTemplate())))
          .outPublic;
      });
    expect([...(await ak())]).toEqual([...(await ak())]);
  });

  test('cannot have its certificate written again', async () => {
    await withTpm(async (send) => {
      await send(commands.startup());
      const write = commands.nvWrite({ nvIndex: EK_CERTIFICATE_NV_INDEX, data: Uint8Array.of(1), offset: 0 });
      expect(parseResponse(await send(write)).ok).toBe(false);
    });
  });

  test('cannot be cleared by whoever is root in the guest', async () => {
    // Platform authorization is what the firmware sets to something that nobody knows.
    const firmware = commands.hierarchyChangeAuth({ authHandle: TPM_RH.PLATFORM, newAuth: new Uint8Array(32).fill(7) });
    await withTpm(async (send) => {
      await send(commands.startup());
      expect(parseResponse(await send(firmware)).ok).toBe(true);
      const allow = commands.clearControl({ authHandle: TPM_RH.LOCKOUT, disable: false });
      for (const command of [commands.clear(TPM_RH.LOCKOUT), allow, commands.clear(TPM_RH.PLATFORM)]) {
        expect(parseResponse(await send(command)).ok).toBe(false);
      }
      expect(parseResponse(await send(commands.readPublic(EK_HANDLE))).ok).toBe(true);
    });
  });

  test('keeps its state encrypted', async () => {
    const state = Buffer.concat(
      await Promise.all((await readdir(options.stateDir)).map((name) => readFile(join(options.stateDir, name)))),
    );
    expect(state.length).toBeGreaterThan(1_000);
    expect(state.includes(CERTIFICATE.subarray(100, 132))).toBe(false);
  });

  test.each([
    ['another key', async () => ({ key: KEY.map((byte) => byte ^ 1) })],
    [
      'a changed state',
      async () => {
        const path = join(options.stateDir, 'tpm2-00.permall');
        const good = await readFile(path);
        const bad = Buffer.from(good);
        bad.writeUInt8(bad.readUInt8(bad.length - 100) ^ 1, bad.length - 100);
        await writeFile(path, bad);
        return { key: KEY, restore: () => writeFile(path, good) };
      },
    ],
  ] as [string, () => Promise<{ key: Uint8Array; restore?: () => Promise<void> }>][])(
    'does not open with %s',
    async (_, prepare) => {
      const { key, restore } = await prepare();
      try {
        await expect(withTpm((send) => send(commands.startup()), key)).rejects.toMatchObject({ code: 'tpm-failed' });
      } finally {
        await restore?.();
      }
      expect(await bench.left()).toEqual([]);
    },
  );

  test('is made once', async () => {
    const again = manufactureTpm({ ...options, issueEkCertificate: async () => CERTIFICATE });
    await expect(again).rejects.toMatchObject({ code: 'conflict' });
  });

  test('that gets no certificate is an error, and leaves no process', async () => {
    const fresh = { ...options, stateDir: join(bench.dir, 'fresh') };
    const refused = manufactureTpm({
      ...fresh,
      issueEkCertificate: () => Promise.reject(new Error('the CA is closed')),
    });
    await expect(refused).rejects.toThrow('the CA is closed');
    const huge = manufactureTpm({
      ...fresh,
      stateDir: join(bench.dir, 'huge'),
      issueEkCertificate: async () => new Uint8Array(1025),
    });
    await expect(huge).rejects.toThrow('1025 bytes');
    expect(await bench.left()).toEqual([]);
  });

  test.each([0, 16, 33])('refuses a state key of %i bytes', async (length) => {
    await expect(startTpm({ ...options, stateKey: new Uint8Array(length) })).rejects.toThrow(`key of ${length} bytes`);
  });

  test('holds all protections, and shows neither key nor path of the host on its command line', async () => {
    const tpm = await startTpm(options);
    const part = { part: 'tpm', process: tpm.process, files: [], ownDirs: [tpm.runDir, options.stateDir] } as const;
    const lacking = async (): Promise<unknown[]> =>
      (await readProtections(part)).filter(({ state }) => state !== 'holds');
    // swtpm puts its own filter on some moments after its exec.
    await expect.poll(lacking).toEqual([]);
    const commandLine = await readFile(`/proc/${tpm.process.pid}/cmdline`, 'latin1');
    expect(commandLine).not.toContain(bench.dir);
    expect(commandLine).not.toContain(Buffer.from(KEY).toString('hex'));
    expect(isAlive(tpm.process)).toBe(true);
    tpm.channel.destroy();
    await endJail(tpm, bench.leases);
    expect(isAlive(tpm.process)).toBe(false);
  });

  test('leaves nothing behind', async () => {
    expect(await bench.left()).toEqual([]);
  });

  test('leaves by its control channel while it works, encrypted, and goes on elsewhere with its PCRs', async () => {
    const pcr = async (channel: SocketTransport): Promise<string> => {
      const { selectionsAndDigests } = parseFields('pcrRead', await channel.send(fillTemplate(commands.pcrRead([9]))));
      return Buffer.from(selectionsAndDigests).toString('hex');
    };
    const open = async (own: TpmOptions, waiting: boolean) => {
      const { channel, control, started } = await openWitnessedTpm(own, waiting);
      return { tpm: new SocketTransport(channel), control: new SwtpmControl(control), jail: await started };
    };
    const one = await open(options, false);
    const send = (command: CommandTemplate): Promise<Uint8Array> => one.tpm.send(fillTemplate(command));
    await send(commands.startup());
    await send(commands.pcrExtend(9, new Uint8Array(32).fill(9)));
    const state = await one.control.readState();
    const was = await pcr(one.tpm);
    await send(commands.pcrExtend(9, new Uint8Array(32).fill(9)));
    expect(await pcr(one.tpm)).not.toBe(was);
    for (const blob of Object.values(state)) {
      // The EK's certificate lies in clear in none of them.
      expect(Buffer.from(blob).includes(CERTIFICATE.subarray(0, 32))).toBe(false);
    }
    await one.tpm[Symbol.asyncDispose]();
    await endJail(one.jail, bench.leases);

    const elsewhere = { ...options, stateDir: join(bench.dir, 'elsewhere'), runDir: join(bench.dir, 'run2') };
    await mkdir(elsewhere.stateDir, { mode: 0o700 });
    const two = await open(elsewhere, true);
    await two.control.loadState(state);
    expect(await pcr(two.tpm)).toBe(was);
    const { outPublic } = parseFields('readPublic', await two.tpm.send(fillTemplate(commands.readPublic(EK_HANDLE))));
    expect([...outPublic]).toEqual([...made.ekPublic]);
    await endJail(two.jail, bench.leases);
    expect(await readdir(elsewhere.stateDir)).toContain('tpm2-00.permall');

    for (const wrong of [
      { ...state, volatile: state.volatile.map((byte, at) => (at === 600 ? byte ^ 1 : byte)) },
      { permanent: state.volatile, volatile: state.permanent },
      { ...state, permanent: Uint8Array.of(1) },
    ]) {
      const three = await open(elsewhere, true);
      await expect(three.control.loadState(wrong)).rejects.toMatchObject({ code: 'tpm-failed' });
      await endJail(three.jail, bench.leases);
    }
    const other = await open({ ...elsewhere, stateKey: new Uint8Array(32).fill(7) }, true);
    await expect(other.control.loadState(state)).rejects.toMatchObject({ code: 'tpm-failed' });
    await endJail(other.jail, bench.leases);
  });
});
