// The visitor's connection: it comes back after every cut, soon at first and then more slowly, and goes on where it was.
// Frames that must arrive are not its business: whoever has them sends them again after each welcome.

const FIRST_RETRY_MS = 400;
const LAST_RETRY_MS = 15000;
const HELLO_MS = 10000; // from opening to `welcome`
const LOOK_MS = 3000;
const GONE = new Set([1000, 4400, 4404, 4409]); // nothing comes back by itself after these
const SUBPROTOCOL = "switchboard.chat.v1";

export class Link {
  /** `hello()` gives the first frame, `on.frame(f)` gets all others, `on.phase(phase, code)` live, stale or over. */
  constructor(url, hello, on) {
    Object.assign(this, { url, hello, on });
    this.phase = "connecting";
    this.retryMs = FIRST_RETRY_MS;
    this.waitMs = 0;
    this.soon = () => this.phase !== "live" && this.again();
    addEventListener("online", this.soon);
    this.timer = setInterval(() => this._look(), LOOK_MS);
    this._open();
  }

  send(frame) {
    if (this.phase !== "live" || this.socket?.readyState !== 1) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.retry);
    removeEventListener("online", this.soon);
    this._drop();
    this.phase = "over";
  }

  again() {
    if (this.phase === "over") return;
    this._drop();
    this._open();
  }

  _open() {
    clearTimeout(this.retry);
    const socket = new WebSocket(this.url, [SUBPROTOCOL]);
    this.socket = socket;
    this.openedAt = Date.now();
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", ...this.hello() }));
    socket.onmessage = (event) => this._heard(JSON.parse(event.data));
    socket.onclose = (event) => this._cut(event.code);
  }

  _heard(frame) {
    if (frame.type === "error" && frame.retry_after_s && !frame.re) this.waitMs = frame.retry_after_s * 1000;
    if (frame.type === "welcome") {
      this.retryMs = FIRST_RETRY_MS;
      this.phase = "live";
    }
    this.on.frame(frame);
    if (frame.type === "welcome") this.on.phase("live", 0);
  }

  _cut(code) {
    this._drop();
    if (GONE.has(code)) {
      this.close();
      this.on.phase("over", code);
      return;
    }
    this.phase = "stale";
    this.on.phase("stale", code);
    const wait = Math.max(this.waitMs, this.retryMs) * (0.7 + 0.6 * Math.random());
    this.waitMs = 0;
    this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
    this.retry = setTimeout(() => this._open(), wait);
  }

  _drop() {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  _look() {
    if (this.socket && this.phase !== "live" && Date.now() - this.openedAt > HELLO_MS) this._cut(1006);
  }
}
