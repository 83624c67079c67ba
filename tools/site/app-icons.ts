/** The icons as files of the site, in builds and from the development server. */
import type { Plugin } from 'vite';
import { ICON, iconPng, iconSvg, MASKABLE_ICON } from './icon.ts';

/** Named by index.html and public/manifest.webmanifest. */
const FILES: readonly { readonly fileName: string; readonly type: string; draw: () => string | Buffer }[] = [
  { fileName: 'favicon.svg', type: 'image/svg+xml', draw: () => iconSvg(ICON) },
  { fileName: 'icons/icon-192.png', type: 'image/png', draw: () => iconPng(ICON, 192) },
  { fileName: 'icons/icon-512.png', type: 'image/png', draw: () => iconPng(ICON, 512) },
  { fileName: 'icons/maskable-512.png', type: 'image/png', draw: () => iconPng(MASKABLE_ICON, 512) },
  { fileName: 'icons/touch-180.png', type: 'image/png', draw: () => iconPng(MASKABLE_ICON, 180) },
];

export function appIcons(): Plugin {
  return {
    name: 'virtab-icons',
    configureServer: (server) => {
      for (const { fileName, type, draw } of FILES) {
        server.middlewares.use(`/${fileName}`, (_, response) => {
          response.setHeader('Content-Type', type);
          response.end(draw());
        });
      }
    },
    generateBundle(): void {
      for (const { fileName, draw } of FILES) this.emitFile({ type: 'asset', fileName, source: draw() });
    },
  };
}
