/** build/guest/manifest.json, which the page reads as /guest/manifest.json. */

export interface GuestFile {
  /** Name beside the manifest. */
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface GuestManifest {
  readonly format: 1;
  /** Which version of tools/guest built it. */
  readonly tools: string;
  /** Kernel release, e.g. `6.1.0-56-cloud-amd64`. */
  readonly release: string;
  /** Default for -append. */
  readonly commandLine: string;
  readonly packages: readonly { readonly name: string; readonly version: string }[];
  readonly modules: readonly string[];
  readonly kernel: GuestFile;
  readonly initrd: GuestFile;
}
