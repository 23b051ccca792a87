// Images of real tools in a real registry, signed with a key by OpenSSL and put beside them as cosign does it, and with bundles as
// `cosign` of today attaches them.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DOCKER_REGISTRY, startRegistry, type RealRegistry } from '../../../host/registry/testing/real-registry.ts';
import { openPrivateSigstore, type PrivateSigstore } from '../../../host/signatures/testing/private-sigstore.ts';
import { runCli, type Run } from '../testing/harness.ts';

const PROGRAM = resolve(import.meta.dirname, '../../../dist/ringwall.mjs');
const TOOLS = ['/usr/bin/umoci', '/usr/bin/skopeo', DOCKER_REGISTRY];
const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const LOGIN = { issuer: 'https://login.example', subject: 'release@acme.example' };

describe.skipIf(!TOOLS.every((tool) => existsSync(tool)))(
  'signed images (skipped: needs umoci, skopeo and docker-registry)',
  () => {
    let folder: string;
    let registry: RealRegistry;
    let sigstore: PrivateSigstore;
    let digest: string;
    const at = (name: string): string => join(folder, name);
    const run = (program: string, ...args: string[]): string =>
      execFileSync(program, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const named = (image: string): string => `${registry.domain}/acme/${image}`;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'ringwall-signed-'));
      [registry, sigstore] = await Promise.all([startRegistry(), openPrivateSigstore()]);
      mkdirSync(at('one/etc'), { recursive: true });
      writeFileSync(at('one/etc/hostname'), 'one\n');
      run('tar', '-cf', 'one.tar', '-C', 'one', 'etc');
      run('umoci', 'init', '--layout', 'layout');
      run('umoci', 'new', '--image', 'layout:latest');
      run('umoci', 'config', '--image', 'layout:latest', '--config.user', '1000');
      run('umoci', 'raw', 'add-layer', '--image', 'layout:latest', '--history.created_by', 'ADD one', 'one.tar');
      for (const name of ['keyed:1', 'bundled:1', 'moved:1'])
        run('skopeo', 'copy', '-q', '--dest-tls-verify=false', 'oci:layout:latest', `docker://${named(name)}`);
      for (const name of ['signer', 'other']) {
        run('openssl', 'ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', `${name}.key`);
        run('openssl', 'ec', '-in', `${name}.key`, '-pubout', '-out', `${name}.pub`);
      }
      digest = JSON.parse(run('skopeo', 'inspect', '--tls-verify=false', `docker://${named('keyed:1')}`)).Digest;
      await sign('keyed');
      await sign('moved');
      writeFileSync(at('root.json'), JSON.stringify(sigstore.trustedRoot()));
    });
    afterAll(async () => {
      await registry[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    });

    /** As cosign signs `acme/keyed`, put beside `acme/REPOSITORY`. */
    const sign = async (repository: string): Promise<void> => {
      const critical = {
        identity: { 'docker-reference': named('keyed') },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      };
      writeFileSync(at('payload'), JSON.stringify({ critical, optional: null }));
      run('openssl', 'dgst', '-sha256', '-sign', 'signer.key', '-out', 'signature', 'payload');
      const push = (bytes: Buffer, manifest?: { mediaType: string; tag: string }): Promise<Pushed> =>
        registry.push(`acme/${repository}`, { bytes, ...(manifest === undefined ? {} : { manifest }) });
      const layer = {
        mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json',
        ...(await push(readFileSync(at('payload')))),
        annotations: { 'dev.cosignproject.cosign/signature': readFileSync(at('signature')).toString('base64') },
      };
      const config = { mediaType: 'application/vnd.oci.image.config.v1+json', ...(await push(Buffer.from('{}'))) };
      const manifest = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers: [layer] };
      const tag = `${digest.replace(':', '-')}.sig`;
      await push(Buffer.from(JSON.stringify(manifest)), { mediaType: MANIFEST_TYPE, tag });
    };
    const policy = (signer: unknown, signedName = 'repository'): string => {
      const images = [{ names: [`${registry.domain}/acme/*`], signedBy: ['release'], signedName }];
      const document = {
        format: 'ringwall-signature-policy/1',
        trustedRoot: 'root.json',
        signers: { release: signer },
        images,
      };
      writeFileSync(at('policy.json'), JSON.stringify(document));
      return at('policy.json');
    };
    const image = (action: string, name: string, ...words: string[]): Promise<Run> =>
      runCli(undefined, ['image', action, name, '--confirm', name.replace(/:\d+$/, ''), ...words], {
        environment: { HOME: folder, XDG_CACHE_HOME: at('cache') },
      });
    const ownKey = { keys: ['signer.pub'] };

    test('what a key signed is let in by judge, scan and pull, which say who it was', async () => {
      const file = policy(ownKey);
      const judged = await image('judge', named('keyed:1'), '--signatures', file);
      expect(judged.stdout).toContain('signed by release (key signer.pub)');
      expect(judged.code).toBe(0);
      const scanned = await image('scan', named('keyed:1'), '--signatures', file, '--fail-on', 'critical');
      expect([scanned.code, scanned.stdout]).toEqual([0, expect.stringContaining('signed by release')]);
      const pulled = await image('pull', named('keyed:1'), '-o', at('keyed'), '--signatures', file);
      expect([pulled.code, pulled.stdout]).toEqual([0, expect.stringContaining('signed by release')]);
      expect(existsSync(at('keyed/index.json'))).toBe(true);
    });

    test('the pulled copy is judged by the signatures in it, and other tools see them', async () => {
      const policyFile = policy(ownKey);
      await image('pull', named('keyed:1'), '-o', at('copy'));
      run('tar', '-cf', 'copy.tar', '-C', 'copy', '.');
      for (const copy of [at('copy'), at('copy.tar')]) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other is easier to read where one fails
        const judged = await image('judge', copy, '--signatures', policyFile);
        expect([judged.code, judged.stdout]).toEqual([
          0,
          expect.stringContaining('signed by release (key signer.pub)'),
        ]);
        expect(judged.stdout).toContain(`${named('keyed:1')}: signed`);
        // oxlint-disable-next-line no-await-in-loop -- as above
        const scanned = await image('scan', copy, '--signatures', policyFile, '--fail-on', 'critical');
        expect([scanned.code, scanned.stdout]).toEqual([0, expect.stringContaining('signed by release')]);
      }
      const bundled = run(process.execPath, PROGRAM, 'image', 'judge', at('copy'), '--signatures', policyFile);
      expect(bundled).toContain('signed by release');
      const tag = `${digest.replace(':', '-')}.sig`;
      expect(JSON.parse(run('skopeo', 'inspect', '--raw', `oci:copy:${tag}`)).layers).toHaveLength(1);
      run('skopeo', 'copy', '-q', 'oci:copy:1', 'oci:again:1');
      const tree = await image('tree', at('copy'), '--signatures', policyFile);
      expect([tree.code, tree.stdout]).toEqual([0, expect.stringContaining('1 image')]);
      // Another tool's copy has neither the signatures nor the name.
      const lost = await image('scan', at('again'), '--signatures', policyFile, '--as', named('keyed:1'));
      expect([lost.code, lost.stderr.replaceAll(/\s+/g, ' ')]).toEqual([
        4,
        expect.stringContaining('no signature at all'),
      ]);
    });

    test('a copy is refused without its signature, with that of another image, and as what it is not', async () => {
      const policyFile = policy(ownKey);
      const scan = async (...words: string[]): Promise<[code: number, said: string]> => {
        const { code, stderr } = await image('scan', at('odd'), '--signatures', policyFile, ...words);
        return [code, stderr.replaceAll(/\s+/g, ' ')];
      };
      await image('pull', named('keyed:1'), '-o', at('odd'));
      expect(await scan('--as', named('moved:1'))).toEqual([4, expect.stringContaining('it was signed as')]);
      expect(await scan('--as', 'ghcr.io/acme/keyed:1')).toEqual([4, expect.stringContaining('does not speak of')]);
      const index: { manifests: Record<string, unknown>[] } = JSON.parse(readFileSync(at('odd/index.json'), 'utf8'));
      const [own, signature] = index.manifests;
      writeFileSync(at('odd/index.json'), JSON.stringify({ ...index, manifests: [own] }));
      expect(await scan()).toEqual([4, expect.stringContaining('no signature at all')]);
      // Another image under the name of the signed one, with its genuine signature.
      run('umoci', 'config', '--image', 'layout:latest', '--tag', 'other', '--config.user', '0');
      run('skopeo', 'copy', '-q', 'oci:layout:other', 'oci:odd:other');
      const changed: { manifests: Record<string, unknown>[] } = JSON.parse(readFileSync(at('odd/index.json'), 'utf8'));
      const other = changed.manifests.find((entry) => entry['digest'] !== digest);
      const tag = `${String(other?.['digest']).replace(':', '-')}.sig`;
      const manifests = [
        { ...other, annotations: own?.['annotations'] },
        { ...signature, annotations: { 'org.opencontainers.image.ref.name': tag } },
      ];
      writeFileSync(at('odd/index.json'), JSON.stringify({ ...index, manifests }));
      expect(await scan()).toEqual([4, expect.stringContaining('is of another image')]);
    });

    test('another key, another repository and no signature at all are refused, before a layer is read', async () => {
      const other = await image(
        'pull',
        named('keyed:1'),
        '-o',
        at('other'),
        '--signatures',
        policy({ keys: ['other.pub'] }),
      );
      expect([other.code, other.stderr.replaceAll(/\s+/g, ' '), existsSync(at('other'))]).toEqual([
        4,
        expect.stringContaining('of no key that the policy names'),
        false,
      ]);
      const without = await image('scan', named('bundled:1'), '--signatures', policy(ownKey));
      expect([without.code, without.stderr.replaceAll(/\s+/g, ' ')]).toEqual([
        4,
        expect.stringContaining('no signature at all'),
      ]);
      // The same image and its signature, put where they were not signed for.
      const moved = await image('judge', named('moved:1'), '--signatures', policy(ownKey));
      expect([moved.code, moved.stdout.replaceAll(/\s+/g, ' ')]).toEqual([
        4,
        expect.stringContaining(`it was signed as ${named('keyed')}`),
      ]);
      expect((await image('judge', named('moved:1'), '--signatures', policy(ownKey, 'any'))).code).toBe(0);
    });

    test('a bundle by a login counts, where it hangs on the fallback tag of registries without referrers', async () => {
      await image('pull', named('bundled:1'), '-o', at('bundled'));
      const statement = {
        _type: 'https://in-toto.io/Statement/v1',
        subject: [{ name: named('bundled'), digest: { sha256: digest.slice(7) } }],
        predicateType: 'https://sigstore.dev/cosign/sign/v1',
        predicate: {},
      };
      const push = async (bytes: string, manifest?: { mediaType: string; tag?: string }): Promise<Pushed> =>
        await registry.push('acme/bundled', {
          bytes: Buffer.from(bytes),
          ...(manifest === undefined ? {} : { manifest }),
        });
      const bundle = await push(JSON.stringify(await sigstore.signStatement(JSON.stringify(statement), LOGIN)));
      const empty = await push('{}');
      const attached = await push(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: MANIFEST_TYPE,
          artifactType: BUNDLE_TYPE,
          config: { mediaType: 'application/vnd.oci.empty.v1+json', ...empty },
          layers: [{ mediaType: BUNDLE_TYPE, ...bundle }],
          subject: {
            mediaType: MANIFEST_TYPE,
            digest,
            size: readFileSync(at(`bundled/blobs/sha256/${digest.slice(7)}`)).length,
          },
        }),
        { mediaType: MANIFEST_TYPE },
      );
      const entry = { mediaType: MANIFEST_TYPE, ...attached, artifactType: BUNDLE_TYPE };
      await push(JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [entry] }), {
        mediaType: INDEX_TYPE,
        tag: digest.replace(':', '-'),
      });
      const own = await image('judge', named('bundled:1'), '--signatures', policy({ identities: [LOGIN] }));
      expect([own.code, own.stdout.replaceAll(/\s+/g, ' ')]).toEqual([
        0,
        expect.stringContaining(`${LOGIN.subject}, by ${LOGIN.issuer}`),
      ]);
      await image('pull', named('bundled:1'), '-o', at('bundled-signed'));
      const copy = await image(
        'scan',
        at('bundled-signed'),
        '--signatures',
        policy({ identities: [LOGIN] }),
        '--fail-on',
        'critical',
      );
      expect([copy.code, copy.stdout]).toEqual([0, expect.stringContaining('signed by release')]);
      const other = { ...LOGIN, subject: 'mallory@acme.example' };
      const refused = await image('judge', named('bundled:1'), '--signatures', policy({ identities: [other] }));
      expect([refused.code, refused.stdout.replaceAll(/\s+/g, ' ')]).toEqual([
        4,
        expect.stringContaining('whom the policy does not name'),
      ]);
    });

    test('an unreadable policy refuses, and so does one about what has no name, or no place for signatures', async () => {
      writeFileSync(at('empty.json'), '');
      for (const action of ['judge', 'scan', 'pull'])
        // oxlint-disable-next-line no-await-in-loop -- one after the other is easier to read where one fails
        expect(
          await image(action, named('keyed:1'), '-o', at('never'), '--signatures', at('empty.json')),
        ).toMatchObject({
          code: 2,
          stderr: expect.stringContaining('signature policy is no JSON'),
        });
      expect(existsSync(at('never'))).toBe(false);
      expect(await image('scan', at('layout'), '--image', 'latest', '--signatures', policy(ownKey))).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('does not say of which repository it is'),
      });
      expect(await image('scan', at('one'), '--signatures', policy(ownKey))).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('has no signatures'),
      });
    });
  },
);

interface Pushed {
  readonly digest: string;
  readonly size: number;
}
