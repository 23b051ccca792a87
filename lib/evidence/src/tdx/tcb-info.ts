// TCB info, version 3, for TDX: which versions of firmware, microcode and module of a processor are how good. Intel SGX and
// TDX Provisioning Certification Service API version 4, “Get TDX TCB Info”.
import { toHex } from '@ringwall/bytes';
import { ClosedObject } from '../json.ts';
import {
  readAdvisories,
  readHex,
  readSignedObject,
  readStatus,
  readValidity,
  refuseJson,
  type TcbStatus,
  type Validity,
} from './intel-json.ts';
import { TCB_COMPONENTS } from './pck.ts';

/** Processors have up to thirty levels, modules a handful. */
const MAX_LEVELS = 256;
const MAX_MODULES = 32;
const MAX_NUMBER = 0xffff_ffff;

export interface TcbLevel {
  readonly sgxComponents: readonly number[];
  readonly pceSvn: number;
  readonly tdxComponents: readonly number[];
  readonly status: TcbStatus;
  readonly advisories: readonly string[];
}

/** A level of something that has one security version: a TDX module, or the quoting enclave. */
export interface SvnLevel {
  readonly isvSvn: number;
  readonly status: TcbStatus;
  readonly advisories: readonly string[];
}

export interface TdxModule {
  readonly mrSigner: Uint8Array;
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
}

export interface TdxModuleIdentity extends TdxModule {
  /** `TDX_03`: the major version of the module. */
  readonly id: string;
  readonly levels: readonly SvnLevel[];
}

/** True only where the signature of its text was verified. Levels go from new to old. */
export interface TcbInfo extends Validity {
  readonly fmspc: string;
  readonly pceId: string;
  readonly evaluationDataNumber: number;
  readonly module: TdxModule;
  readonly moduleIdentities: readonly TdxModuleIdentity[];
  readonly levels: readonly TcbLevel[];
}

/** Throws ParseError. */
export function parseTcbInfo(text: Uint8Array): TcbInfo {
  const object = readSignedObject(text, 'tcbInfo');
  object.oneOf('id', ['TDX']);
  object.oneOf('version', [3]);
  object.oneOf('tcbType', [0]);
  return {
    ...readValidity(object),
    fmspc: toHex(readHex(object, 'fmspc', 6)),
    pceId: toHex(readHex(object, 'pceId', 2)),
    evaluationDataNumber: object.integer('tcbEvaluationDataNumber', 0, MAX_NUMBER),
    module: readModule(object.object('tdxModule')),
    moduleIdentities: object.has('tdxModuleIdentities')
      ? object.array('tdxModuleIdentities', MAX_MODULES, readModuleIdentity)
      : [],
    levels: object.array('tcbLevels', MAX_LEVELS, readLevel),
  };
}

export function readSvnLevel(item: unknown, path: string): SvnLevel {
  const object = new ClosedObject(item, path, refuseJson);
  return {
    isvSvn: object.object('tcb').integer('isvsvn', 0, 0xffff),
    status: readStatus(object),
    advisories: readAdvisories(object),
  };
}

function readModule(object: ClosedObject): TdxModule {
  return {
    mrSigner: readHex(object, 'mrsigner', 48),
    attributes: readHex(object, 'attributes', 8),
    attributesMask: readHex(object, 'attributesMask', 8),
  };
}

function readModuleIdentity(item: unknown, path: string): TdxModuleIdentity {
  const object = new ClosedObject(item, path, refuseJson);
  return {
    id: object.matching('id', /^TDX_[0-9A-Fa-f]{2}$/, 'the name of a TDX module').toUpperCase(),
    ...readModule(object),
    levels: object.array('tcbLevels', MAX_LEVELS, readSvnLevel),
  };
}

function readLevel(item: unknown, path: string): TcbLevel {
  const object = new ClosedObject(item, path, refuseJson);
  const tcb = object.object('tcb');
  return {
    sgxComponents: readComponents(tcb, 'sgxtcbcomponents'),
    pceSvn: tcb.integer('pcesvn', 0, 0xffff),
    tdxComponents: readComponents(tcb, 'tdxtcbcomponents'),
    status: readStatus(object),
    advisories: readAdvisories(object),
  };
}

/** Fewer than sixteen would leave parts uncompared. */
function readComponents(object: ClosedObject, key: string): readonly number[] {
  const components = object.array(key, TCB_COMPONENTS, (item, path) =>
    new ClosedObject(item, path, refuseJson).integer('svn', 0, 255),
  );
  if (components.length !== TCB_COMPONENTS) refuseJson(`${key} has ${components.length} items, not ${TCB_COMPONENTS}`);
  return components;
}
