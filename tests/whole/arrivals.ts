// When packets came to a machine, by the kernel's own clock on its cable: a test that is late itself sees them no later for that.
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@ringwall/host/exec';
import { inNamespace } from '@ringwall/host/network';

const TCPDUMP = '/usr/bin/tcpdump';
const START_TIMEOUT_MS = 120_000;
const LOOK_MS = 50;

export class Arrivals implements AsyncDisposable {
  /** Since 1970, of each packet. */
  readonly atMs: number[] = [];
  readonly #stop = new AbortController();
  readonly #ended: Promise<unknown>;
  #listens = false;

  private constructor(pin: string, device: string, filter: string) {
    const argv = [TCPDUMP, '-i', device, '-Q', 'out', '-n', '-l', '-tt', '-q', filter];
    const onLine = (line: string): void => {
      if (line.includes('listening on')) this.#listens = true;
      const [, seconds] = /^(\d+\.\d+) IP/.exec(line) ?? [];
      if (seconds !== undefined) this.atMs.push(Number(seconds) * 1000);
    };
    const options = { timeoutMs: 600_000, signal: this.#stop.signal, onLine };
    this.#ended = inNamespace(run, pin)(argv, options).catch(() => undefined);
  }

  /** `filter`: as pcap-filter(7) has it. Resolves when it listens. */
  static async on(pin: string, device: string, filter: string): Promise<Arrivals> {
    const arrivals = new Arrivals(pin, device, filter);
    for (const deadlineMs = performance.now() + START_TIMEOUT_MS; !arrivals.#listens; await sleep(LOOK_MS)) {
      if (performance.now() > deadlineMs) throw new Error(`nobody listens on ${device}`);
    }
    return arrivals;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }
}
