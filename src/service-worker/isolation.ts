/**
 * Responses that isolate the page, for hosts that cannot send the headers themselves: browsers share memory between
 * threads only on a cross-origin isolated page (HTML standard, 7.1.3 and 7.1.4), and take the headers from whoever
 * answers, a service worker included.
 */
const ISOLATION: Readonly<Record<string, string>> = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** The same answer with the headers that isolate the page. */
export function isolated(
  body: BodyInit | null,
  { status, statusText, headers }: Pick<Response, 'status' | 'statusText' | 'headers'>,
): Response {
  const all = new Headers(headers);
  for (const [name, value] of Object.entries(ISOLATION)) all.set(name, value);
  return new Response(body, { status, statusText, headers: all });
}
