/** The compile worker's entry: the first message brings the port of its vCPU. */
import { serveCompiler } from './compile-thread.ts';

addEventListener('message', ({ data }: MessageEvent<MessagePort>) => serveCompiler(data), { once: true });
