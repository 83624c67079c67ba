/** The disks: those of this machine, those in the browser's storage, and everything that can be done with them. */
import type { Result } from '../../base/result.ts';
import { MIB } from '../../base/units.ts';
import { formatSize, parseSize } from '../../config/size.ts';
import { imageNameProblem } from '../../block/image-store.ts';
import { IMPORT_CANCELLED } from '../../control/disk-store.ts';
import type { DiskStore } from '../../control/disk-store.ts';
import { freeDiskName } from '../../disks/disk-names.ts';
import { ask, askText, askTexts } from '../confirm.ts';
import type { TextField } from '../confirm.ts';
import { button, element, ICON, setText } from '../dom.ts';
import type { PanelPage } from '../panel/side-panel.ts';
import { section } from '../settings/setting-row.ts';
import { textButton } from '../machines/machines-panel.ts';
import { formatBytes } from '../text.ts';
import { askHowToAdd } from './add-disk-dialog.ts';
import type { AddedImage } from './add-disk-dialog.ts';
import type { AttachedDisk, DiskAttachments } from './attachments.ts';
import { DiskJobs } from './disk-jobs.ts';
import { exportImage } from './export-image.ts';
import { StorageNote } from './storage-note.ts';
import { StoredImages } from './stored-images.ts';
import type { StoredImage } from './stored-images.ts';

/** Other tabs make and delete disks too. */
const REFRESH_MS = 2000;

export interface DisksActions {
  /** Files that were chosen with the button: the same as dropped ones. */
  addFiles(files: readonly File[]): void;
  /** An image has another name from now on. */
  renamed(from: string, to: string): Promise<void>;
}

export class DisksPanel implements PanelPage {
  readonly id = 'disks';
  readonly title = 'Disks';
  readonly icon = ICON.disks;
  readonly node: HTMLElement;
  readonly #store: DiskStore;
  readonly #images: StoredImages;
  readonly #actions: DisksActions;
  readonly #attachments: DiskAttachments;
  readonly #jobs = new DiskJobs();
  readonly #storage = new StorageNote();
  readonly #problem = element('p', { class: 'form-problem', role: 'alert' });
  readonly #attached = element('div');
  readonly #stored = element('div');
  #timer: ReturnType<typeof setInterval> | undefined;
  #shownState = '';
  #names: readonly string[] = [];
  #nextJob = 1;

