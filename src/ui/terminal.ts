/** The console: xterm over COM1's bytes. */
import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { WebglAddon } from '@xterm/addon-webgl';
import type { ITheme } from '@xterm/xterm';
import { Terminal } from '@xterm/xterm';
import type { ConsoleSize } from '../machine/default-guest.ts';
import { hasGpu } from './gpu.ts';

const SCROLLBACK_LINES = 10_000;

const DARK: ITheme = {
  background: '#0f1416',
  foreground: '#d7dedc',
  cursor: '#6fd3bb',
  cursorAccent: '#0f1416',
  selectionBackground: '#2e5a52',
  black: '#1b2325',
  red: '#f07a72',
  green: '#7ccf8e',
  yellow: '#dfc06d',
  blue: '#7cb0ee',
  magenta: '#c99bea',
  cyan: '#6fcfd2',
  white: '#c9d1cf',
  brightBlack: '#78868a',
  brightRed: '#ff9c94',
  brightGreen: '#a2e6ae',
  brightYellow: '#f3d990',
  brightBlue: '#a3caff',
  brightMagenta: '#e0bdfa',
  brightCyan: '#9ae6e6',
  brightWhite: '#f4f7f6',
};

const LIGHT: ITheme = {
  background: '#fcfdfc',
  foreground: '#1c2526',
  cursor: '#1d6f5f',
  cursorAccent: '#fcfdfc',
  selectionBackground: '#bfe3da',
  black: '#1c2526',
  red: '#b3261e',
  green: '#20713a',
  yellow: '#84600c',
  blue: '#1f56ae',
  magenta: '#7c3aa6',
  cyan: '#0d6a72',
  white: '#59666a',
  brightBlack: '#5f6c70',
  brightRed: '#c93a31',
  brightGreen: '#2b7f46',
  brightYellow: '#8c6a17',
  brightBlue: '#2f67c4',
  brightMagenta: '#8f4cb8',
  brightCyan: '#177983',
  brightWhite: '#39464a',
};

export interface SearchResult {
  readonly index: number;
  readonly count: number;
}

export interface ConsoleActions {
  /** What was typed or pasted, for the guest. */
  readonly send: (bytes: Uint8Array) => void;
  readonly search: () => void;
  /** The focus leaves the console, whose Tab is the guest's. */
  readonly leave: () => void;
}

export class Console {
  readonly node: HTMLElement;
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  readonly #search = new SearchAddon({ highlightLimit: 2000 });
  readonly #darkScheme = matchMedia('(prefers-color-scheme: dark)');

