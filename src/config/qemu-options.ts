/** Reads a configuration from command-line arguments as QEMU takes them, and writes one back. */
import { success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { configError } from './config-error.ts';
import type { ConfigError } from './config-error.ts';
import { checkHardware } from './device-options.ts';
import { NOT_YET, OPTIONS, splitOnce } from './options.ts';
import type { Draft, Option } from './options.ts';
import { closest } from './suggest.ts';
import { DEFAULT_CONFIG } from './vm-config.ts';
import type { VmConfig } from './vm-config.ts';

/** What concerns the runner, not the machine. */
export interface RunOptions {
  /** End the machine after so many seconds. */
  readonly timeoutSeconds?: number;
  /** Where to write figures, as JSON. */
  readonly statsFile?: string;
  /** End the machine when its serial output contains this. */
  readonly until?: string;
  /** What to print of disks and devices at the end: topics of `info`. */
  readonly info: readonly string[];
  /** Run under Node instead of Chromium. */
  readonly node: boolean;
  readonly help: boolean;
}

export interface CommandLine {
  readonly config: VmConfig;
  readonly run: RunOptions;
}

interface RunOption {
  readonly name: string;
  readonly value?: string;
  readonly help: string;
  readonly apply: (run: RunOptions, value: string, shown: string) => Result<RunOptions, ConfigError>;
}

const RUN_OPTIONS: readonly RunOption[] = [
  {
    name: 'timeout',
    value: 'SECONDS',
    help: 'end the machine after this time',
    apply: (run, value, shown) => {
      const seconds = Number(value);
      return value.trim() !== '' && seconds > 0 && Number.isFinite(seconds)
        ? success({ ...run, timeoutSeconds: seconds })
        : configError(
            shown,
            `${shown} ${value}: this is not a number of seconds.`,
            `Write it as ${shown} 60.`,
          );
    },
  },
  {
    name: 'stats',
    value: 'FILE',
    help: 'write instruction counts, exits and times to this file, as JSON',
    apply: (run, value) => success({ ...run, statsFile: value }),
  },
  {
    name: 'until',
    value: 'TEXT',
    help: 'end the machine when its serial output contains this text',
    apply: (run, value) => success({ ...run, until: value }),
  },
  {
    name: 'info',
    value: 'TOPIC,...',
    help: 'print this at the end: block, aio, ioeventfd, exits, network, stats, jit',
    apply: (run, value) => success({ ...run, info: [...run.info, ...value.split(',')] }),
  },
  {
    name: 'node',
    help: 'run under Node instead of Chromium',
    apply: (run) => success({ ...run, node: true }),
  },
  { name: 'help', help: 'show this', apply: (run) => success({ ...run, help: true }) },
];

/** Takes one dash or two, as QEMU does, and `--name=value` too. When an option is repeated, the last one counts. */
export function parseQemuOptions(argv: readonly string[]): Result<CommandLine, ConfigError> {
  let draft: Draft = {};
  let run: RunOptions = { info: [], node: false, help: false };
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!;
    if (!/^--?[^-]/.test(argument)) {
      return configError(
        argument,
        `"${argument}" is not an option.`,
        'Name it: a kernel is given as -kernel FILE, an initial RAM disk as -initrd FILE.',
      );
    }
    const [shown, attached] = splitOnce(argument, '=');
    const name = shown.replace(/^--?/, '');
    const machineOption = OPTIONS.find((option) => isNamed(option, name));
    const runOption = RUN_OPTIONS.find((option) => option.name === name);
    const option = machineOption ?? runOption;
    if (option === undefined) return unknownOption(shown, name);
    let value = attached;
    if (option.value === undefined) {
      if (argument.includes('='))
        return configError(shown, `${shown} takes no value.`, `Write just ${shown}.`);
    } else if (!argument.includes('=')) {
      const next = argv[++index];
      if (next === undefined) {
        return configError(shown, `${shown} needs a value.`, `Write it as ${shown} ${option.value}.`);
      }
      value = next;
    }
    if (machineOption !== undefined) {
      const applied = machineOption.apply(draft, value, shown);
      if (!applied.ok) return applied;
      draft = applied.value;
    } else if (runOption !== undefined) {
      const applied = runOption.apply(run, value, shown);
      if (!applied.ok) return applied;
      run = applied.value;
    }
  }
  const config = complete(draft);
  const checked = checkHardware(config, '-');
  return checked.ok ? success({ config, run }) : checked;
}

export function isNamed(option: Option, name: string): boolean {
  return option.name === name || option.aliases?.includes(name) === true;
}

export function complete(draft: Draft): VmConfig {
  return { ...DEFAULT_CONFIG, ...draft };
}

function unknownOption(shown: string, name: string): Result<never, ConfigError> {
  const notYet = NOT_YET[name];
  if (notYet !== undefined) return configError(shown, `${shown}: ${notYet}.`, 'Leave it out.');
  const names = [
    ...OPTIONS.flatMap((option) => [option.name, ...(option.aliases ?? [])]),
    ...RUN_OPTIONS.map((option) => option.name),
  ];
  const guess = closest(name, names);
  return configError(
    shown,
    `Unknown option ${shown}.`,
    guess === undefined
      ? 'Run with --help for the list of options.'
      : `Did you mean ${RUN_OPTIONS.some((option) => option.name === guess) ? '--' : '-'}${guess}? --help lists the options.`,
  );
}

/** The arguments that give `config` again; QEMU takes them too. */
export function toQemuArguments(config: VmConfig): string[] {
  return OPTIONS.flatMap((option) =>
    option
      .print(config)
      .flatMap((value) => (option.value === undefined ? [`-${option.name}`] : [`-${option.name}`, value])),
  );
}

/** A line for a shell that starts the same machine in QEMU. */
export function formatQemuCommand(config: VmConfig, program = 'qemu-system-x86_64'): string {
  return [program, ...toQemuArguments(config).map(shellQuote)].join(' ');
}

export function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export function helpText(): string {
  const row = (
    dashes: string,
    option: { readonly name: string; readonly value?: string; readonly help: string },
  ): string => {
    const usage = `${dashes}${option.name}${option.value === undefined ? '' : ` ${option.value}`}`;
    const gap = usage.length < 28 ? ' '.repeat(28 - usage.length) : `\n${' '.repeat(30)}`;
    return `  ${usage}${gap}${option.help}`;
  };
  return [
    'The machine (options of QEMU):',
    ...OPTIONS.map((option) => row('-', option)),
    'The run:',
    ...RUN_OPTIONS.map((option) => row('--', option)),
    '',
  ].join('\n');
}
