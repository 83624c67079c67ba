/** Functions that are called when something happens. */
export class Listeners<T> {
  #listeners: ((value: T) => void)[] = [];

  /** Returns what ends it. */
  add(listener: (value: T) => void): () => void {
    this.#listeners.push(listener);
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  emit(value: T): void {
    for (const listener of this.#listeners) listener(value);
  }
}
