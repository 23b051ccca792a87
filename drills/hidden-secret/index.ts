// Drill: a build copies a secret in, uses it, and deletes it in a later instruction. No container shows it; the layer has it.
import { generateKeyPairSync } from 'node:crypto';
import { run } from '@ringwall/host/exec';
import type { Drill } from '../drill.ts';
import { passScan, seesInContainer, writeImage, type PlainImage } from '../plain/oci-image.ts';

const PATH = 'app/deploy.key';
const COPY = 'COPY deploy.key /app/deploy.key # buildkit';

export const hiddenSecret: Drill = {
  name: 'hidden-secret',
  title: 'A secret that a build deleted is read out of its layer',
  adversaries: ['A4', 'A7'],
  story:
    'A Dockerfile copies a private key, uses it, and removes it three lines later. The container does not have it, and the review of the container says so. Whoever pulls the image unpacks the layer before.',
  needsVictim: 'no',
  mustBeTrue: 'The attacker can pull the image, as everybody can who runs it.',
  stoppedBy: 'Every layer is read on its own, deleted files too; the finding names the layer and the instruction.',

  async without({ directory, step }) {
    const { image, secret } = await buildImage(directory);
    if (seesInContainer(image, PATH)) throw new Error('the container still shows the file: there is nothing hidden');
    step('the container shows no such file; the layers are unpacked');
    const { stdout } = await run(['/usr/bin/tar', '-xOf', image.archives[1] ?? '', PATH]);
    const succeeded = stdout.toString('utf8').includes(secret);
    return [
      { what: 'read the deleted secret with tar', succeeded, seen: succeeded ? `the secret, at ${PATH}` : 'nothing' },
    ];
  },

  async with({ directory, ringwall, step }) {
    const { image } = await buildImage(`${directory}/with`);
    step('the image is scanned before it is shipped');
    return [await passScan(ringwall, image, { rule: 'secret-in-file', layer: 1, names: PATH })];
  },
};

async function buildImage(directory: string): Promise<{ image: PlainImage; secret: string }> {
  const secret = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  const image = await writeImage(directory, [
    { createdBy: 'COPY app /app', files: { 'app/main.sh': '#!/bin/sh\necho hello\n' } },
    { createdBy: COPY, files: { [PATH]: secret } },
    { createdBy: `RUN /bin/sh -c rm /${PATH} # buildkit`, files: { 'app/.wh.deploy.key': '' } },
  ]);
  return { image, secret };
}
