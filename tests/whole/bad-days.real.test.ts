// Bad input and bad days from outside, through the command line: each a clear error with what to do, in bounded time
// and memory, with nothing left behind, and never at the cost of another machine. One machine runs through all of it.
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { MachineDetail } from '@ringwall/api';
import { connectBroker } from '@ringwall/control/machines';
import { run } from '@ringwall/host/exec';
import { BUNDLED_COMMAND, Instance, type CommandResult, type InstanceOptions } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leftovers } from './leftovers.ts';
import { ENDLESS, makeMachine, SILENT, startOddGuest } from './odd-guest.ts';
import { trouble, troubleOf } from './trouble.ts';
import { phaseOf, until } from './waiting.ts';

const BYSTANDER = 'bystander';
const VICTIM = 'victim';

/** From a death to the machine's end: one look of the daemon, one sweep of the warden and what its guest is granted. */
const CLEANUP_MS = 120_000;
const MEMORY_LIMIT_MIB = 200;
/** Of the broker, one after the other: what leaks would add up. */
const SESSIONS = 16;

/** Only the image that is booted here: each instance gets a copy. */
let images: string;
let ringwall: Instance;
let bystander: MachineDetail;
let silent: Promise<CommandResult>;
let brokerless: Promise<BrokerlessDay>;

const startInstance = (options: InstanceOptions = {}): Promise<Instance> => Instance.start({ images, ...options });

beforeAll(async () => {
  images = mkdtempSync('/var/tmp/ringwall-images-');
  const built = join(process.env['RINGWALL_STATE'] ?? '/var/lib/ringwall', 'images', 'hello');
  cpSync(built, join(images, 'hello'), { recursive: true, preserveTimestamps: true });
  ringwall = await startInstance();
  // Not watched: ringwalld would keep a session about it for itself, and take it back from the tests that speak in its name.
  const booted = ringwall.ok('run', 'hello', '--name', BYSTANDER, '--watch', 'off');
  await Promise.all([makeMachine(ringwall, 'silent'), until(() => isAttesting(ringwall, BYSTANDER))]);
  // What takes minutes goes on beside everything else.
  silent = (await startOddGuest(ringwall, 'silent', SILENT)).ended;
  await booted;
  brokerless = withoutBroker();
  brokerless.catch(() => undefined); // its test tells
  bystander = await ringwall.detail(BYSTANDER);
});

afterAll(async () => {
  await brokerless?.catch(() => undefined);
  await ringwall?.[Symbol.asyncDispose]();
  rmSync(images, { recursive: true, force: true });
});

const isAttesting = async (instance: Instance, name: string): Promise<boolean> =>
  (await phaseOf(instance, name)) === 'attesting';

/** What is promised after every bad day: nothing. */
async function damage(): Promise<string[]> {
  const { phase, trust, diskUnlocked, bootId } = (await ringwall.detail(BYSTANDER)).machine.status;
  const well =
    phase === 'running' && trust === 'attested' && diskUnlocked && bootId === bystander.machine.status.bootId;
  return [...(well ? [] : [`the bystander is ${phase}, ${trust}`]), ...(await leftovers(ringwall))];
}

const CLEANUP = { timeout: CLEANUP_MS };

