// Watches a guest prove itself: joins it to the broker, asks the broker how it judged, and knows how long to wait. A
// guest that never speaks, a broker that is away and a VMM that dies each end it with their own words.
import type { Duplex } from 'node:stream';
import { FOREIGN_IMAGE, type Machine, RingwallError } from '@ringwall/api';
import type { BrokerResponse } from '@ringwall/api/broker';
import type { RunningMachine } from '@ringwall/api/warden';
import { STANDS_STILL, type LiveBoot } from './observer.ts';
import { proveHost } from './prove-host.ts';
import { Relay } from './relay.ts';
import { TYPICAL_BOOT_MS } from './timing.ts';
import { cleanSentence, isUnavailable, tellWaiting, type Work } from './work.ts';

/** A bar that waits for the last step stands here, not at its end. */
const FULLEST_FRACTION = 0.97;

export interface Attestation {
  readonly machine: Machine;
  readonly live: LiveBoot;
  readonly running: RunningMachine;
  /** The guest was booting already when this life of the daemon began. */
  readonly resumed: boolean;
  /** Tells the broker what to expect; repeated where it has forgotten. */
  readonly expectBoot: () => Promise<unknown>;
}

/** The evidence was judged, and refused. */
export class AttestationRefused extends RingwallError {
  readonly reasons: readonly string[];

  constructor(machine: Machine, reasons: readonly string[]) {
    super('attestation-refused', `the evidence of ${machine.name} was refused: ${reasons[0] ?? 'without a reason'}`, {
      hint:
        machine.spec.image === FOREIGN_IMAGE
          ? `its kernel is kept from running: ringwall why ${machine.name}; what it measured waits to be accepted, if you know why it changed: ringwall reference diff learned:${machine.name}`
          : `it stands in its initrd without a key: ringwall show ${machine.name}, ringwall logs ${machine.name}`,
    });
    this.reasons = reasons;
  }
}

type Verdict = BrokerResponse<'read-verdict'>;

export interface Attested {
  readonly proven: readonly string[];
  readonly tookMs: number;
  /** False where the key was released, and nobody heard any more what the guest did with it. */
  readonly unlocked: boolean;
  /** Why it is not attested, where there was nothing to judge it by. */
  readonly learning: readonly string[] | undefined;
  /** Still joined: to be kept, or to be finished. */
  readonly relay: Relay;
}

