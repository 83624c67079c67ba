/** What to say, and to whom, when the page cannot be isolated. */
import type { Problem } from '../control/status.ts';
import type { IsolationFailure } from '../hosting/isolation.ts';

const HEADERS = '"Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp"';

export function isolationProblem(failure: IsolationFailure): Problem {
  const { message, advice } = describe(failure);
  return {
    kind: 'no-isolation',
    message: `The threads of the machine share memory, which browsers allow only on a cross-origin isolated page. ${message}`,
    advice,
  };
}

function describe(failure: IsolationFailure): { readonly message: string; readonly advice: string } {
  switch (failure.kind) {
    case 'insecure':
      return {
        message: 'There are none of those on a connection that is not secure.',
        advice: 'Open the page over HTTPS, or run Virtab on your own computer: npm start.',
      };
    case 'framed':
      return {
        message: 'This page is shown inside of another one, which is not isolated or does not pass it on.',
        advice: `Open the page in a tab of its own. If you run the outer site: send ${HEADERS} with it, and give the frame allow="cross-origin-isolated".`,
      };
    case 'not-offered':
      return {
        message:
          'This site does not ask for that, and the browser does not let a service worker do it: in some private windows, and where a site may not store anything, there is none.',
        advice: `Open the page in an ordinary window, and allow this site to store data. If you run the site: send ${HEADERS} with every file.`,
      };
    case 'failed':
      return {
        message: `This site does not ask for that, and its service worker, which would, could not be set up: ${failure.why}.`,
        advice: `Reload the page. If you run the site: serve all files of the build as they are, service-worker.js included, or send ${HEADERS} with every file.`,
      };
    case 'refused':
      return {
        message: 'The service worker of this site asked for that, and the browser refused.',
        advice: `Reload the page, or use a current browser. If you run the site: send ${HEADERS} with every file.`,
      };
  }
}
