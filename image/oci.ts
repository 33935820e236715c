import { createHash } from 'node:crypto';
import { byteLength, type TarEntry, tar, withDirectories } from './tar.ts';

/** One layer of an image. */
export interface Layer {
  /** What it holds, for people; appears in the image's history. */
  readonly title: string;
  readonly entries: readonly TarEntry[];
}

/** How a container of the image starts; names as in the OCI image configuration. */
export interface ImageConfig {
  readonly User: string;
  readonly Entrypoint: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly Env: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
}

export interface ImageArchive {
  /** Of the manifest: what a registry or container runtime calls the image. */
  readonly digest: string;
  readonly layers: readonly { readonly title: string; readonly digest: string; readonly size: number }[];
  /** The archive, to be written one after the other. */
  readonly chunks: readonly Uint8Array[];
}

interface Blob {
  readonly digest: string;
  readonly size: number;
  readonly content: readonly Uint8Array[];
}

const epoch = '1970-01-01T00:00:00Z';
const mediaType = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

/**
 * An OCI image layout as a tar archive, which `ctr image import`, `docker load`, `podman load` and
 * `skopeo copy oci-archive:` take. Equal input gives equal bytes.
 *
 * Layers are not compressed: an import is a copy then, and the digest depends on no version of a compressor. What
 * pushes to a registry compresses on the way.
 *
 * @param tag `name:tag` as people write it; a name without a registry is one of docker.io, as everywhere.
 */
export function imageArchive(layers: readonly Layer[], config: ImageConfig, tag: string): ImageArchive {
  const layerBlobs = layers.map(({ title, entries }) => ({ title, ...blob(tar(withDirectories(entries))) }));
  const configBlob = jsonBlob({
    created: epoch,
    architecture: architecture(),
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: layerBlobs.map(({ digest }) => digest) },
    history: layerBlobs.map(({ title }) => ({ created: epoch, created_by: title })),
  });
  const manifestBlob = jsonBlob({
    schemaVersion: 2,
    mediaType: mediaType.manifest,
    config: descriptor(mediaType.config, configBlob),
    layers: layerBlobs.map((layer) => descriptor(mediaType.layer, layer)),
  });
  const name = fullName(tag);
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...descriptor(mediaType.manifest, manifestBlob),
        platform: { architecture: architecture(), os: 'linux' },
        annotations: {
          'io.containerd.image.name': name,
          'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
        },
      },
    ],
  };
  // What a Docker without containerd's image store reads.
  const docker = [
    { Config: blobPath(configBlob), RepoTags: [tag], Layers: layerBlobs.map((layer) => blobPath(layer)) },
  ];
  const files = [
    { path: 'oci-layout', content: json({ imageLayoutVersion: '1.0.0' }) },
    { path: 'index.json', content: json(index) },
    { path: 'manifest.json', content: json(docker) },
    ...[manifestBlob, configBlob, ...layerBlobs].map((one) => ({ path: blobPath(one), content: one.content })),
  ];
  return {
    digest: manifestBlob.digest,
    layers: layerBlobs.map(({ title, digest, size }) => ({ title, digest, size })),
    chunks: tar(withDirectories(files.map((file) => ({ type: 'file', mode: 0o644, ...file })))),
  };
}

/** `meshwright/shop:1` is `docker.io/meshwright/shop:1` to a container runtime. */
function fullName(tag: string): string {
  if (!/^[a-z0-9][a-z0-9._:/-]*:[\w][\w.-]{0,127}$/.test(tag)) {
    throw new Error(`not the name of an image: "${tag}" (expected name:tag, for example meshwright/meshwright:0.1.0)`);
  }
  const [registry, ...path] = tag.split('/');
  if (path.length === 0) return `docker.io/library/${tag}`;
  return /[.:]/.test(registry) || registry === 'localhost' ? tag : `docker.io/${tag}`;
}

function architecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

function blob(content: readonly Uint8Array[]): Blob {
  const hash = createHash('sha256');
  for (const chunk of content) hash.update(chunk);
  return { digest: `sha256:${hash.digest('hex')}`, size: byteLength(content), content };
}

function json(value: unknown): readonly Uint8Array[] {
  return [Buffer.from(JSON.stringify(value))];
}

function jsonBlob(value: unknown): Blob {
  return blob(json(value));
}

function descriptor(type: string, { digest, size }: Blob) {
  return { mediaType: type, digest, size };
}

function blobPath({ digest }: Blob): string {
  return `blobs/${digest.replace(':', '/')}`;
}