describe('bad input', () => {
  test.each([
    ['an image that is unknown', ['run', 'windows'], 3, /no image windows/, /hello, debian/],
    ['an image that is a path', ['run', '../../etc'], 3, /no image/, /hello, debian/],
    ['an image that is an option', ['run', '--image=--help'], 3, /no image/, /hello, debian/],
    ['a name that is taken', ['run', 'hello', '--name', BYSTANDER], 7, /named bystander already/, /rm bystander/],
    ['a name that is a path', ['run', 'hello', '--name', '../../etc/x'], 2, /as a path/, /lower-case/],
    ['a name that is an option', ['run', 'hello', '--name=--force'], 2, /as an option/, /lower-case/],
    ['a name of 300 characters', ['run', 'hello', '--name', 'a'.repeat(300)], 2, /300 characters/, /up to 63/],
    ['a name that moves the cursor', ['run', 'hello', '--name', '\u001b[2Jx'], 2, /"\\u001b\[2Jx"/, /lower-case/],
    ['no memory', ['run', 'hello', '--memory', '1'], 2, /memory 1 MiB, expected/, /--memory/],
    ['negative memory', ['run', 'hello', '--memory=-1'], 2, /not a size/, /--memory 512M/],
    ['absurd memory', ['run', 'hello', '--memory', '100T'], 2, /expected a whole number of/, /--memory/],
    ['more memory than there is', ['run', 'hello', '--memory', '1T'], 5, /this host has \d+ MiB/, /ask for less/],
    ['an absurd disk', ['run', 'hello', '--disk', '9999999T'], 2, /expected a whole number of/, /--disk/],
    ['more disk than there is', ['run', 'hello', '--disk', '60T'], 5, /this host has \d+ MiB/, /ask for less/],
    ['no processor', ['run', 'hello', '--cpus', '0'], 2, /cpus 0, expected/, /--cpus/],
    ['half a processor', ['run', 'hello', '--cpus', '1.5'], 2, /not a whole number/, /--cpus 2/],
    ['a machine that is unknown', ['show', 'nobody'], 3, /no machine nobody/, /ringwall ls/],
    ['a machine that is a path', ['rm', '--force', '../../warden'], 2, /as a path/, /lower-case/],
  ] as const)('%s', async (_, args, code, what, hint) => {
    expect(troubleOf(await ringwall.cli(...args))).toEqual(trouble(code, what, hint));
  });

  test('nothing of it left anything', async () => {
    await expect.poll(damage, CLEANUP).toEqual([]);
  });
});

describe('parts that die', () => {
  beforeAll(() => makeMachine(ringwall, VICTIM));

  const pidOf = async (part: 'vmm' | 'tpm'): Promise<number> => {
    const { machine } = await ringwall.detail(VICTIM);
    const boot: Record<string, { pid: number }> = JSON.parse(
      readFileSync(join(ringwall.runDir, 'machines', machine.id, 'boot.json'), 'utf8'),
    );
    const pid = boot[part]?.pid;
    if (pid === undefined) throw new Error(`the ${part} of ${VICTIM} does not run`);
    return pid;
  };

  test.each([
    ['swtpm', 'tpm', /virtual TPM of victim ended by itself/],
    ['QEMU', 'vmm', /virtual machine victim ended by itself/],
  ] as const)('%s is killed in the middle of a boot', async (_, part, what) => {
    const start = ringwall.cli('start', VICTIM);
    await until(() => isAttesting(ringwall, VICTIM));
    process.kill(await pidOf(part), 'SIGKILL');
    expect(troubleOf(await start)).toEqual(trouble(1, what, /ringwall start victim/));
    expect(await phaseOf(ringwall, VICTIM)).toBe('failed');
    await expect.poll(damage, CLEANUP).toEqual([]);
  });

  test('QEMU is killed while the machine runs: it says so, and its next start is good', async () => {
    await ringwall.ok('start', VICTIM);
    using console = await ringwall.openConsole(VICTIM);
    await console.run('echo kept > /data/line && sync');
    process.kill(await pidOf('vmm'), 'SIGKILL');
    await until(async () => (await phaseOf(ringwall, VICTIM)) === 'failed', CLEANUP_MS);
    const { machine } = await ringwall.show(VICTIM);
    expect(machine.status).toMatchObject({ trust: 'unknown', diskUnlocked: false });
    expect(machine.status.reasons).toEqual([expect.stringMatching(/QEMU was killed/)]);
    await expect.poll(damage, CLEANUP).toEqual([]);
    await ringwall.ok('start', VICTIM);
    using again = await ringwall.openConsole(VICTIM);
    expect(await again.run('cat /data/line')).toContain('kept');
    await ringwall.ok('rm', '--force', VICTIM);
    await expect.poll(damage, CLEANUP).toEqual([]);
  });
});

