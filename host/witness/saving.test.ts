// Witnesses that are saved and go on, each before a TPM that keeps PCRs and whose state is those.
import { createHash } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Writer } from '@ringwall/bytes';
import { commands, fillTemplate, TPM_ALG, TPM_CC, type Transport } from '@ringwall/tpm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { socketPair } from '../exec/index.ts';
import type { TpmState } from '../swtpm/control-channel.ts';
import { fakeTpm } from '../tpm/fake.ts';
import { MAX_EXTENSIONS } from './boot-record.ts';
import { encodeSavedWitness, MAX_SAVED_WITNESS_BYTES, parseSavedWitness } from './saved-state.ts';
import { loadWitness, saveWitness } from './state-port.ts';
import { witness, type WitnessMode } from './witness.ts';

const DONE = Uint8Array.of(0x80, 0x02, 0, 0, 0, 10, 0, 0, 0, 0);
const DIGEST_BYTES = 32;
const PCRS = 24;

function digestOf(words: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(words).digest());
}

/** Of SHA-256; what it saves and loads are its PCRs, one after the other. */
class PcrTpm {
  pcrs: Uint8Array[] = Array.from({ length: PCRS }, () => new Uint8Array(DIGEST_BYTES));
  readonly transport: Transport = fakeTpm({
    [TPM_CC.PCR_Extend]: (command) => {
      this.extend(command[13] ?? 0, command.subarray(-DIGEST_BYTES));
      return DONE;
    },
    [TPM_CC.PCR_Read]: (command) => this.#read(command),
  });

  extend(pcr: number, digest: Uint8Array): void {
    const hash = createHash('sha256').update(this.pcrs[pcr] ?? new Uint8Array());
    this.pcrs[pcr] = new Uint8Array(hash.update(digest).digest());
  }

  async readState(): Promise<TpmState> {
    return { permanent: Uint8Array.of(1), volatile: new Uint8Array(Buffer.concat(this.pcrs)) };
  }

  async loadState({ volatile }: TpmState): Promise<void> {
    this.pcrs = this.pcrs.map((_, pcr) => volatile.slice(pcr * DIGEST_BYTES, (pcr + 1) * DIGEST_BYTES));
  }

  #read(command: Uint8Array): Uint8Array {
    const wanted = this.pcrs.filter((_, pcr) => ((command[17 + (pcr >> 3)] ?? 0) & (1 << (pcr & 7))) !== 0);
    const body = new Writer()
      .u32be(0)
      .u32be(1)
      .u16be(TPM_ALG.SHA256)
      .bytes(command.subarray(16, 20))
      .u32be(wanted.length);
    for (const value of wanted) body.u16be(value.length).bytes(value);
    const bytes = body.finish();
    return new Writer()
      .u16be(0x8001)
      .u32be(10 + bytes.length)
      .u32be(0)
      .bytes(bytes)
      .finish();
  }
}

class Scene {
  readonly tpm: PcrTpm = new PcrTpm();
  readonly guest: Socket;
  readonly #dir: string;
  readonly #servers: readonly Server[];

  private constructor(dir: string, guest: Socket, theirs: Socket, servers: [Server, Server], mode: WitnessMode) {
    this.#dir = dir;
    this.guest = guest.resume();
    this.#servers = servers;
    const [port, states] = servers;
    const ends = { guest: theirs, tpm: this.tpm.transport, control: this.tpm, port, states };
    witness(ends, mode).catch(() => undefined); // its guest is gone
  }

  static async begin(mode: WitnessMode): Promise<Scene> {
    const dir = mkdtempSync(join(tmpdir(), 'saving-'));
    const [guest, theirs] = await socketPair(dir);
    const servers: [Server, Server] = [createServer(), createServer({ allowHalfOpen: true })];
    for (const [index, server] of servers.entries()) {
      await new Promise<void>((resolve) => server.listen(join(dir, String(index)), resolve));
    }
    return new Scene(dir, guest, theirs, servers, mode);
  }

