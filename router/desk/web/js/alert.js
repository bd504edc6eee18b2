// Offers must not be missed: a sound that repeats, a title that changes, a notification where nobody looks. Of several
// windows one rings, which the browser's locks decide.

const RING_MS = 2500;
const FLASH_MS = 1000;

export class Alert {
  constructor() {
    this.ringing = null;
    this.flashing = null;
    this.title = document.title;
    this.sound = true;
    this.leads = !navigator.locks;
    this.notes = new Map();
    if (navigator.locks) navigator.locks.request("switchboard-bell", () => new Promise(() => (this.leads = true)));
    // Browsers let a page make sounds after the first touch or key.
    const wake = () => this._audio()?.resume();
    addEventListener("pointerdown", wake, { once: true });
    addEventListener("keydown", wake, { once: true });
  }

  /** `offers`: what is open now, [{id, title, text}]. */
  show(offers, unread, title) {
    this.base = unread ? `(${unread}) ${title}` : title;
    this._notify(offers);
    if (offers.length) this._begin(offers[0].title);
    else this._end();
  }

  _begin(text) {
    this.text = text;
    if (this.flashing) return;
    let on = false;
    const flash = () => {
      on = !on;
      document.title = on ? `● ${this.text}` : this.base;
    };
    flash();
    this.flashing = setInterval(flash, FLASH_MS);
    this._ring();
    this.ringing = setInterval(() => this._ring(), RING_MS);
  }

  _end() {
    clearInterval(this.flashing);
    clearInterval(this.ringing);
    this.flashing = this.ringing = null;
    document.title = this.base;
  }

  _audio() {
    if (!this.context && "AudioContext" in window) this.context = new AudioContext();
    return this.context;
  }

  /** Two soft notes. */
  _ring() {
    const audio = this.sound && this.leads ? this._audio() : null;
    if (!audio || audio.state !== "running") return;
    for (const [at, pitch] of [[0, 660], [0.18, 880]]) {
      const tone = audio.createOscillator();
      const gain = audio.createGain();
      const start = audio.currentTime + at;
      tone.frequency.value = pitch;
      gain.gain.setValueAtTime(0.0001, start);
      gain.gain.exponentialRampToValueAtTime(0.16, start + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.0001, start + 0.32);
      tone.connect(gain).connect(audio.destination);
      tone.start(start);
      tone.stop(start + 0.34);
    }
  }

  _notify(offers) {
    const open = new Set(offers.map((offer) => offer.id));
    for (const [id, note] of this.notes) {
      if (open.has(id)) continue;
      note?.close();
      this.notes.delete(id);
    }
    const may = "Notification" in window && Notification.permission === "granted";
    for (const offer of offers) {
      if (this.notes.has(offer.id)) continue;
      let note = null;
      if (may && this.leads && document.hidden) {
        note = new Notification(offer.title, { body: offer.text, tag: offer.id, requireInteraction: true });
        note.onclick = () => {
          window.focus();
          note.close();
        };
      }
      this.notes.set(offer.id, note);
    }
  }
}