  constructor(store: DiskStore, attachments: DiskAttachments, actions: DisksActions) {
    this.#store = store;
    this.#images = new StoredImages(store);
    this.#actions = actions;
    this.#attachments = attachments;
    const input = element('input', {
      type: 'file',
      class: 'visually-hidden',
      id: 'disk-file',
      multiple: true,
    });
    input.setAttribute('aria-label', 'Add files: kernels, RAM disks, disk images');
    input.addEventListener('change', () => {
      actions.addFiles([...(input.files ?? [])]);
      input.value = '';
    });
    this.node = element(
      'div',
      { class: 'panel-page' },
      element(
        'section',
        { class: 'panel-section', 'aria-label': 'Add a disk' },
        element(
          'div',
          { class: 'panel-actions file-row' },
          input,
          element('label', { class: 'button', for: 'disk-file' }, 'Add a file'),
          button('New empty disk', ICON.add, () => void this.#create()).node,
        ),
        element(
          'p',
          { class: 'panel-quiet disks-hint' },
          'Or drop an image (raw or ISO) anywhere on the page.',
        ),
        this.#problem,
        this.#jobs.node,
      ),
      section('This machine', this.#attached),
      section('In this browser', this.#stored),
      section('Storage', this.#storage.node),
    );
    attachments.onChange(() => void this.refresh());
  }

  get isCopying(): boolean {
    return this.#jobs.isBusy;
  }

  setShown(shown: boolean): void {
    clearInterval(this.#timer);
    if (!shown) return;
    void this.refresh();
    this.#timer = setInterval(() => void this.refresh(), REFRESH_MS);
  }

  /** An image that was dropped: asks what to do, does it, and attaches the disk. */
  async add(image: AddedImage): Promise<void> {
    const { usage = 0, quota = 0 } = await navigator.storage.estimate();
    const choice = await askHowToAdd(image, quota - usage);
    if (choice === 'in-place') await this.#report(this.#attachments.attachFile(image.file));
    else if (choice === 'import') await this.#import(image);
    await this.refresh();
  }

  async refresh(): Promise<void> {
    const attached = this.#attachments.list();
    const images = await this.#images.list();
    if (!images.ok) setText(this.#problem, images.error);
    const stored = images.ok ? images.value : [];
    this.#names = stored.map(({ name }) => name);
    // Buttons that are replaced under the pointer or lose the focus every two seconds are of no use.
    const state = JSON.stringify([attached, stored]);
    if (state !== this.#shownState) {
      this.#shownState = state;
      this.#showAttached(attached, stored);
      this.#showStored(
        stored.filter(({ name }) => !attached.some((disk) => disk.image === name)),
        stored.length === 0 ? 'No disks are stored yet.' : 'This machine has all that are stored.',
      );
    }
    await this.#storage.refresh();
  }

  #showAttached(disks: readonly AttachedDisk[], stored: readonly StoredImage[]): void {
    this.#attached.replaceChildren(
      disks.length === 0
        ? element(
            'p',
            { class: 'panel-empty' },
            'This machine has no disk. What its guest writes is gone when it stops.',
          )
        : element(
            'ul',
            { class: 'cards' },
            ...disks.map((disk) =>
              this.#attachedCard(
                disk,
                stored.find(({ name }) => name === disk.image),
              ),
            ),
          ),
      ...(disks.some(({ isInMachine, readOnly }) => isInMachine && !readOnly) ? [powerCutNote()] : []),
    );
  }

  #attachedCard(disk: AttachedDisk, stored: StoredImage | undefined): HTMLElement {
    const size = disk.sizeBytes ?? stored?.sizeBytes;
    const facts = [
      disk.format,
      ...(size === undefined ? [] : [formatBytes(size)]),
      ...(stored === undefined || stored.content === '' ? [] : [stored.content]),
      disk.readOnly ? 'read-only' : 'writable',
    ];
    const state =
      disk.missing !== undefined
        ? element('p', { class: 'disk-problem' }, disk.missing)
        : element('p', { class: 'disk-state', 'data-dirty': String(disk.dirty) }, disk.state);
    return element(
      'li',
      { class: 'card' },
      element(
        'div',
        { class: 'card-title' },
        disk.name,
        ...(disk.guestName === undefined
          ? []
          : [
              element(
                'code',
                { class: 'setting-option', title: disk.device ?? '' },
                `/dev/${disk.guestName}`,
              ),
            ]),
      ),
      element('div', { class: 'card-detail' }, facts.join(', ')),
      ...(disk.driver === undefined
        ? []
        : [
            element(
              'div',
              { class: 'card-detail' },
              element('code', {}, `aio=${disk.driver}`),
              ` ${disk.driverReason ?? ''}`,
            ),
          ]),
      ...(disk.warning === undefined ? [] : [element('p', { class: 'disk-problem' }, disk.warning)]),
      state,
      element(
        'div',
        { class: 'card-actions' },
        ...(stored === undefined
          ? []
          : [textButton('Export', () => void this.#export(stored), `Export ${disk.name}`)]),
        ...(stored === undefined || disk.readOnly
          ? []
          : [
              textButton(
                'Grow',
                () =>
                  void this.#grow(stored, (bytes) =>
                    disk.isInMachine
                      ? this.#attachments.grow(disk.id, bytes)
                      : this.#store.grow(stored.name, bytes),
                  ),
                `Grow ${disk.name}`,
              ),
            ]),
        textButton('Detach', () => void this.#detach(disk), `Detach ${disk.name}`),
      ),
    );
  }

  #showStored(disks: readonly StoredImage[], ifNone: string): void {
    this.#stored.replaceChildren(
      disks.length === 0
        ? element('p', { class: 'panel-empty' }, ifNone)
        : element('ul', { class: 'cards' }, ...disks.map((disk) => this.#storedCard(disk))),
    );
  }

  #storedCard(disk: StoredImage): HTMLElement {
    const { name } = disk;
    const actions = disk.inUse
      ? [element('span', { class: 'panel-quiet' }, 'In use by a machine of this or another tab.')]
      : [
          textButton(
            'Attach',
            () => void this.#report(this.#attachments.attachImage(name)),
            `Attach ${name}`,
          ),
          textButton('Rename', () => void this.#rename(name), `Rename ${name}`),
          textButton(
            'Grow',
            () => void this.#grow(disk, (bytes) => this.#store.grow(name, bytes)),
            `Grow ${name}`,
          ),
          textButton('Export', () => void this.#export(disk), `Export ${name}`),
          textButton('Delete', () => void this.#remove(disk), `Delete ${name}`),
        ];
    return element(
      'li',
      { class: 'card' },
      element('div', { class: 'card-title' }, name),
      element(
        'div',
        { class: 'card-detail' },
        `raw, ${formatBytes(disk.sizeBytes)}${disk.content === '' ? '' : `, ${disk.content}`}`,
      ),
      element('div', { class: 'card-actions' }, ...actions),
    );
  }

  async #create(): Promise<void> {
    const answer = await askTexts(
      {
        title: 'New empty disk',
        message: 'It is full of zeroes: the guest has to partition or format it.',
        confirm: 'Create',
      },
      [
        {
          label: 'Name',
          value: freeDiskName('disk.img', this.#names),
          check: (text) =>
            imageNameProblem(text) ??
            (this.#names.includes(text) ? `There is a disk “${text}” already.` : undefined),
        },
        sizeField('1G', 0),
      ],
    );
    if (answer === undefined) return;
    const [name = '', size = ''] = answer;
    const bytes = parseSize(size)!;
    if (await this.#report(this.#store.create(name, bytes)))
      await this.#report(this.#attachments.attachImage(name));
    await this.refresh();
  }

  async #import({ file, readOnly }: AddedImage): Promise<void> {
    const name = freeDiskName(file.name, this.#names);
    const job = this.#nextJob++;
    const end = this.#store.importBlob(name, file, (done) => show(done), job);
    const show = this.#jobs.add({
      title: `Importing ${name}`,
      totalBytes: file.size,
      end,
      steer: (how) => void this.#store.steer(job, how),
    });
    const imported = await end;
    setText(this.#problem, imported.ok || imported.error === IMPORT_CANCELLED ? '' : imported.error);
    if (imported.ok) await this.#report(this.#attachments.attachImage(name, readOnly));
  }

  async #export({ name }: StoredImage): Promise<void> {
    const image = await this.#store.exportFile(name);
    await this.#report(image.ok ? exportImage(image.value, name, this.#jobs) : Promise.resolve(image));
  }

  async #rename(name: string): Promise<void> {
    const to = await askText({
      title: `Rename “${name}”`,
      message: 'Machines that have this disk keep it.',
      label: 'Name',
      value: name,
      confirm: 'Rename',
      check: (text) =>
        imageNameProblem(text) ??
        (text !== name && this.#names.includes(text) ? `There is a disk “${text}” already.` : undefined),
    });
    if (to !== undefined && (await this.#report(this.#store.rename(name, to))))
      await this.#actions.renamed(name, to);
    await this.refresh();
  }

  async #grow(disk: StoredImage, grow: (bytes: number) => Promise<Result<undefined>>): Promise<void> {
    const size = await askText({
      title: `Grow “${disk.name}”`,
      message: `It has ${formatSize(disk.sizeBytes)} now.`,
      confirm: 'Grow',
      ...sizeField(formatSize(disk.sizeBytes * 2), disk.sizeBytes),
    });
    if (size !== undefined) await this.#report(grow(parseSize(size)!));
    await this.refresh();
  }

  async #remove({ name, sizeBytes }: StoredImage): Promise<void> {
    const sure = await ask({
      title: `Delete “${name}”?`,
      message: `All ${formatBytes(sizeBytes)} of it are gone then: there is no way back. Export it first if you may need it.`,
      confirm: 'Delete the disk',
      tone: 'danger',
    });
    if (sure) await this.#report(this.#store.remove(name));
    await this.refresh();
  }

  async #detach(disk: AttachedDisk): Promise<void> {
    // Whether the guest has it mounted cannot be seen from here.
    if (disk.isInMachine && !disk.readOnly) {
      const sure = await ask({
        title: `Detach “${disk.name}”?`,
        message:
          'If the guest has it mounted, unmount it there first: what the guest has not written to it yet would be lost.',
        confirm: 'Detach it now',
        tone: 'danger',
      });
      if (!sure) return;
    }
    await this.#report(this.#attachments.detach(disk.id));
    await this.refresh();
  }

  /** True if it went well; what went wrong is shown. */
  async #report(work: Promise<Result<unknown>>): Promise<boolean> {
    const result = await work;
    setText(this.#problem, result.ok ? '' : result.error);
    return result.ok;
  }
}

/** The page cannot see what a guest has in its memory. */
function powerCutNote(): HTMLElement {
  return element(
    'p',
    { class: 'panel-quiet disks-hint' },
    'To the guest, closing or reloading this page is a power cut: a disk has all that the guest has written to it, but not what still waits in the guest’s memory. Type ',
    element('code', {}, 'sync'),
    ' or ',
    element('code', {}, 'poweroff'),
    ' there first.',
  );
}

/** A size of more than `above` bytes, as `parseSize` reads it. */
function sizeField(value: string, above: number): TextField {
  return {
    label: 'Size',
    value,
    hint: 'All of it is taken from the browser’s storage, also what is empty.',
    check: (text) => {
      const bytes = parseSize(text);
      if (bytes === undefined || bytes < MIB || bytes % 512 !== 0)
        return 'Write a size of 1M or more, for example 512M or 8G.';
      return bytes <= above
        ? `It has to be more than ${formatSize(above)}: a disk cannot shrink.`
        : undefined;
    },
  };
}
