// The public names of the drills: every attack that anyone can run, in the order in which they are told.
import { arpSpoof } from './arp-spoof/index.ts';
import { bitFlip } from './bit-flip/index.ts';
import { bootTamper } from './boot-tamper/index.ts';
import { cloneTwins } from './clone-twins/index.ts';
import { deadVerifier } from './dead-verifier/index.ts';
import { diskTheft } from './disk-theft/index.ts';
import type { Drill } from './drill.ts';
import { evidenceRelay } from './evidence-relay/index.ts';
import { foreignTpm } from './foreign-tpm/index.ts';
import { hiddenSecret } from './hidden-secret/index.ts';
import { hostToHostSniff } from './host-to-host-sniff/index.ts';
import { imageTheft } from './image-theft/index.ts';
import { importTraps } from './import-traps/index.ts';
import { inheritedHole } from './inherited-hole/index.ts';
import { ipSpoof } from './ip-spoof/index.ts';
import { keyAfterRm } from './key-after-rm/index.ts';
import { logForgery } from './log-forgery/index.ts';
import { malwareLayer } from './malware-layer/index.ts';
import { neighbourFiles } from './neighbour-files/index.ts';
import { nonceReuse } from './nonce-reuse/index.ts';
import { noisyNeighbour } from './noisy-neighbour/index.ts';
import { quarantineEscape } from './quarantine-escape/index.ts';
import { replayedEvidence } from './replayed-evidence/index.ts';
import { rogueDhcp } from './rogue-dhcp/index.ts';
import { rollback } from './rollback/index.ts';
import { runtimeTamper } from './runtime-tamper/index.ts';
import { snapshotTamper } from './snapshot-tamper/index.ts';
import { snapshotTheft } from './snapshot-theft/index.ts';
import { sniffNeighbour } from './sniff-neighbour/index.ts';
import { stolenMachine } from './stolen-machine/index.ts';
import { tarEscape } from './tar-escape/index.ts';
import { typosquatPull } from './typosquat-pull/index.ts';
import { vmHop } from './vm-hop/index.ts';
import { vtpmRollback } from './vtpm-rollback/index.ts';
import { weakLogin } from './weak-login/index.ts';

export {
  ADVERSARIES,
  type Adversary,
  type Attempt,
  type Drill,
  type DrillResult,
  type Outcome,
  type StoppedInPart,
} from './drill.ts';
export { runDrills, type RunDrillsOptions } from './runner.ts';

export const drills: readonly Drill[] = [
  diskTheft,
  imageTheft,
  importTraps,
  bootTamper,
  replayedEvidence,
  foreignTpm,
  evidenceRelay,
  logForgery,
  stolenMachine,
  vtpmRollback,
  neighbourFiles,
  deadVerifier,
  cloneTwins,
  rollback,
  snapshotTamper,
  runtimeTamper,
  weakLogin,
  hiddenSecret,
  malwareLayer,
  inheritedHole,
  typosquatPull,
  tarEscape,
  bitFlip,
  keyAfterRm,
  sniffNeighbour,
  arpSpoof,
  ipSpoof,
  rogueDhcp,
  vmHop,
  noisyNeighbour,
  hostToHostSniff,
  quarantineEscape,
  nonceReuse,
  snapshotTheft,
];