export async function watchAttestation(work: Work, attestation: Attestation): Promise<Attested> {
  const { machine, live, running } = attestation;
  const seen: Seen = {
    spoken: false,
    broken: attestation.resumed,
    relayTrouble: undefined,
    brokerTrouble: undefined,
    brokerAwaySinceMs: undefined,
  };
  const looks = new Looks();
  const relay = new Relay(
    { openBroker: () => openSession(work, attestation), openPort: () => openPort(work, attestation) },
    {
      onSpoken: () => {
        seen.spoken = true;
        seen.broken = false;
      },
      onSessionOver: () => {
        seen.broken = true;
        return looks.next();
      },
      onTrouble: (error) => (seen.relayTrouble = error instanceof RingwallError ? error : undefined),
    },
    work.timing.rejoinMs,
    attestation.resumed,
  );
  try {
    const expectedMs =
      (await work.store.findBootTime(machine.spec.image, running.accelerator)) ?? TYPICAL_BOOT_MS[running.accelerator];
    const bootedMs = (): number => Date.now() - Date.parse(running.startedAt);
    const leftMs = work.timing.attestMs[running.accelerator] - bootedMs();
    let deadlineMs = performance.now() + Math.max(leftMs, attestation.resumed ? work.timing.resumedAttestMs : 0);
    let accepted = false;
    for (;;) {
      const { broken } = seen;
      const tellLooked = looks.begin();
      const verdict = await readVerdict(work, attestation, seen);
      const unlocked = verdict?.state === 'unlocked';
      // A guest that was given its key tells once that it has used it. Where that was lost with its session, as when one
      // of us was killed, it goes on all the same, and nobody will hear of it: it is not ended for that.
      if (unlocked || (verdict?.state === 'accepted' && broken)) {
        return { proven: verdict.proven.map(cleanSentence), tookMs: bootedMs(), unlocked, learning: undefined, relay };
      }
      if (verdict?.learned === true) {
        const [proven, learning] = [verdict.proven, verdict.reasons].map((sentences) => sentences.map(cleanSentence));
        return { proven: proven ?? [], tookMs: bootedMs(), unlocked: false, learning, relay };
      }
      if (verdict?.state === 'refused') {
        relay.finish();
        throw new AttestationRefused(machine, verdict.reasons.map(cleanSentence));
      }
      if (verdict?.state === 'failed') throw guestFailed(machine, verdict);
      if (verdict?.state === 'accepted' && !accepted) {
        accepted = true;
        deadlineMs = performance.now() + work.timing.unlockMs;
      }
      if (live.state !== 'alive') throw diedError(machine, live);
      const nowMs = performance.now();
      const unjudged = !accepted && nowMs - (seen.brokerAwaySinceMs ?? nowMs) > work.timing.judgeAwayMs;
      if (unjudged || nowMs > deadlineMs)
        throw live.paused
          ? fullError(machine)
          : silenceError(machine, accepted, seen, work.timing.attestMs[running.accelerator]);
      const fraction = Math.min(FULLEST_FRACTION, bootedMs() / Math.max(1, expectedMs));
      const trouble = troubleOf(accepted, seen);
      if (live.paused) work.progress.step(STANDS_STILL, fraction);
      else if (trouble === undefined) work.progress.step(stepOf(accepted, seen, running, expectedMs), fraction);
      else tellWaiting(work.progress, trouble, fraction);
      tellLooked();
      await looks.wait(work.timing.verdictMs, work.signal);
    }
  } catch (error) {
    if (!(error instanceof AttestationRefused)) await relay.break();
    throw error;
  }
}

/** The looks at the verdict: a session's end brings the next one forward, and is told when that has been taken. */
class Looks {
  #asking: (() => void)[] = [];
  #wake: () => void = () => {};

  /** Settles once a look that began after this call has been taken, and was not the last. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#asking.push(resolve);
      this.#wake();
    });
  }

  /** A look begins. Answers what is to be called once it has been taken. */
  begin(): () => void {
    const asking = this.#asking.splice(0);
    return () => {
      for (const tell of asking) tell();
    };
  }

  /** Until it is time for the next look. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#asking.length > 0) return;
    using timer = new DisposableStack();
    await new Promise<void>((resolve, reject) => {
      this.#wake = resolve;
      const timeout = setTimeout(resolve, ms);
      const onAbort = (): void => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      timer.defer(() => clearTimeout(timeout));
      timer.defer(() => signal.removeEventListener('abort', onAbort));
    });
  }
}

export function diedError(machine: Pick<Machine, 'name'>, live: Pick<LiveBoot, 'state' | 'poweredOff'>): RingwallError {
  const hint = `see what it said last: ringwall logs ${machine.name}; then start it again: ringwall start ${machine.name}`;
  if (live.state === 'tpm-dead') {
    return new RingwallError('tpm-failed', `the virtual TPM of ${machine.name} ended by itself`, { hint });
  }
  const how = live.poweredOff
    ? 'powered itself down'
    : 'ended by itself (its guest powered it down, or QEMU was killed)';
  return new RingwallError('vmm-failed', `the virtual machine ${machine.name} ${how}`, { hint });
}

interface Seen {
  spoken: boolean;
  /** The session in which the guest spoke last is over. */
  broken: boolean;
  relayTrouble: RingwallError | undefined;
  brokerTrouble: RingwallError | undefined;
  brokerAwaySinceMs: number | undefined;
}

async function openSession(work: Work, { machine, running, expectBoot }: Attestation): Promise<Duplex> {
  const session = { op: 'open-session', machine: machine.id, boot: running.boot } as const;
  // By now what starts a machine has run, and the guest has not spoken yet.
  await proveHost(work, machine.id, work.signal);
  try {
    return (await work.broker.openStream(session, { signal: work.signal })).stream;
  } catch (error) {
    if (!(error instanceof RingwallError) || error.code !== 'not-found') throw error;
    await expectBoot();
    return (await work.broker.openStream(session, { signal: work.signal })).stream;
  }
}

