// Annotations by which tools tell the entries of a layout's index from each other.

/** The name that `skopeo copy`, `umoci` and `oras` write (OCI Image Specification 1.1, "Image Layout"): in a layout it is the tag. */
export const REF_NAME = 'org.opencontainers.image.ref.name';
/** The one that containerd writes is whole, with the registry. */
export const WHOLE_NAME = 'io.containerd.image.name';
/** By which `cosign save` says what is what. */
export const COSIGN_KIND = 'kind';
export const COSIGN_KINDS = {
  image: 'dev.cosignproject.cosign/image',
  index: 'dev.cosignproject.cosign/imageIndex',
  signatures: 'dev.cosignproject.cosign/sigs',
  attestations: 'dev.cosignproject.cosign/atts',
} as const;
