// What a visitor does and what becomes of it: the chat without its picture. The view is the sum of the frames
// (model.js); beside it stands only what is of this window.

import { draft, sending, shown, token, whenTokenChanges } from "./keep.js";
import { Link } from "./link.js";
import { NOTHING, isOpen, reduce } from "./model.js";
import { spoken } from "./words.js";

const TYPING_MS = 2500; // how often it is said again
const TYPED_MS = 6000; // how long it holds without being said again

export function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Chat {
  constructor(house, base, options) {
    Object.assign(this, { house, base, options });
    this.listeners = new Set();
    this.stops = new Map(); // key of an upload -> what takes it back
    this.link = null;
    this.marked = { received: 0, read: 0 };
    this.typedAt = 0;
    this.state = {
      open: shown.load() || options.open === "true",
      phase: "idle", // idle (nobody was asked), connecting, live, stale, over
      problem: "",
      view: { ...NOTHING, sending: sending.load() },
      unread: 0,
      uploads: [], // {key, name, problem}: on their way up, or refused
      waits: false, // Send was pressed, and goes off when the files are up
      files: [], // {file, name, media_type, size}
      draft: draft.load(),
      fresh: false, // hello opens a conversation
    };
    whenTokenChanges((found) => found && !this.link && this._connect(false));
    document.addEventListener("visibilitychange", () => this._mark());
    if (token.load()) this._connect(false);
  }

  follow(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  set(change) {
    this.state = { ...this.state, ...change };
    for (const listener of [...this.listeners]) listener(this.state);
  }

  // --- the panel ---------------------------------------------------------------------------------------------------

  show(open) {
    shown.save(open);
    this.set({ open, unread: open ? 0 : this.state.unread });
    this._mark();
  }

  // --- the conversation --------------------------------------------------------------------------------------------

  /** Stand in line. */
  start({ name = "", topic = "" } = {}) {
    this.asked = { name: name.trim() || this.options.name || "", topic: topic || this.options.topic || "" };
    this._connect(true);
  }

  _connect(fresh) {
    this.link?.close();
    this.fresh = fresh;
    this.set({ phase: "connecting", problem: "" });
    this.link = new Link(this.house.socket, () => this._hello(), {
      frame: (frame) => this._heard(frame),
      phase: (phase, code) => this._phase(phase, code),
    });
  }

  _hello() {
    const hello = { language: spoken() };
    const known = token.load();
    if (known) hello.token = known;
    if (this.options.visitor) hello.visitor = this.options.visitor;
    if (this.asked?.name) hello.name = this.asked.name;
    if (this.asked?.topic || this.options.topic) hello.topic = this.asked?.topic || this.options.topic;
    // With the last number it goes on; without, it opens a conversation. What was never welcomed is asked once more.
    if (!this.fresh) hello.last_seq = this.state.view.lastSeq;
    return hello;
  }

  _heard(frame) {
    if (frame.type === "welcome") {
      token.save(frame.token);
      this.fresh = false;
    }
    if (frame.type === "error" && !frame.re) this._refused(frame);
    const view = reduce(this.state.view, frame);
    sending.save(view.sending);
    const isNews = frame.type === "message" && frame.author !== "customer" && !this._looksAtIt();
    const waits = this.state.waits && isOpen(view); // nobody is there any more to send to; it stands under what was not sent
    this.set({ view, waits, unread: this.state.unread + (isNews ? 1 : 0) });
    if (frame.type === "typing") this._typed(frame.on);
    if (frame.type === "error" && frame.re && frame.retry_after_s) this._later(frame);
    if (frame.type === "message" || frame.type === "welcome") this._mark(frame.type === "welcome");
  }

  /** Our token is of no use any more: the next hello is a stranger's. */
  _refused(frame) {
    if (frame.code === "unauthenticated") {
      token.save(null);
      this.link?.close();
      this.link = null;
      this.set({ phase: "idle", view: { ...NOTHING, sending: [] } });
      sending.save([]);
      if (this.fresh) this._connect(true);
      return;
    }
    this.set({ problem: frame.code });
  }

  _later(frame) {
    const mine = this.state.view.sending.find((one) => one.id === frame.re);
    if (mine) setTimeout(() => this._send(mine), frame.retry_after_s * 1000);
  }

  _phase(phase, code) {
    if (phase === "live") for (const one of this.state.view.sending) if (!one.problem) this._send(one);
    if (phase === "over") this.link = null;
    const problem = phase === "live" ? "" : this.state.problem || (code === 4404 ? "no-route" : "");
    this.set({ phase: phase === "over" ? "idle" : phase, problem });
  }

  // --- what the visitor says ---------------------------------------------------------------------------------------

  /** Words and files are one message: while a file is on its way up, both wait for it. Refused ones were told, and go. */
  say() {
    const { draft: text, files } = this.state;
    const uploads = this.state.uploads.filter((one) => !one.problem);
    this.set({ uploads, waits: uploads.length > 0 });
    if (uploads.length || (!text.trim() && !files.length)) return;
    this._keep({ id: randomId(), kind: "message", text, files });
    this.set({ files: [], draft: "" });
    draft.save("");
    this.typedAt = 0;
  }

  /** An upload is up, refused, or taken back. A file that did not come is the visitor's to decide about. */
  _settled() {
    const { waits, uploads } = this.state;
    if (!waits) return;
    if (uploads.some((one) => one.problem)) this.set({ waits: false });
    else if (!uploads.length) this.say();
  }

  letter({ email, name, text }) {
    this._keep({ id: randomId(), kind: "letter", text, email, name, files: [] });
  }

  copy(email) {
    this._keep({ id: randomId(), kind: "transcript", email, text: "", files: [] });
  }

  callback(phone) {
    this.set({ problem: "" });
    this.link?.send({ type: "callback", phone });
  }

  here() {
    this.link?.send({ type: "here" });
  }

  leave() {
    this.link?.send({ type: "leave" });
  }

  /** What was refused goes back to be written anew. */
  takeBack(one) {
    this._sending((list) => list.filter((other) => other !== one));
    if (one.kind !== "message") return;
    this.set({ files: [...one.files, ...this.state.files] });
    this.write([this.state.draft, one.text].filter(Boolean).join("\n"));
  }

  _keep(one) {
    this._sending((list) => [...list, one]);
    this._send(one);
  }

  _sending(change) {
    const view = { ...this.state.view, sending: change(this.state.view.sending) };
    sending.save(view.sending);
    this.set({ view });
  }

  _send(one) {
    const { id, kind, text, email, name, files } = one;
    const frames = {
      message: { type: "message", id, text, files: files.map((file) => file.file) },
      letter: { type: "letter", id, email, name, text },
      transcript: { type: "transcript", id, email },
    };
    this.link?.send(frames[kind]);
  }

  // --- files -------------------------------------------------------------------------------------------------------

  async upload(file) {
    const key = randomId();
    const gone = () => !this.state.uploads.some((one) => one.key === key);
    const note = (problem) => {
      this.set({ uploads: [...this.state.uploads.filter((one) => one.key !== key), { key, name: file.name, problem }] });
      this._settled();
    };
    if (file.size > this.house.file_max) return note("too-large");
    if (!this.house.file_types.includes(file.type)) return note("bad-message"); // as the server says it of the content
    note("");
    const stop = new AbortController();
    this.stops.set(key, stop);
    try {
      const answer = await fetch(`${new URL("/chat/files", this.base).href}?name=${encodeURIComponent(file.name.slice(0, 200))}`, {
        method: "POST",
        body: file,
        signal: stop.signal,
        headers: { Authorization: `Bearer ${token.load()}`, "Content-Type": file.type },
      });
      const found = await answer.json();
      if (gone()) return undefined;
      if (!answer.ok) return note(found.code || "failed");
      this.set({ uploads: this.state.uploads.filter((one) => one.key !== key), files: [...this.state.files, found] });
      this._settled();
    } catch {
      if (!gone()) note("failed");
    } finally {
      this.stops.delete(key);
    }
    return undefined;
  }

  drop(file) {
    this.set({ files: this.state.files.filter((one) => one !== file) });
  }

  dismiss(upload) {
    this.set({ uploads: this.state.uploads.filter((one) => one.key !== upload.key) });
    this.stops.get(upload.key)?.abort();
    this._settled();
  }

  /** Where a file that came with a message can be had; of our own we have the ticket. */
  address(file) {
    const path = file.url || (file.file && `/chat/files/${file.file}`);
    return path ? new URL(path, this.base).href : "";
  }

  // --- in passing --------------------------------------------------------------------------------------------------

  /** Who writes on has not done yet: nothing goes off by itself. */
  write(text) {
    draft.save(text);
    this.set({ draft: text, waits: false });
    const now = Date.now();
    if (!text && this.typedAt) {
      this.typedAt = 0;
      this.link?.send({ type: "typing", on: false });
    } else if (text && now - this.typedAt > TYPING_MS) {
      this.typedAt = now;
      this.link?.send({ type: "typing" });
    }
  }

  _typed(on) {
    clearTimeout(this.typing);
    if (on) this.typing = setTimeout(() => this.set({ view: { ...this.state.view, typing: null } }), TYPED_MS);
  }

  _looksAtIt() {
    return this.state.open && !document.hidden;
  }

  /** Say how far we are: what has come, and what was seen. After a welcome the server may have forgotten it. */
  _mark(anew = false) {
    if (anew) this.marked = { received: 0, read: 0 };
    const newest = this.state.view.messages.findLast((one) => one.author === "agent");
    if (!newest || this.state.view.state !== "active") return;
    const kind = this._looksAtIt() ? "read" : "received";
    if (newest.at_ms <= this.marked[kind]) return;
    if (this.link?.send({ type: kind, at_ms: newest.at_ms })) this.marked[kind] = newest.at_ms;
    if (kind === "read") this.set({ unread: 0 });
  }
}
