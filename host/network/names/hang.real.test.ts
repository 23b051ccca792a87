// Two servers in namespaces of their own that are asked without a pause, by the kernel's own word: one never takes a question, one takes
// a few in a second, of many more.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { refOf } from '../../exec/index.ts';
import { hangs } from './hang.ts';

const PYTHON = '/usr/bin/python3';
const NEEDED = [PYTHON, '/usr/bin/unshare', '/usr/sbin/ip'];
const lacks =
  process.getuid?.() === 0 && NEEDED.every((file) => existsSync(file))
    ? ''
    : ' (skipped: needs root, python3, iproute2)';
/** Fills its own queue, says so, and goes on asking itself; it takes as many as it is told each 300 ms. */
const SERVE = `
import socket, sys, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def ask(times):
  for _ in range(times): client.sendto(b"?" * 40, ("127.0.0.1", 53))
ask(1000)
print("full", flush=True)
while True:
  time.sleep(0.3)
  for _ in range(int(sys.argv[1])): server.recv(100)
  time.sleep(0.2)
  ask(10)`;

async function judge(takes: number): Promise<boolean> {
  const enter = ['--net', '/bin/sh', '-c', `/usr/sbin/ip link set lo up && exec "$@"`, 'sh'];
  const child = spawn('/usr/bin/unshare', [...enter, PYTHON, '-I', '-c', SERVE, String(takes)], { env: {} });
  try {
    await once(child.stdout, 'data');
    const server = refOf(child.pid ?? 0);
    if (server === undefined) throw new Error('no server');
    return await hangs(server, new AbortController().signal);
  } finally {
    child.kill('SIGKILL');
  }
}

test.skipIf(lacks !== '')(`hangs() tells one that takes nothing from one that is slow${lacks}`, async () => {
  expect(await Promise.all([judge(0), judge(3)])).toEqual([true, false]);
});