describe('guests that send what they should not', () => {
  /** The most that any of the three processes has had at one time since this was asked before, in MiB. */
  const mostMemory = async (): Promise<Record<string, number>> => {
    const { processes } = await ringwall.health();
    return Object.fromEntries(
      processes.map(({ name, pid }) => {
        const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1];
        // proc(5): 5 sets the peak back to what is resident now.
        writeFileSync(`/proc/${String(pid)}/clear_refs`, '5');
        return [name, Number(peak) / 1024];
      }),
    );
  };

  const expectBoundedMemory = async (): Promise<void> => {
    for (const [name, mib] of Object.entries(await mostMemory())) {
      expect(mib, name).toBeLessThan(MEMORY_LIMIT_MIB);
    }
  };

  test('endless evidence out of a real guest: refused with the limit, ended, in bounded memory', async () => {
    await makeMachine(ringwall, 'endless');
    await mostMemory();
    const { ended } = await startOddGuest(ringwall, 'endless', ENDLESS);
    expect(troubleOf(await ended)).toEqual(trouble(4, /more than \d+ bytes in one session/, /ringwall logs endless/));
    await expectBoundedMemory();
    expect(await ringwall.ok('logs', 'endless')).toContain('an odd guest');
    await ringwall.ok('rm', '--force', 'endless');
    await expect.poll(damage, CLEANUP).toEqual([]);
  });

  const evidence = 'hello 1\nevidence\nek-certificate 00\nak-public 00\nboot-public 00\ncertify 00 00\nquote 00 00\n';
  test.each([
    ['rubbish', '\u0000\u00ff\u001b[2J\n', '', /not printable ASCII/],
    ['one oversized line', 'hello ', 'a'.repeat(65_536), /line/],
    ['an endless log of events', evidence, `event-log ${'00'.repeat(1000)}\n`.repeat(32), /bytes in one session/],
    ['endless greetings', '', 'hello 1\n'.repeat(64), /lines in one session/],
    ['evidence out of order', 'hello 1\nevidence\nquote 00 00\n', '', /ek-certificate was awaited/],
    ['another protocol', 'GET / HTTP/1.1\r\n\r\n', '', /printable|hello was awaited/],
    ['evidence that is no evidence', `${evidence}event-log 00\nend\n`, '', /./],
  ])('%s on the attestation port ends the session with a reason', async (_, head, endless, reason) => {
    await mostMemory();
    for (let session = 0; session < SESSIONS; session += 1) {
      const said = await talk(head, endless);
      expect(said).toMatch(/^refused\nreason .*\n(reason .*\n)*end\n$/);
      expect(said).toMatch(reason);
    }
    await expectBoundedMemory();
    await expect.poll(damage, CLEANUP).toEqual([]);
  });

  /** One session about the bystander's boot: says `head`, then `endless` for as long as it is let; what came back. */
  async function talk(head: string, endless: string): Promise<string> {
    const broker = connectBroker(join(ringwall.runDir, 'broker', 'broker.sock'));
    const { id, status } = bystander.machine;
    if (status.bootId === undefined) throw new Error('the bystander does not run');
    const { stream } = await broker.openStream({ op: 'open-session', machine: id, boot: status.bootId });
    let said = '';
    const over = new Promise<void>((done) => {
      for (const end of ['end', 'close', 'error']) stream.on(end, () => done());
      stream.on('data', (bytes: Buffer) => {
        said += bytes.toString('latin1');
        if (/^refused$/m.test(said)) more = (): void => undefined;
      });
    });
    let more = (): void => void stream.write(endless, 'latin1', () => setImmediate(more));
    stream.write(head, 'latin1');
    if (endless !== '') more();
    stream.resume();
    await over;
    stream.destroy();
    return said.replace(/^challenge .*\n/gm, '');
  }
});

describe('sockets that are taken', () => {
  let spare: Instance;
  beforeAll(async () => {
    spare = await startInstance();
    await spare.ok('down');
  });
  afterAll(() => spare[Symbol.asyncDispose]());

  test.each([
    ['api.sock', ['ls'], 1, /ringwalld answered with a first line/],
    ['warden/warden.sock', ['run', 'hello'], 7, /the warden answered with a line that is not JSON/],
    ['broker/broker.sock', ['run', 'hello'], 1, /the broker answered with a line that is not JSON/],
  ] as const)('%s: it is said, and whoever has it keeps it', async (name, args, code, what) => {
    const path = join(spare.runDir, name);
    rmSync(path, { force: true });
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', () => void socket.write('\u0000rubbish\n'));
    });
    await new Promise<void>((done) => server.listen({ path, readableAll: true, writableAll: true }, done));
    const { ino } = statSync(path);
    try {
      expect(troubleOf(await spare.cli(...args))).toEqual(trouble(code, what, /ringwall down|restart/));
      expect(statSync(path).ino).toBe(ino);
      await new Promise<void>((done, fail) => connect(path, done).on('error', fail).end());
      expect((await spare.cli('down')).stderr).toMatch(/answers, but was not started by this command/);
    } finally {
      await new Promise((done) => server.close(done));
    }
    const { machines } = JSON.parse(await spare.ok('ls', '--json'));
    for (const { name: machine } of machines) await spare.ok('rm', '--force', machine);
    await expect.poll(() => leftovers(spare), { timeout: CLEANUP_MS }).toEqual([]);
    await spare.ok('down');
  });
});

