// Drill: an image whose name is two swapped letters away from the one that was meant.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Attempt, Drill } from '../drill.ts';

const SKOPEO = '/usr/bin/skopeo';
const MEANT = 'nginx';
const TYPED = 'ngnix';

export const typosquatPull: Drill = {
  name: 'typosquat-pull',
  title: 'A slip of the finger pulls somebody else’s image',
  adversaries: ['A7'],
  story: `Somebody has published ${TYPED}, and waits for those who mean ${MEANT}. A deployment has the two letters swapped.`,
  needsVictim: 'no',
  mustBeTrue: 'The registry lets anybody publish under any name that is free.',
  stoppedBy: 'The name is held against official and often used ones before anybody is asked for a byte.',

  async without({ directory, step }) {
    await using registry = await startRegistry();
    step(`skopeo copies ${TYPED}`);
    const config = join(directory, 'registries.conf');
    writeFileSync(
      config,
      `[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "${registry.domain}"\ninsecure = true\n`,
    );
    const target = `oci:${join(directory, 'skopeo')}:taken`;
    await promisify(execFile)(SKOPEO, [
      '--registries-conf',
      config,
      '--insecure-policy',
      'copy',
      '-q',
      `docker://docker.io/library/${TYPED}`,
      target,
    ]);
    return [pulled(registry.asked())];
  },

  async with({ directory, ringwall, step }) {
    await using registry = await startRegistry();
    const pull = async (name: string): Promise<number> => {
      const output = join(directory, name);
      mkdirSync(output);
      const { code } = await ringwall.cli(
        'image',
        'pull',
        name,
        '--mirror',
        registry.domain,
        '-o',
        output,
        '--platform',
        'linux/amd64',
      );
      return code;
    };
    step(`ringwall image pull ${MEANT}, which must work`);
    if ((await pull(MEANT)) !== 0 || registry.asked().length === 0) throw new Error(`${MEANT} could not be pulled`);
    registry.forget();
    step(`ringwall image pull ${TYPED}`);
    const code = await pull(TYPED);
    const passed: Attempt = {
      what: 'be taken for the image that was meant',
      succeeded: code === 0,
      seen: code === 0 ? 'it was pulled' : `refused (exit ${code})`,
    };
    return [pulled(registry.asked()), passed];
  },
};

function pulled(asked: readonly string[]): Attempt {
  return {
    what: `have ${TYPED} asked for`,
    succeeded: asked.length > 0,
    seen: asked.length > 0 ? `${asked.length} requests, the first ${asked[0] ?? ''}` : 'not one request',
  };
}

interface FakeRegistry extends AsyncDisposable {
  readonly domain: string;
  readonly asked: () => readonly string[];
  readonly forget: () => void;
}

/** Has one image without layers, under every name. */
async function startRegistry(): Promise<FakeRegistry> {
  const asked: string[] = [];
  const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const config = JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] } });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
    layers: [],
  });
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    asked.push(url);
    const isManifest = url.includes('/manifests/');
    const text = isManifest ? manifest : url.includes('/blobs/') ? config : '{}';
    response.writeHead(200, {
      'content-type': isManifest ? mediaType : 'application/octet-stream',
      'content-length': text.length,
      'docker-content-digest': digestOf(text),
    });
    response.end(request.method === 'HEAD' ? '' : text);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('listens nowhere');
  return {
    domain: `127.0.0.1:${address.port}`,
    asked: () => [...asked],
    forget: () => void asked.splice(0),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
