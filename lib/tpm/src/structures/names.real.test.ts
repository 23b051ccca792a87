// Names of objects and NV indices against those that a real TPM gives.

import { utf8 } from '@ringwall/bytes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NEEDS_SWTPM, PlainTpm, SWTPM_PRESENT } from '../../../../testkit/plain-tpm.ts';
import {
  ekTemplateOf,
  nameOf,
  nvAttributesOf,
  nvNameOf,
  nvTypeOf,
  TPM_ALG,
  TPM_NT,
  TPM_RH,
  TPMA_NV,
  tpmOver,
  type Tpm,
} from '../index.ts';

describe.skipIf(!SWTPM_PRESENT)(`Names of a real TPM${NEEDS_SWTPM}`, () => {
  let swtpm: PlainTpm;
  let tpm: Tpm;

  beforeAll(async () => {
    swtpm = await PlainTpm.fresh();
    tpm = tpmOver(swtpm);
  });

  afterAll(async () => {
    await swtpm[Symbol.asyncDispose]();
  });

  const access = TPMA_NV.OWNERWRITE | TPMA_NV.OWNERREAD | TPMA_NV.AUTHREAD | TPMA_NV.NO_DA;
  test.each<[string, number, number, number]>([
    ['plain data with SHA-1', TPM_ALG.SHA1, TPM_NT.ORDINARY, 4],
    ['plain data with SHA-256', TPM_ALG.SHA256, TPM_NT.ORDINARY, 4],
    ['plain data with SHA-384', TPM_ALG.SHA384, TPM_NT.ORDINARY, 4],
    ['plain data with SHA-512', TPM_ALG.SHA512, TPM_NT.ORDINARY, 4],
    ['a counter', TPM_ALG.SHA256, TPM_NT.COUNTER, 8],
    ['an extended digest', TPM_ALG.SHA256, TPM_NT.EXTEND, 32],
  ])('nvNameOf() of %s, before the first write and after', async (_, nameAlg, type, dataSize) => {
    const index = { nvIndex: 0x0150_0010, authHandle: TPM_RH.OWNER };
    await tpm.nvDefineSpace({ ...index, attributes: access | type, dataSize, nameAlg });
    const fresh = await tpm.nvReadPublic(index.nvIndex);
    expect(await nvNameOf(fresh.nvPublic.bytes)).toEqual(fresh.nvName);
    expect(nvAttributesOf(fresh.nvPublic).WRITTEN).toBe(false);
    if (type === TPM_NT.COUNTER) await tpm.nvIncrement(index);
    else if (type === TPM_NT.EXTEND) await tpm.nvExtend({ ...index, data: utf8('data') });
    else await tpm.nvWrite({ ...index, data: utf8('data'), offset: 0 });
    const written = await tpm.nvReadPublic(index.nvIndex);
    expect(await nvNameOf(written.nvPublic.bytes)).toEqual(written.nvName);
    expect(nvAttributesOf(written.nvPublic)).toMatchObject({ WRITTEN: true, OWNERWRITE: true, PPWRITE: false });
    expect(nvTypeOf(written.nvPublic.attributes)).toBe(nvTypeOf(type));
    expect(written.nvName).not.toEqual(fresh.nvName);
    await tpm.nvUndefineSpace(index);
  });

  test.each(['L-1', 'L-2', 'H-1', 'H-2', 'H-3', 'H-4'] as const)('nameOf() of an EK of template %s', async (name) => {
    const ek = await tpm.createPrimary(TPM_RH.ENDORSEMENT, ekTemplateOf(name));
    expect(await nameOf(ek.outPublic.bytes)).toEqual(ek.name);
    await tpm.flushContext(ek.objectHandle);
  });
});