  constructor(node: HTMLElement, { send, search, leave }: ConsoleActions) {
    this.node = node;
    this.#terminal = new Terminal({
      allowProposedApi: true,
      convertEol: false,
      cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
      fontFamily:
        'ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace',
      fontSize: matchMedia('(max-width: 640px)').matches ? 12 : 13,
      lineHeight: 1.15,
      macOptionIsMeta: true,
      minimumContrastRatio: 4.5,
      screenReaderMode: false,
      scrollback: SCROLLBACK_LINES,
      theme: this.#darkScheme.matches ? DARK : LIGHT,
    });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.loadAddon(this.#search);
    this.#terminal.loadAddon(new WebLinksAddon());
    const encoder = new TextEncoder();
    this.#terminal.onData((text) => send(encoder.encode(text)));
    // Mouse reports of xterm are bytes, not text.
    this.#terminal.onBinary((text) => send(Uint8Array.from(text, (character) => character.charCodeAt(0))));
    this.#terminal.attachCustomKeyEventHandler((event) => this.#ownKey(event, search, leave));
    this.#darkScheme.addEventListener('change', () => {
      this.#terminal.options.theme = this.#darkScheme.matches ? DARK : LIGHT;
    });
  }

  /** Puts the console into the page; before that nothing can be measured. */
  open(): void {
    this.#terminal.open(this.node);
    this.#terminal.textarea?.setAttribute('aria-label', 'Serial console of the guest');
    this.#terminal.textarea?.setAttribute('aria-description', 'Control Shift Up arrow leaves the console.');
    this.#useWebgl();
    this.fit();
    new ResizeObserver(() => this.fit()).observe(this.node);
  }

  fit(): void {
    if (this.node.clientWidth > 0 && this.node.clientHeight > 0) this.#fit.fit();
  }

  /** Calls `listener` now and whenever the size changes. */
  onSize(listener: () => void): void {
    this.#terminal.onResize(listener);
    listener();
  }

  get size(): ConsoleSize {
    return { columns: this.#terminal.cols, rows: this.#terminal.rows };
  }

  /** Bytes as the guest sent them; xterm decodes UTF-8 across calls. */
  write(bytes: Uint8Array): void {
    this.#terminal.write(bytes);
  }

  /** A line of ours between the guest's lines, dimmed. */
  writeMark(text: string): void {
    this.#terminal.write(`\r\n\x1b[0;2m--- ${text} ---\x1b[0m\r\n`);
  }

  clear(): void {
    this.#terminal.reset();
  }

  focus(): void {
    this.#terminal.focus();
  }

  /** The cursor keys send other sequences, as the guest asked for (DECCKM). */
  get inApplicationMode(): boolean {
    return this.#terminal.modes.applicationCursorKeysMode;
  }

  setScreenReaderMode(on: boolean): void {
    this.#terminal.options.screenReaderMode = on;
  }

  find(text: string, direction: 'next' | 'previous'): void {
    const options = {
      decorations: {
        matchBackground: '#8a6d1f',
        activeMatchBackground: '#d09b2c',
        matchOverviewRuler: '#8a6d1f',
        activeMatchColorOverviewRuler: '#d09b2c',
      },
    };
    if (direction === 'next') this.#search.findNext(text, options);
    else this.#search.findPrevious(text, options);
  }

  onSearchResult(listener: (result: SearchResult) => void): void {
    this.#search.onDidChangeResults(({ resultIndex, resultCount }) =>
      listener({ index: resultIndex, count: resultCount }),
    );
  }

  endSearch(): void {
    this.#search.clearDecorations();
    this.#terminal.clearSelection();
    this.focus();
  }

  /** What the console shows and has shown, as text. */
  text(): string {
    const buffer = this.#terminal.buffer.active;
    const lines: string[] = [];
    for (let row = 0; row < buffer.length; row++) {
      const line = buffer.getLine(row);
      if (line === undefined) continue;
      const text = line.translateToString(true);
      if (line.isWrapped && lines.length > 0) lines[lines.length - 1] += text;
      else lines.push(text);
    }
    return lines.join('\n').trimEnd();
  }

  /**
   * Keys that are not the guest's: Ctrl+Shift+C copies and Ctrl+Shift+F searches, as in other terminals, and
   * Ctrl+Shift+Up leaves the console.
   */
  #ownKey(event: KeyboardEvent, search: () => void, leave: () => void): boolean {
    if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return true;
    const isCopy = event.code === 'KeyC';
    // Left to the browser, which then pastes.
    if (event.code === 'KeyV') return false;
    const isLeave = event.code === 'ArrowUp';
    if (!isCopy && !isLeave && event.code !== 'KeyF') return true;
    event.preventDefault();
    if (event.type !== 'keydown') return false;
    if (isLeave) leave();
    else if (isCopy) void navigator.clipboard.writeText(this.#terminal.getSelection()).catch(() => undefined);
    else search();
    return false;
  }

  /** The WebGL renderer where a GPU draws; xterm's DOM renderer takes over where none does, or when its context is lost. */
  #useWebgl(): void {
    if (!hasGpu()) return;
    try {
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => webgl.dispose());
      this.#terminal.loadAddon(webgl);
    } catch {
      // No WebGL 2 here.
    }
  }
}