async function openPort(work: Work, { machine }: Attestation): Promise<Duplex> {
  const port = await work.warden.openStream({ op: 'open-attest-port', machine: machine.id }, { signal: work.signal });
  return port.stream;
}

/** Undefined where the broker is away, or has not heard of this boot yet again after it was restarted. */
async function readVerdict(work: Work, { machine, running }: Attestation, seen: Seen): Promise<Verdict | undefined> {
  work.signal.throwIfAborted();
  const askedMs = performance.now();
  try {
    const verdict = await work.broker.call(
      { op: 'read-verdict', machine: machine.id, boot: running.boot },
      { signal: work.signal },
    );
    seen.brokerTrouble = undefined;
    seen.brokerAwaySinceMs = undefined;
    return verdict;
  } catch (error) {
    work.signal.throwIfAborted();
    if (!(error instanceof RingwallError)) throw error;
    if (!isUnavailable(error) && error.code !== 'not-found' && error.code !== 'timeout') throw error;
    seen.brokerTrouble = error;
    seen.brokerAwaySinceMs ??= askedMs;
    return undefined;
  }
}

/** What keeps the guest from being judged now. */
function troubleOf(accepted: boolean, seen: Seen): RingwallError | undefined {
  if (seen.brokerTrouble !== undefined) return seen.brokerTrouble;
  return !accepted && !seen.spoken && isUnavailable(seen.relayTrouble) ? seen.relayTrouble : undefined;
}

function stepOf(accepted: boolean, seen: Seen, running: RunningMachine, expectedMs: number): string {
  if (accepted) return 'unlocking the disk';
  if (seen.spoken) return 'checking the evidence';
  const about = `about ${String(Math.max(1, Math.round(expectedMs / 1000)))} s`;
  return `firmware and kernel boot (${running.accelerator === 'tcg' ? 'emulated: ' : ''}${about})`;
}

function guestFailed(machine: Machine, verdict: Verdict): RingwallError {
  const reason = verdict.reasons.map(cleanSentence)[0] ?? 'it did not say why';
  return new RingwallError('attestation-refused', `${machine.name} did not come up: ${reason}`, {
    hint: `see what it said: ringwall logs ${machine.name}`,
  });
}

/** Its first writes are the header and the file system of its disk. */
function fullError(machine: Machine): RingwallError {
  return new RingwallError('host-full', `${machine.name} could not write its disk: the disk of this host is full`, {
    hint: `make room, then start it again: ringwall start ${machine.name}`,
  });
}

function silenceError(machine: Machine, accepted: boolean, seen: Seen, limitMs: number): RingwallError {
  const hint = `see what it said: ringwall logs ${machine.name}; then start it again: ringwall start ${machine.name}`;
  if (accepted) {
    return new RingwallError('timeout', `${machine.name} got its key and did not say that it unlocked its disk`, {
      hint,
    });
  }
  if (seen.brokerTrouble !== undefined) {
    return new RingwallError(
      'broker-unavailable',
      `nobody could judge ${machine.name} in time: ${seen.brokerTrouble.message}`,
      { hint: seen.brokerTrouble.hint ?? hint },
    );
  }
  if (seen.relayTrouble !== undefined) {
    return new RingwallError(
      seen.relayTrouble.code,
      `${machine.name} could not be joined to the broker: ${seen.relayTrouble.message}`,
      { hint: seen.relayTrouble.hint ?? hint },
    );
  }
  const seconds = String(Math.round(limitMs / 1000));
  if (seen.spoken) {
    return new RingwallError('timeout', `${machine.name} spoke, and proved nothing within ${seconds} s`, { hint });
  }
  return new RingwallError('guest-silent', `${machine.name} said nothing on its attestation port for ${seconds} s`, {
    hint,
  });
}
