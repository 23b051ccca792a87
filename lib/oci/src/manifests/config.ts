// The configuration of an image, and which instruction wrote each layer. OCI Image Specification 1.1, "Image Configuration";
// `Healthcheck`, `OnBuild` as in the Docker Image Specification v1.3.
import type { ImageConfig, InspectedLayer } from '../inspection/inspected-image.ts';
import { OciError } from '../oci-error.ts';
import { parseDigest } from '../references/reference.ts';
import { isObject, labelsOf, listOf, malformed, objectOf, parseJsonObject, textOf, textsOf } from './json.ts';

/** Builders write a line for each instruction; what has more is made to be long. */
const MAX_HISTORY_ENTRIES = 10_000;
const WHAT = 'configuration';

export interface ParsedConfig {
  readonly config: ImageConfig;
  /** Digests of the uncompressed layers, from the base on. */
  readonly diffIds: readonly string[];
}

/** Throws OciError. */
export function parseImageConfig(bytes: Uint8Array): ParsedConfig {
  const document = parseJsonObject(bytes, WHAT);
  const config = objectOf(document, 'config', WHAT);
  const rootfs = objectOf(document, 'rootfs', WHAT);
  const healthcheck = objectOf(config, 'Healthcheck', WHAT);
  const test = textsOf(healthcheck, 'Test', WHAT);
  return {
    diffIds: textsOf(rootfs, 'diff_ids', WHAT).map((text) => {
      const { algorithm, hex } = parseDigest(text);
      return `${algorithm}:${hex}`;
    }),
    config: {
      architecture: textOf(document, 'architecture', WHAT),
      os: textOf(document, 'os', WHAT),
      created: textOf(document, 'created', WHAT),
      user: textOf(config, 'User', WHAT),
      env: textsOf(config, 'Env', WHAT),
      entrypoint: textsOf(config, 'Entrypoint', WHAT),
      cmd: textsOf(config, 'Cmd', WHAT),
      workingDir: textOf(config, 'WorkingDir', WHAT),
      exposedPorts: Object.keys(objectOf(config, 'ExposedPorts', WHAT)),
      volumes: Object.keys(objectOf(config, 'Volumes', WHAT)),
      labels: labelsOf(config, 'Labels', WHAT),
      hasHealthcheck: test.length > 0 && test[0] !== 'NONE',
      onBuild: textsOf(config, 'OnBuild', WHAT),
      history: historyOf(listOf(document, 'history', WHAT)),
    },
  };
}

/** The layers by both of their digests, and who wrote them. Throws OciError where configuration and manifest disagree. */
export function describeLayers(
  digests: readonly string[],
  { config, diffIds }: ParsedConfig,
): readonly InspectedLayer[] {
  if (digests.length !== diffIds.length)
    throw malformed(WHAT, `names ${diffIds.length} layers, and the image has ${digests.length}`);
  const writing = config.history.filter(({ emptyLayer }) => !emptyLayer);
  // A history that does not fit would blame the wrong instruction.
  const fits = writing.length === digests.length;
  return digests.map((digest, at) => ({
    digest,
    diffId: diffIds[at] ?? '',
    createdBy: fits ? (writing[at]?.createdBy ?? '') : '',
  }));
}

function historyOf(list: readonly unknown[]): ImageConfig['history'] {
  if (list.length > MAX_HISTORY_ENTRIES)
    throw new OciError('limit', `${WHAT} has more than ${MAX_HISTORY_ENTRIES} lines of history`);
  return list.map((entry) => {
    if (!isObject(entry)) throw malformed(WHAT, 'has a history that is no list of objects');
    return {
      createdBy: textOf(entry, 'created_by', WHAT),
      emptyLayer: entry['empty_layer'] === true,
      created: textOf(entry, 'created', WHAT),
    };
  });
}
