// A host of its own and a world beyond it, for a Ringwall that lets its networks out: two namespaces and a wire between them. In the
// world, one address answers to a port, and another to questions for names.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';
import { closeNamespace, pinNamespace } from '@ringwall/host/network';
import { BUNDLED_COMMAND } from '@ringwall/testkit';

const IP = '/usr/sbin/ip';
/** The interface of the host that leads there, and what is around it. */
export const UPLINK = { name: 'eth1', address: '198.51.100.2/24', router: '198.51.100.1' } as const;
/** An address that nobody takes for a private one, as resolvers do with those of documentation. */
export const SITE = { address: '93.184.215.14', name: 'site.example', port: 8090, text: 'it-is-the-world' } as const;
export const RESOLVER = '9.9.9.9';
/** A name whose owner says that it is a neighbour of whoever asks (DNS rebinding). */
export const REBOUND = { name: 'rebound.example', address: '10.20.0.3' } as const;

const SERVER = `
import json, socket, struct, sys, threading
site = json.loads(sys.argv[1])
def serve():
    listener = socket.create_server((site['address'], site['port']))
    while True:
        link, _ = listener.accept()
        link.sendall((site['text'] + '\\n').encode()); link.close()
threading.Thread(target=serve, daemon=True).start()
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); out.bind((site['resolver'], 53))
print('ready', flush=True)
while True:
    data, asker = out.recvfrom(2048)
    at, labels = 12, []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode()); at += 1 + data[at]
    question = data[12:at + 5]
    address = site['names'].get('.'.join(labels).lower()) if data[at + 1:at + 3] == b'\\0\\1' else None
    answer = b'' if address is None else b'\\xc0\\x0c' + struct.pack('!HHIH', 1, 1, 60, 4) + socket.inet_aton(address)
    out.sendto(data[:2] + struct.pack('!HHHHH', 0x8180, 1, 1 if answer else 0, 0, 0) + question + answer, asker)
`;

export class World implements AsyncDisposable {
  readonly #directory: string;
  readonly #server: ChildProcessWithoutNullStreams;

  private constructor(directory: string, server: ChildProcessWithoutNullStreams) {
    this.#directory = directory;
    this.#server = server;
  }

  /** `directory` is there, and is the caller's. */
  static async open(directory: string): Promise<World> {
    const [host, beyond] = [join(directory, 'host'), join(directory, 'beyond')];
    const [onHost, inWorld] = [await pinNamespace(run, host), await pinNamespace(run, beyond)];
    await runChecked(onHost, [IP, 'link', 'set', 'lo', 'up']);
    await runChecked(onHost, [IP, ...`link add ${UPLINK.name} type veth peer name eth0 netns ${beyond}`.split(' ')]);
    const addresses = [`${UPLINK.router}/24 dev eth0`, `${SITE.address}/32 dev lo`, `${RESOLVER}/32 dev lo`];
    const lines = ['link set lo up', 'link set eth0 up', ...addresses.map((address) => `address add ${address}`), ''];
    await runChecked(inWorld, [IP, '-batch', '-'], { input: lines.join('\n') });
    const names = { [SITE.name]: SITE.address, [REBOUND.name]: REBOUND.address };
    const site = JSON.stringify({ ...SITE, resolver: RESOLVER, names });
    const argv = [`--net=${beyond}`, '--', '/usr/bin/python3', '-I', '-c', SERVER, site];
    const server = spawn('/usr/bin/nsenter', argv, { env: {} });
    server.stderr.pipe(process.stderr);
    await once(server.stdout, 'data');
    return new World(directory, server);
  }

  /** The command line, on that host. */
  get command(): readonly string[] {
    return ['/usr/bin/nsenter', `--net=${join(this.#directory, 'host')}`, '--', ...BUNDLED_COMMAND];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill('SIGKILL');
    for (const name of ['host', 'beyond']) await closeNamespace(run, join(this.#directory, name));
  }
}
