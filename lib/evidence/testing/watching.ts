// A running machine for tests of the watch: a software TPM and a measurement list, both of which do as they are told.
import { concatBytes, utf8, Writer } from '@ringwall/bytes';
import { encodePcrSelection, TPM_ALG, TPM_GENERATED_VALUE, TPM_RH } from '@ringwall/tpm';
import { encodeIma, imaNg, imaPcr, type TestImaEntry } from '../../tpm/testing/ima-list.ts';
import {
  askWatch,
  indexRuntimeFiles,
  judgeWatch,
  observeQualifyingData,
  startWatch,
  watchBaseline,
  type RuntimeFiles,
  type RuntimeIndex,
  type WatchAnswer,
  type WatchBaseline,
  type WatchJudgement,
  type WatchQuestion,
  type WatchRecord,
  type WatchResult,
} from '../src/index.ts';
import { primaryQualifiedName, readKey } from '../src/keys.ts';
import { sha256 } from './event-log.ts';
import { makeScene, type Scene } from './scene.ts';
import { sign } from './software-tpm.ts';
import { ecKeys } from './vtpm-ca.ts';

const ATTEST_QUOTE = 0x8018;
const ALL: readonly number[] = Array.from({ length: 16 }, (_, pcr) => pcr);

/** What a test may have otherwise than an honest machine has it. */
export interface WatchLies {
  /** What PCR 10 was extended with; the list itself where absent. */
  readonly measured?: readonly TestImaEntry[];
  /** PCR values beside those of the boot. */
  readonly pcrValues?: ReadonlyMap<number, Uint8Array>;
  /** The whole TPML_PCR_SELECTION of the quote. */
  readonly selection?: Uint8Array;
  readonly magic?: number;
  readonly type?: number;
  readonly trailing?: Uint8Array;
  readonly hierarchy?: number;
  readonly extraData?: Uint8Array;
  readonly resetCount?: number;
  readonly restartCount?: number;
  readonly clock?: bigint;
  readonly signer?: CryptoKey;
  readonly log?: Uint8Array;
  readonly more?: boolean;
  readonly noted?: boolean;
}

export interface Watched {
  readonly scene: Scene;
  /** files.json of its image. */
  readonly list: RuntimeFiles;
  readonly baseline: WatchBaseline;
  readonly record: WatchRecord;
  readonly files: RuntimeIndex;
  /** boot_aggregate, and two files of the image. */
  readonly booted: readonly TestImaEntry[];
  /** The answer to `question` of a machine that has run `ran`. */
  answer(question: WatchQuestion, ran: readonly TestImaEntry[], lies?: WatchLies): Promise<WatchAnswer>;
  /** Asks, has it answered, and judges. */
  judge(
    ran: readonly TestImaEntry[],
    changes?: { readonly lies?: WatchLies; readonly record?: WatchRecord; readonly input?: Partial<WatchJudgement> },
  ): Promise<WatchResult>;
}

export async function makeWatched(): Promise<Watched> {
  const scene = await makeScene();
  const { verified } = await scene.judge(await scene.evidence());
  if (verified === undefined) throw new Error('the scene is not a good one');
  const baseline = await watchBaseline(verified, scene.challenge);
  const record = startWatch(baseline);
  const ak = await readKey(baseline.akPublic, 'attestation key', TPM_ALG.ECDSA);
  if (typeof ak === 'string') throw new Error(ak);
  const list: RuntimeFiles = {
    image: 'hello',
    files: ['/bin/busybox', '/lib/ringwall/start', '/lib/modules/dm-mod.ko'].map((path) => ({
      path,
      sha256: Buffer.from(sha256(utf8(path))).toString('hex'),
      package: path === '/bin/busybox' ? { name: 'busybox-static', version: '1:1.35.0-4' } : undefined,
    })),
  };
  const files = indexRuntimeFiles(list);
  const aggregate = imaNg('boot_aggregate', sha256(...baseline.pcrs.slice(0, 10)));
  const booted = [aggregate, imaNg('/bin/busybox'), imaNg('/lib/ringwall/start')];

  const answer: Watched['answer'] = async (question, ran, lies = {}) => {
    const values = new Map<number, Uint8Array>(baseline.pcrs.map((value, pcr) => [pcr, value]));
    values.set(10, imaPcr('sha256', ...(lies.measured ?? ran)));
    for (const [pcr, value] of lies.pcrValues ?? []) values.set(pcr, value);
    const quote = concatBytes(
      new Writer()
        .u32be(lies.magic ?? TPM_GENERATED_VALUE)
        .u16be(lies.type ?? ATTEST_QUOTE)
        .finish(),
      sized(await primaryQualifiedName(lies.hierarchy ?? TPM_RH.ENDORSEMENT, ak.name)),
      sized(lies.extraData ?? (await observeQualifyingData(question))),
      new Writer()
        .u64be(lies.clock ?? baseline.clock + 1000n)
        .u32be(lies.resetCount ?? baseline.resetCount)
        .u32be(lies.restartCount ?? baseline.restartCount)
        .u8(1)
        .u64be(0x2019_1023n)
        .finish(),
      lies.selection ?? encodePcrSelection(TPM_ALG.SHA256, ALL),
      sized(sha256(...ALL.map((pcr) => values.get(pcr) ?? new Uint8Array(32)))),
      lies.trailing ?? new Uint8Array(),
    );
    return {
      quote,
      quoteSignature: await sign(lies.signer ?? scene.tpm.ak.privateKey, quote),
      log: lies.log ?? encodeIma(...ran).subarray(question.from),
      more: lies.more ?? false,
      noted: lies.noted ?? false,
    };
  };
  return {
    scene,
    list,
    baseline,
    record,
    files,
    booted,
    answer,
    judge: async (ran, changes = {}) => {
      const before = changes.record ?? record;
      const question = askWatch(before);
      return judgeWatch({
        record: before,
        question,
        answer: await answer(question, ran, changes.lies),
        files,
        waitedMs: 100,
        ...changes.input,
      });
    },
  };
}

/** Ids of the checks that failed. */
export function failedChecks({ verdict }: WatchResult): string[] {
  return verdict.checks.filter(({ ok }) => !ok).map(({ id }) => id);
}

export async function strangersKey(): Promise<CryptoKey> {
  return (await ecKeys()).privateKey;
}

function sized(bytes: Uint8Array): Uint8Array {
  return new Writer().sized16be((inner) => inner.bytes(bytes)).finish();
}
