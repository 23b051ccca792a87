// The host as the API shows it: the warden's findings, and which of the three processes are up. Where the warden does not
// answer, the rest is told all the same, and what only it can see is called unknown.
import { type Finding, type HostReport, RingwallError } from '@ringwall/api';
import type { BrokerClient, WardenClient } from './clients.ts';
import { CALL_TIMEOUT_MS } from './timing.ts';

type ProcessInfo = HostReport['processes'][number];

/** Whether a process answers is found out within this, or it counts as down. */
const PING_TIMEOUT_MS = 2_000;

/** Findings change when somebody installs something; a list of machines must not ask for them each time. */
const FINDINGS_KEPT_MS = 15_000;

export interface HostReportsParts {
  readonly warden: WardenClient;
  readonly broker: BrokerClient;
  /** Uid, memory and build of a process, from /proc; undefined where it is gone. */
  readonly readProcess: (pid: number) => Promise<Pick<ProcessInfo, 'uid' | 'rssBytes' | 'build'> | undefined>;
  /** What is wrong with the disk of the store; undefined where nothing is. */
  readonly diskTrouble: () => string | undefined;
}

export class HostReports {
  readonly #parts: HostReportsParts;
  #findings: { readonly atMs: number; readonly answer: Promise<Finding[]> } | undefined;

  constructor(parts: HostReportsParts) {
    this.#parts = parts;
  }

  async report(): Promise<HostReport> {
    const [findings, processes] = await Promise.all([
      this.#ask().then((answer) => answer.findings, unseen),
      this.processes(),
    ]);
    return { findings: [roomFinding(this.#parts.diskTrouble()), ...findings], processes };
  }

  /** As `report` has them, at most a few seconds old. */
  findings(): Promise<Finding[]> {
    const now = performance.now();
    if (this.#findings !== undefined && now - this.#findings.atMs < FINDINGS_KEPT_MS) return this.#findings.answer;
    const answer = this.#ask().then((report) => report.findings);
    this.#findings = { atMs: now, answer };
    answer.catch(() => (this.#findings = undefined));
    return answer;
  }

  processes(): Promise<ProcessInfo[]> {
    const ping = { timeoutMs: PING_TIMEOUT_MS };
    return Promise.all([
      this.#describe('ringwalld', Promise.resolve({ pid: process.pid })),
      this.#describe('ringwall-warden', this.#parts.warden.call({ op: 'status' }, ping)),
      this.#describe('ringwall-broker', this.#parts.broker.call({ op: 'status' }, ping)),
    ]);
  }

  #ask(): Promise<{ findings: Finding[] }> {
    return this.#parts.warden.call(
      { op: 'host-report' },
      { firstWordMs: PING_TIMEOUT_MS, timeoutMs: CALL_TIMEOUT_MS['host-report'] },
    );
  }

  async #describe(name: ProcessInfo['name'], answer: Promise<{ pid?: number | undefined }>): Promise<ProcessInfo> {
    try {
      const { pid } = await answer;
      if (pid === undefined) return { name, state: 'up' };
      return { name, state: 'up', pid, ...(await this.#parts.readProcess(pid)) };
    } catch {
      return { name, state: 'down' };
    }
  }
}

function roomFinding(trouble: string | undefined): Finding {
  const about = { id: 'disk.room', title: 'room on the disk of the state' };
  if (trouble === undefined) {
    return { ...about, state: 'present', seen: '', meaning: 'machines can be made, started and changed' };
  }
  return {
    ...about,
    state: 'missing',
    seen: 'full',
    meaning: trouble,
    hint: 'free some space, or remove machines that nobody needs: ringwall rm NAME',
  };
}

/** The one finding in the place of all those that only the warden can make. */
function unseen(error: unknown): Finding[] {
  if (!(error instanceof RingwallError)) throw error;
  return [
    {
      id: 'host.unseen',
      title: 'what the warden sees of this host',
      state: 'unknown',
      seen: error.message,
      meaning: 'only the warden runs as root: nobody else can say which protections this host has',
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    },
  ];
}
