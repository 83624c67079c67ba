/** Child processes for the tools: run to the end, or as a filter whose output is read as a stream. */
import { spawn } from 'node:child_process';

export interface Finished {
  /** Exit code; -1 when the program could not be started or was killed. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Hand the program's output through to ours. */
  readonly inherit?: boolean;
}

export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(program, [...args], {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      stdio: options.inherit === true ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', (error) => resolve({ code: -1, stdout, stderr: error.message }));
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

/** Feeds `input` to a program and yields what it writes. Throws if the program fails. */
export async function* filter(
  program: string,
  args: readonly string[],
  input: Uint8Array,
): AsyncGenerator<Buffer> {
  const child = spawn(program, [...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = new Promise<number>((resolve, reject) => {
    child.on('error', (error) => reject(new Error(`${program} could not be started (${error.message})`)));
    child.on('close', (code) => resolve(code ?? -1));
  });
  // Looked at below; until then a failure must not count as unhandled.
  closed.catch(() => undefined);
  // The reader may stop early, and then the program closes its input: not an error of ours.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) yield chunk;
    const code = await closed;
    if (code !== 0) throw new Error(`${program} failed with exit code ${code}`);
  } finally {
    child.kill();
    await closed.catch(() => undefined);
  }
}

/** True if `name` is on the PATH and can be started. */
export async function hasProgram(name: string): Promise<boolean> {
  return (await run('sh', ['-c', `command -v ${name}`])).code === 0;
}