  port(): Socket {
    return connect(join(this.#dir, '0'));
  }

  states(): Socket {
    return connect(join(this.#dir, '1'));
  }

  save(): Promise<Uint8Array> {
    return saveWitness(this.states());
  }

  load(saved: Uint8Array): Promise<void> {
    return loadWitness(this.states(), saved);
  }

  async extend(pcr: number, words: string): Promise<void> {
    const answered = new Promise((resolve) => this.guest.once('data', resolve));
    this.guest.write(fillTemplate(commands.pcrExtend(pcr, digestOf(words))));
    await answered;
  }

  async boot(): Promise<void> {
    await this.extend(4, 'code');
    await this.extend(5, 'Exit Boot Services Returned with Success');
    await this.extend(11, 'its userland');
  }

  /** One that waits is ended from outside. */
  async end(): Promise<void> {
    this.guest.destroy();
    for (const server of this.#servers) server.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

let scenes: Scene[];
const begin = async (mode: WitnessMode = { holdMs: 1 }): Promise<Scene> => {
  const scene = await Scene.begin(mode);
  scenes.push(scene);
  return scene;
};
const saved = async (): Promise<Uint8Array> => {
  const scene = await begin();
  await scene.boot();
  return scene.save();
};
beforeEach(() => {
  scenes = [];
});
afterEach(async () => {
  for (const scene of scenes) await scene.end();
});

describe('a witness that is saved', () => {
  test('goes on from where it was, with its TPM, and can be saved again', async () => {
    const one = await saved();
    const next = await begin({ waiting: true });
    await next.load(one);
    await next.extend(11, 'and on');
    const [first, second] = [one, await next.save()].map(parseSavedWitness);
    expect(second?.extensions).toEqual([...(first?.extensions ?? []), { pcr: 11, digest: digestOf('and on') }]);
    expect(second?.tpm.volatile).not.toEqual(first?.tpm.volatile);
  });

  test('serves its guest on while it is saved, and after', async () => {
    const scene = await begin();
    await scene.boot();
    const saving = scene.save();
    await scene.extend(12, 'meanwhile');
    await saving;
    await scene.extend(12, 'after');
    expect(parseSavedWitness(await scene.save()).extensions).toHaveLength(5);
  });

  test('is not, before the firmware has handed over, nor while the boot is judged', async () => {
    const scene = await begin({ holdMs: 60_000 });
    await scene.extend(4, 'code');
    await expect(scene.save()).rejects.toMatchObject({ code: 'conflict' });
    void scene.extend(5, 'Exit Boot Services Returned with Success');
    const broker = scene.port();
    await new Promise((resolve) => broker.once('data', resolve));
    await expect(scene.save()).rejects.toMatchObject({ code: 'conflict' });
    broker.write('done\n');
    await expect.poll(() => scene.save().then(() => 'saved')).toBe('saved');
    broker.destroy();
  });

  test('is not, where its record does not lead to its PCRs', async () => {
    const scene = await begin();
    await scene.boot();
    scene.tpm.extend(7, digestOf('unseen'));
    await expect(scene.save()).rejects.toThrow(/PCR 7 is [0-9a-f]{12}/);
  });

  test('is not, where the guest measured more than anybody judges', async () => {
    const scene = await begin();
    await scene.boot();
    for (let count = 0; count < MAX_EXTENSIONS; count += 1) await scene.extend(8, 'again');
    await expect(scene.save()).rejects.toThrow('more than anybody judges');
  });
});

describe('a witness that is to go on', () => {
  const alter = (bytes: Uint8Array, change: (parsed: ReturnType<typeof parseSavedWitness>) => object): Uint8Array => {
    const parsed = parseSavedWitness(bytes);
    return encodeSavedWitness({ ...parsed, ...change(parsed) });
  };

  test.each<[string, (one: Uint8Array) => Uint8Array, RegExp]>([
    [
      'the record of a shorter time',
      (one) => alter(one, (all) => ({ extensions: all.extensions.slice(0, -1) })),
      /PCR 11 is/,
    ],
    [
      'a record with another digest',
      (one) =>
        alter(one, ({ extensions: [first, ...rest] }) => ({
          extensions: [{ pcr: first?.pcr ?? 0, digest: digestOf('better code') }, ...rest],
        })),
      /PCR 4 is/,
    ],
    [
      'the TPM of an earlier time',
      (one) => alter(one, ({ tpm }) => ({ tpm: { ...tpm, volatile: new Uint8Array(tpm.volatile.length) } })),
      /PCR 4 is/,
    ],
    [
      'a record that ends in the firmware',
      (one) => alter(one, (all) => ({ extensions: all.extensions.slice(0, 1) })),
      /before the firmware/,
    ],
    ['half of it', (one) => one.subarray(0, one.length / 2), /volatile|permanent|digest/],
    ['nothing', () => new Uint8Array(), /magic/],
  ])('is refused %s, and serves nobody', async (_, change, why) => {
    const one = await saved();
    const next = await begin({ waiting: true });
    await expect(next.load(change(one))).rejects.toThrow(why);
    let isServed = false;
    next.guest.once('data', () => (isServed = true));
    next.guest.write(fillTemplate(commands.pcrExtend(4, digestOf('x'))));
    await expect(next.load(one)).rejects.toMatchObject({ code: 'proof-invalid' });
    await expect(next.save()).rejects.toMatchObject({ code: 'conflict' });
    expect(isServed).toBe(false);
  });

  test('takes no more than a saved witness is', async () => {
    const next = await begin({ waiting: true });
    const asked = next.load(new Uint8Array(MAX_SAVED_WITNESS_BYTES + 1));
    await expect(asked).rejects.toMatchObject({ code: 'proof-invalid' });
  });

  test('does so once, and not in a boot of its own', async () => {
    const one = await saved();
    const next = await begin({ waiting: true });
    await next.load(one);
    await expect(next.load(one)).rejects.toThrow('it has a boot already');
    const [booted] = scenes;
    await expect(booted?.load(one)).rejects.toThrow('it has a boot already');
  });

  test('vouches for nothing: whoever asks is told that its next start is proven', async () => {
    const next = await begin({ waiting: true });
    await next.load(await saved());
    expect(await text(next.port())).toBe('failed it goes on from a saved state: its next start is proven\n');
  });

  test('outlives whoever asks it nonsense', async () => {
    const one = await saved();
    const next = await begin({ waiting: true });
    const rude = next.states();
    rude.end(Buffer.of(9, 9, 9));
    expect(await text(rude)).not.toBe('\0');
    next.states().destroy();
    await next.load(one);
  });
});
