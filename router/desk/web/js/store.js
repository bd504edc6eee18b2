// One place for what is known, and one way to change it. Whoever draws looks at `get()` and is called after a change,
// once for all changes of the same moment.

export class Store {
  constructor(state) {
    this.state = state;
    this.listeners = new Set();
    this.waiting = false;
  }

  get() {
    return this.state;
  }

  /** `change` gives the next state from the present one, or fields to be laid over it. */
  set(change) {
    const next = typeof change === "function" ? change(this.state) : { ...this.state, ...change };
    if (next === this.state) return;
    this.state = next;
    if (this.waiting) return;
    this.waiting = true;
    queueMicrotask(() => {
      this.waiting = false;
      for (const listener of [...this.listeners]) listener(this.state);
    });
  }

  follow(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
