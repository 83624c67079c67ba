/** What the page and its service worker say to each other. */

export type PageMessage =
  /** Keep what is not kept yet; answered with `kept` on the message's port. */
  | { readonly kind: 'keep-all' }
  /** Take over from the worker that serves the pages now. */
  | { readonly kind: 'take-over' };

export type KeptMessage =
  | { readonly kind: 'kept'; readonly version: string }
  | { readonly kind: 'not-kept'; readonly why: string };
