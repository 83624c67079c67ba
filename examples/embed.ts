/** The smallest page with a machine in it: boots the default guest, shows its console, sends it lines. */
import { createMachine } from '../src/api/create-machine.ts';

const status = document.getElementById('status') as HTMLElement;
const screen = document.getElementById('screen') as HTMLElement;
const form = document.getElementById('form') as HTMLFormElement;
const line = document.getElementById('line') as HTMLInputElement;

const machine = createMachine({
  kernel: '../guest/vmlinuz',
  initrd: '../guest/initrd.img',
  commandLine: 'console=ttyS0 cryptomgr.notests',
  memoryBytes: 256 * 1024 * 1024,
});

machine.on('status', (event) => {
  status.textContent = event.status.state;
});
machine.on('serialOutput', () => {
  screen.textContent = machine.consoleText();
});

form.addEventListener('submit', (event) => {
  event.preventDefault();
  machine.serial.write(`${line.value}\n`);
  line.value = '';
});

const started = await machine.start();
if (!started.ok) {
  status.textContent = typeof started.error === 'string' ? started.error : started.error.message;
}
