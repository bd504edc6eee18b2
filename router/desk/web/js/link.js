// The agent's connection: what every good client does, in one place (docs/agents.md, "Repeating, cuts, restarts").
//
// 1. It comes back after every cut with the last number it saw, soon at first and then more slowly.
// 2. A command keeps its id until it is answered, over cuts and over a reload of the page: it is sent again as it was,
//    so it takes effect once. Whoever asked before a reload is gone, so nobody hears of those answers.
// 3. Each connection is opened by a ticket of its own, asked for over HTTP: no token that lasts goes over the socket.
// 4. A dead line says nothing by itself. When nothing was heard for a while, we knock; no answer, and it is cut.

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 8000;
const QUIET_MS = 10000; // nothing heard for so long: knock
const LOOK_MS = 2500;
const ANSWER_MS = 4000; // what an answer may take then
const HELLO_MS = 8000; // from opening to `welcome`
const AGAIN_MS = 9 * 60 * 1000; // the server remembers a command's id for 10 minutes
const FATAL = { 4400: "bad-hello", 4401: "unauthenticated", 4404: "not-found", 4429: "too-many" };
const SUBPROTOCOL = "switchboard.agent.v1";

export function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Link {
  /**
   * `on.message(m)` gets all that is numbered, `on.phase(phase, why)` "connecting", "live", "stale" or "over";
   * with a third argument that many milliseconds until the next try.
   * `store` keeps commands that are not answered: `load()` gives them, `save(list)` takes them. `ticket()` promises what
   * opens one connection.
   */
  constructor({ url, ticket, on, store, Socket = WebSocket }) {
    Object.assign(this, { url, ticket, on, store, Socket });
    this.lastSeq = null;
    this.failed = 0; // connections that ended
    this.phase = "connecting";
    this.unanswered = new Map(store.load().map((kept) => [kept.message.id, kept]));
    this.retryMs = FIRST_RETRY_MS;
    this.waitMs = 0;
    this.heardAt = Date.now();
    this.closed = false;
    this._lookSoon = () => this._look();
    addEventListener("online", this._lookSoon);
    document.addEventListener("visibilitychange", this._lookSoon);
    this.timer = setInterval(this._lookSoon, LOOK_MS);
    this._open();
  }

  /** Send a command; the promise gives its `ok` or `error`, however long that takes. */
  ask(type, fields = {}) {
    const message = { type, id: randomId(), ...fields };
    return new Promise((answer) => {
      this.unanswered.set(message.id, { message, at: Date.now(), answer });
      this._save();
      if (this.phase === "live") this._send(message);
    });
  }

  /** Something in passing: if it does not arrive, it was not worth it. */
  pass(type, fields) {
    if (this.phase === "live") this._send({ type, id: randomId(), ...fields });
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    clearTimeout(this.retryTimer);
    removeEventListener("online", this._lookSoon);
    document.removeEventListener("visibilitychange", this._lookSoon);
    if (this.socket) this.socket.close(1000);
  }

  /** As if the line were cut: come again at once. */
  again() {
    if (this.closed || this.phase === "over") return;
    this._drop();
    this._open();
  }

  async _open() {
    clearTimeout(this.retryTimer);
    const attempt = {};
    this.attempt = attempt; // whatever was begun before this one is void
    this.openedAt = Date.now();
    this.code = "";
    let ticket;
    try {
      ticket = await this.ticket();
    } catch (problem) {
      if (this.attempt === attempt) this._unopened(problem);
      return;
    }
    if (this.closed || this.attempt !== attempt) return;
    const socket = new this.Socket(this.url, [SUBPROTOCOL]);
    this.socket = socket;
    socket.onopen = () => {
      const hello = { type: "hello", token: ticket, signals: true };
      if (this.lastSeq !== null) hello.last_seq = this.lastSeq;
      socket.send(JSON.stringify(hello));
    };
    socket.onmessage = (event) => this._heard(JSON.parse(event.data));
    socket.onclose = (event) => {
      if (socket === this.socket) this._cut(event.code);
    };
  }

  /** No ticket: for good where we are not who we were, otherwise as any cut. */
  _unopened(problem) {
    this.code = problem.code;
    this.waitMs = problem.retryMs || 0;
    this._cut({ unauthenticated: 4401, forbidden: 4401, "not-found": 4404 }[problem.code] || 0);
  }

  _heard(message) {
    this.heardAt = Date.now();
    if (message.type === "ok" || message.type === "error") return this._answered(message);
    if (message.type === "typing" || message.type === "receipts") return this.on.signal(message);
    if (message.type === "goodbye") this.waitMs = message.retry_after_ms;
    this.lastSeq = message.seq;
    if (message.type === "welcome") this.retryMs = FIRST_RETRY_MS;
    this.on.message(message);
    if (message.type === "welcome") {
      this._go("live");
      for (const kept of [...this.unanswered.values()]) this._send(kept.message);
    }
  }

  _answered(message) {
    const kept = this.unanswered.get(message.re);
    if (!kept) {
      this.code = message.code || this.code;
      this.waitMs = Math.max(this.waitMs, message.retry_after_ms || 0);
      return;
    }
    if (message.retry_after_ms) {
      setTimeout(() => this.phase === "live" && this._send(kept.message), message.retry_after_ms);
      return;
    }
    this.unanswered.delete(message.re);
    this._save();
    if (kept.answer) kept.answer(message);
  }

  _send(message) {
    if (this.socket.readyState === 1) this.socket.send(JSON.stringify(message));
  }

  _save() {
    this.store.save([...this.unanswered.values()].map(({ message, at }) => ({ message, at })));
  }

  _cut(code) {
    if (this.closed) return;
    this._drop();
    if (code in FATAL && !this.waitMs) {
      this._go("over", this.code || FATAL[code]);
      return;
    }
    // The first connection may take a second try before anybody is told.
    this.failed += 1;
    const wait = this.waitMs + this.retryMs * (0.8 + 0.4 * Math.random());
    this._go(this.lastSeq === null && this.failed < 2 ? "connecting" : "stale", this.code, wait);
    this.waitMs = 0;
    this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
    this.retryTimer = setTimeout(() => this._open(), wait);
  }

  _drop() {
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    if (this.phase === "live") this._go("stale");
  }

  _go(phase, why = "", waitMs = 0) {
    this.phase = phase;
    this.on.phase(phase, why, waitMs);
  }

  /** Is the line still one? Called every few seconds, and when the machine wakes or the network comes back. */
  _look() {
    const now = Date.now();
    if (this.closed || this.phase === "over" || !this.socket) return;
    if (this.phase !== "live") {
      if (now - this.openedAt > HELLO_MS) this._cut(1006);
      return;
    }
    this._forget(now);
    if (now - this.heardAt > QUIET_MS && !this.asked) this._knock(this.socket);
  }

  /** A second `hello` is refused at once and changes nothing: that answer is all that is wanted. */
  _knock(socket) {
    this.asked = true;
    const since = this.heardAt;
    this._send({ type: "hello", id: randomId(), token: "knock" });
    setTimeout(() => {
      this.asked = false;
      if (socket === this.socket && this.heardAt === since) this._cut(1006);
    }, ANSWER_MS);
  }

  /** A command that was never answered in so long would be a new one to the server: better lost than done twice. */
  _forget(now) {
    for (const [id, kept] of this.unanswered) {
      if (now - kept.at < AGAIN_MS) continue;
      this.unanswered.delete(id);
      if (kept.answer) kept.answer({ type: "error", re: id, code: "no-answer", message: "" });
      this._save();
    }
  }
}