describe('a host that lacks something', () => {
  /** Its processes do not see the file; nobody else notices. */
  const without = (file: string): readonly string[] => [
    ...['/usr/bin/unshare', '--mount', '--propagation', 'private', '/bin/sh', '-ec'],
    `mount -t tmpfs hide /mnt && mkdir /mnt/upper /mnt/work && dir=$(dirname "$1") &&
     mount -t overlay hide -o "lowerdir=$dir,upperdir=/mnt/upper,workdir=/mnt/work" "$dir" && rm "$1" && shift && exec "$@"`,
    ...['sh', file, ...BUNDLED_COMMAND],
  ];

  test.each([
    ['OVMF', '/usr/share/OVMF/OVMF_CODE.fd', 'ovmf'],
    ['swtpm', '/usr/bin/swtpm', 'swtpm'],
    ['QEMU', '/usr/bin/qemu-system-x86_64', 'qemu-system-x86'],
  ])('%s', async (_, file, missing) => {
    const probe = await run([...without(file).slice(0, -BUNDLED_COMMAND.length), '/bin/true']);
    expect(probe.stderr.toString(), 'this host can hide a file from a process').toBe('');
    await using poor = await startInstance({ command: without(file) });
    expect(troubleOf(await poor.cli('run', 'hello', '--disk', '64M'))).toEqual(
      trouble(5, new RegExp(file), new RegExp(`install.* ${missing}`)),
    );
    expect(await leftovers(poor)).toEqual([]);
    const { machines } = JSON.parse(await poor.ok('ls', '--json'));
    for (const { name } of machines) await poor.ok('rm', '--force', name);
    expect(await leftovers(poor)).toEqual([]);
  });
});

describe('a broker that is not there', () => {
  test('stopped in the middle of a boot: the boot ends with its name, and nothing is left', async () => {
    const { stopped } = await brokerless;
    expect(troubleOf(stopped.result)).toEqual(
      trouble(6, /it hangs, or it is not the broker/, /ringwall down, then ringwall up/),
    );
    expect(stopped.left).toEqual([]);
  });

  test('killed in the middle of a boot: whoever watches the boot starts it again, and the boot is good', async () => {
    const { killed, after } = await brokerless;
    expect(killed.result.stderr).toMatch(/waiting: the broker does not run\n +starting the services: broker/);
    expect(killed.result.code).toBe(0);
    expect(after).toMatchObject({ phase: 'running', trust: 'attested', diskUnlocked: true });
  });
});

test('a guest that never speaks is ended, and its console said what it said', async () => {
  expect(troubleOf(await silent)).toEqual(trouble(8, /said nothing on its attestation port/, /ringwall logs silent/));
  expect(await ringwall.ok('logs', 'silent')).toContain('an odd guest');
  await ringwall.ok('rm', '--force', 'silent');
  await expect.poll(damage, CLEANUP).toEqual([]);
});

interface BrokerlessDay {
  readonly stopped: { readonly result: CommandResult; readonly left: readonly string[] };
  readonly killed: { readonly result: CommandResult };
  readonly after: MachineDetail['machine']['status'];
}

/** In an instance of its own: the broker is missed by every guest that boots meanwhile. */
async function withoutBroker(): Promise<BrokerlessDay> {
  await using lonely = await startInstance();
  await makeMachine(lonely, 'lonely');
  const startAnd = async (signal: NodeJS.Signals): Promise<BrokerlessDay['stopped']> => {
    const start = lonely.cli('start', 'lonely');
    await until(() => isAttesting(lonely, 'lonely'));
    const pid = (await lonely.health()).processes.find(({ name }) => name === 'ringwall-broker')?.pid;
    if (pid === undefined) throw new Error('the broker does not run');
    process.kill(pid, signal);
    try {
      return { result: await start, left: await leftovers(lonely) };
    } finally {
      if (signal === 'SIGSTOP') process.kill(pid, 'SIGCONT');
    }
  };
  const stopped = await startAnd('SIGSTOP');
  const killed = await startAnd('SIGKILL');
  const { machine } = await lonely.detail('lonely');
  return { stopped, killed, after: machine.status };
}
