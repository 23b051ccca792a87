// An image after all of its layers were read: what the rules judge.
import type { ImageFile } from '../layers/layer-tree.ts';
import type { Finding } from './finding.ts';
import type { Fact } from './inspector.ts';

export interface InspectedLayer {
  /** Of the archive as the registry has it, `sha256:…`. */
  readonly digest: string;
  /** `diff_id` of the configuration: of the archive uncompressed. */
  readonly diffId: string;
  /** `created_by` of the history: the instruction that wrote it, as its builder words it. '' where the history is silent. */
  readonly createdBy: string;
}

/** OCI Image Specification 1.1, "Image Configuration"; what Docker adds to it included. */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly created: string;
  readonly user: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string;
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly hasHealthcheck: boolean;
  readonly onBuild: readonly string[];
  /** Those without a layer of their own, too: `chpasswd` in one of them is a finding. */
  readonly history: readonly { readonly createdBy: string; readonly emptyLayer: boolean; readonly created: string }[];
}

/** Of files that come without a configuration: what would run in them is not known. */
export const EMPTY_CONFIG: ImageConfig = {
  architecture: '',
  os: '',
  created: '',
  user: '',
  env: [],
  entrypoint: [],
  cmd: [],
  workingDir: '',
  exposedPorts: [],
  volumes: [],
  labels: {},
  hasHealthcheck: false,
  onBuild: [],
  history: [],
};

/** A fact, the layer that it is from, and whether a container still sees its file. */
export interface PlacedFact extends Fact {
  readonly layer: number;
  readonly hiddenBy: number | undefined;
}

export interface InspectedImage {
  readonly config: ImageConfig;
  readonly layers: readonly InspectedLayer[];
  /** What a container would see, and what only the image carries. */
  readonly visible: readonly ImageFile[];
  readonly hidden: readonly ImageFile[];
  /** Of one inspector, in the order of layers. */
  readonly facts: (inspector: string) => readonly PlacedFact[];
}

/** Pure: the same image, the same findings. */
export type ImageRule = (image: InspectedImage) => readonly Finding[];
