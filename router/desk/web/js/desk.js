// What an agent does and what becomes of it: the desk without its picture. The view is the sum of the stream
// (stream.js); beside it stands only what is of this window: what is selected, what was read, what is being sent.

import { Alert } from "./alert.js";
import { Api } from "./api.js";
import { commands, drafts, session, taste } from "./keep.js";
import { Link, randomId } from "./link.js";
import { Store } from "./store.js";
import { askAs, plain, toldName } from "./names.js";
import { NOTHING, reduce } from "./stream.js";
import { now, setServerTime } from "./time.js";
import { Twin } from "./twin.js";
import { addressed, unsent } from "./unsent.js";
import { UNSEEN, Watch } from "./watch.js";
import { named, preferred, refusal, speak, t } from "./words.js";

const TOLD_MS = 9000; // how long a remark stays
const TOLD_MAX = 4;
const NOTE_SHOWN = 200; // characters; the whole note stands at the side
const FRAME_MAX = 60000; // bytes of one frame; the server takes 64 KiB
const MINUTE_MS = 60000;
const ANNOUNCED_MAX = 5;
const TYPING_MS = 2500; // how often it is said again that somebody writes
const TYPED_MS = 6000; // how long it holds without that
const GOES = new Set(["offer_withdrawn", "assigned", "interaction_ended", "welcome"]); // after these less may be ours
const OVER = new Set(["completed", "customer-left", "closed", "unconfirmed", "wrap-up-finished"]); // it never comes back

const OUT = {
  phase: "out", // out, signing, connecting, live, stale
  problem: "",
  me: null,
  view: NOTHING,
  hindered: 0, // until when this address is not listened to, because somebody guessed
  stateSince: 0,
  selected: "",
  pane: "list", // on a narrow screen: list, talk, side
  seen: {}, // interaction -> messages that were looked at
  since: {}, // interaction -> when it came to this agent
  declined: {}, // interaction -> whether this agent declined it, and did not get it since
  told: [],
  announced: [], // words of supervisors that were not put away yet
  mails: {}, // interaction -> {count, messages, problem}
  busy: {}, // what was asked and not answered: "accept o-1"
  signals: {}, // interaction -> {typing, receivedMs, readMs}: what its customer does, in passing
  sending: {}, // interaction -> [{key, text, problem}]
  uploading: {}, // interaction -> name of the file that is on its way up
  twin: false,
  dialog: null,
  floor: null, // queues and colleagues, when they were last asked for
  waiting: null, // what could be taken by hand
  page: "work", // work, floor, house
  watch: UNSEEN, // what supervisors see
};

export class Desk {
  constructor(socketUrl) {
    this.url = `${socketUrl}/agent`;
    this.taste = {
      language: taste.get("language", preferred(navigator.languages || ["en"])),
      look: taste.get("look", "auto"),
      sound: taste.get("sound", true),
    };
    this._apply();
    this.store = new Store({ ...OUT, taste: this.taste });
    this.alert = new Alert();
    this.alert.sound = this.taste.sound;
    this.store.follow((state) => this._ring(state));
    const kept = session.load();
    if (kept) this._begin(kept.me, kept.token, kept);
    else this._returned();
  }

  get state() {
    return this.store.get();
  }

  // --- signing in and out ------------------------------------------------------------------------------------------

  /** How people sign in here; nothing where the server does not say. */
  async ways() {
    try {
      return await new Api("").get("/v1/session/ways");
    } catch {
      return { password: true, provider: "" };
    }
  }

  signIn(name, password) {
    return this._signIn({ name: name.trim(), password });
  }

  /** Back from the company's own sign-in: the address says how it went, once. */
  _returned() {
    const [, word, value] = /^#(signed-in|sign-in-failed)=([\w-]+)$/.exec(location.hash) || [];
    if (!word) return;
    history.replaceState(null, "", location.pathname);
    if (word === "signed-in") this._signIn({ code: value });
    else this.store.set({ problem: value });
  }

  async _signIn(proof) {
    this.store.set({ phase: "signing", problem: "" });
    let me, token;
    try {
      ({ token } = await new Api("").post("/v1/session", proof));
      me = await new Api(token).get("/v1/desk/me");
    } catch (problem) {
      const wrong = proof.code ? "provider-expired" : "wrong";
      this.store.set({ phase: "out", problem: problem.code === "unauthenticated" ? wrong : problem.code });
      return;
    }
    commands.save([]); // nobody's but who asked them
    session.save({ me, token });
    this._begin(me, token, {});
  }

  _begin(me, token, kept) {
    this.api = new Api(token, () => this._end("expired"));
    this.token = token;
    askAs(this.api);
    const selected = kept.selected || "";
    const pane = selected ? "talk" : "list";
    const page = kept.page || (me.supervisor ? "floor" : "work");
    const phase = me.agent ? "connecting" : "live";
    this.store.set({ phase, problem: "", me, selected, pane, page, since: kept.since || {}, seen: kept.seen || {}, announced: kept.announced || [] });
    if (me.supervisor) this.watch = new Watch(this);
    if (!me.agent) {
      this.watch.setClock();
      return;
    }
    this.seenTo = {};
    document.addEventListener("visibilitychange", (this._looked = () => this._tellSeen()));
    this.twin = new Twin(me.name, (twin) => this.store.set({ twin }), {
      give: () => this.state.since,
      take: (since) => this.store.set((state) => ({ ...state, since: { ...since, ...state.since } })),
    });
    this.link = new Link({
      url: this.url,
      ticket: async () => (await this.api.post("/v1/session/ticket")).ticket,
      store: commands,
      on: {
        message: (m) => this._heard(m),
        phase: (phase, why, waitMs) => this._phase(phase, why, waitMs),
        signal: (m) => this._signalled(m),
      },
    });
  }

  /** Leave on purpose: no more offers, and the session ends. */
  async signOut() {
    this.store.set({ dialog: null });
    if (this.link?.phase === "live") await this.link.ask("set_state", { state: "not_ready", reason: "signed-out" });
    drafts.clear();
    await this.api.remove("/v1/session").catch(() => null); // it ends by itself, too
    this._end("");
  }

  /** Away from here without a word to a server that does not listen. */
  leave() {
    drafts.clear();
    this._end("");
  }

  _end(problem) {
    this.api?.close();
    this.link?.close();
    this.twin?.close();
    document.removeEventListener("visibilitychange", this._looked);
    this.watch?.close();
    this.link = this.twin = this.watch = null;
    askAs(null);
    session.save(null);
    commands.save([]);
    this.store.set({ ...OUT, taste: this.taste, problem });
  }

  _phase(phase, why, waitMs) {
    if (phase === "over") this._end(why === "unauthenticated" ? "expired" : why);
    else this.store.set({ phase, hindered: why === "too-many-attempts" ? now() + waitMs : 0 });
    if (phase === "live") this._tellSeen();
  }

  // --- what the server says ----------------------------------------------------------------------------------------

  _heard(message) {
    if (message.type === "welcome") setServerTime(message.server_time_ms);
    this.store.set((state) => {
      const view = reduce(state.view, message);
      let next = { ...state, view, dialog: stillAsked(state.dialog, view) };
      if (message.type === "state" && turned(state.view.agent, message)) next.stateSince = now();
      if (message.type === "welcome" && !message.resumed) next = this._afresh(next);
      if (message.type === "assigned") next = this._assigned(next, message);
      if (message.type === "message" && state.selected === message.interaction && !document.hidden) next = read(next);
      return next;
    });
    this._remark(message);
    if (GOES.has(message.type)) this._forget();
    this._keep();
    if (message.type === "message") this._signal(message.interaction, message.author === "customer" ? { typing: false } : {});
    if (message.type === "welcome") this.seenTo = {};
    this._tellSeen();
    if (message.type === "welcome") {
      drafts.prune(this.state.view.interactions);
      this._askSince();
    }
    this._readMail();
  }

  /** Nothing is kept of what is no longer ours: a page is open for a whole shift, and longer. */
  _forget() {
    const { offers, interactions } = this.state.view;
    const talks = { ...interactions }; // with what is said to the other side of a consult
    for (const { consult } of Object.values(interactions)) if (consult) talks[consult.id] = talks[consult.of] = consult;
    const of = (table, known) => Object.fromEntries(Object.entries(table || {}).filter(([id]) => id in known));
    this.names = of(this.names, offers);
    this.mine = new Set([...(this.mine || [])].filter((offer) => offer in offers));
    this.wrote = of(this.wrote, talks);
    this.seenTo = of(this.seenTo, interactions);
    this.store.set((state) => ({
      ...state,
      since: of(state.since, interactions),
      seen: of(state.seen, interactions),
      mails: of(state.mails, interactions),
      signals: of(state.signals, interactions),
      sending: of(state.sending, talks),
    }));
  }

  // --- in passing (docs/agents.md): who writes, who has read -------------------------------------------------------

  _signalled(m) {
    if (m.type === "receipts") return this._signal(m.interaction, { receivedMs: m.received_ms, readMs: m.read_ms });
    this._signal(m.interaction, { typing: m.on });
    clearTimeout(this.typed);
    if (m.on) this.typed = setTimeout(() => this._signal(m.interaction, { typing: false }), TYPED_MS);
    return undefined;
  }

  _signal(id, found) {
    const { signals, view } = this.state;
    const mine = Object.entries(signals).filter(([known]) => known in view.interactions);
    this.store.set({ signals: { ...Object.fromEntries(mine), [id]: { ...signals[id], ...found } } });
  }

  /** The customer is shown that we write. */
  writes(id, text) {
    const now = Date.now();
    const last = this.wrote?.[id] || 0;
    if (text ? now - last < TYPING_MS : !last) return;
    this.wrote = { ...this.wrote, [id]: text ? now : 0 };
    this.link?.pass("typing", { interaction: id, on: !!text });
  }

  /** The customer is shown how far we have read: what is open before somebody's eyes. */
  _tellSeen() {
    const one = this.state.view.interactions[this.state.selected];
    if (!one || one.channel !== "chat" || one.consult || document.hidden || this.state.phase !== "live") return;
    const last = one.messages.findLast((message) => message.author === "customer");
    if (!last || this.seenTo[one.id] >= last.at_ms) return;
    this.seenTo = { ...this.seenTo, [one.id]: last.at_ms };
    this.link.pass("seen", { interaction: one.id, at_ms: last.at_ms });
  }

  _afresh(state) {
    const mine = state.view.interactions;
    const selected = mine[state.selected] ? state.selected : Object.keys(mine)[0] || "";
    const seen = {};
    for (const [id, known] of Object.entries(mine)) seen[id] = state.seen[id] ?? known.messages.length;
    return { ...state, selected, pane: selected === state.selected ? state.pane : "list", seen };
  }

  async _askSince() {
    try {
      this.store.set({ stateSince: (await this.api.get("/v1/desk/me")).since_ms });
    } catch {
      this.store.set({ stateSince: 0 }); // only a time that is not shown
    }
  }

  _assigned(state, { interaction }) {
    const { [interaction.id]: _, ...declined } = state.declined;
    const since = { ...state.since, [interaction.id]: now() };
    const seen = { ...state.seen, [interaction.id]: interaction.messages.length };
    const free = !state.view.interactions[state.selected];
    const next = { ...state, since, seen, declined };
    return free ? { ...next, selected: interaction.id, pane: "talk" } : next;
  }

  /** What deserves a word of its own. */
  _remark(message) {
    if (message.type === "welcome") (message.warnings || []).forEach((text) => this.tell(text, "warn"));
    else if (message.type === "offer_withdrawn") this._withdrawn(message);
    else if (message.type === "interaction_ended") this._ended(message);
    else if (message.type === "assigned" && !this.mine?.has(message.offer)) this._given(message);
    else if (message.type === "interaction_updated" && message.cause === "consult-ended")
      this.tell(t("told.consult", { reason: message.reason || "" }));
    else if (message.type === "state" && message.reason === "missed-offers") this.tell(t("told.missed"), "warn");
    else if (message.type === "state" && message.reason === "connect-failures") this.tell(t("told.unreached"), "warn");
    else if (message.type === "announcement") this._announced(message);
    else if (message.type === "interaction_updated" && message.note) this._noted(message.note, message.interaction);
    else if (message.type === "offer") this.names = { ...this.names, [message.offer]: who(message.interaction) };
  }

  /** A word of a supervisor: it stays until it is put away, over a reload, too. */
  _announced({ seq, text, by, at_ms }) {
    this.store.set((state) => ({ ...state, announced: [...state.announced, { seq, text, by, at_ms }].slice(-ANNOUNCED_MAX) }));
  }

  /** A word of somebody else on what is mine, such as a supervisor's: nobody looks to the side all the time. */
  _noted({ by, text }, { id }) {
    const name = plain(by);
    const mine = Object.values(this.state.view.interactions).find((one) => one.id === id || one.consult?.of === id);
    if (!mine || name === this.state.me?.name) return;
    const short = text.length > NOTE_SHOWN ? `${text.slice(0, NOTE_SHOWN)}…` : text;
    toldName(name).then((by) => this.tell(t("told.note", { by, who: who(mine), text: short }), "warn"));
  }

  heard(seq) {
    this.store.set((state) => ({ ...state, announced: state.announced.filter((one) => one.seq !== seq) }));
    this._keep();
  }

  _withdrawn({ offer, interaction, reason }) {
    if (reason === "declined") this._declined(interaction);
    const name = this.names?.[offer];
    if (!name || reason === "declined" || this.state.busy[`decline ${offer}`]) return;
    const key = `told.withdrawn.${reason}`;
    this.tell(t(key) === key ? t("told.withdrawn.other", { who: name, reason }) : t(key, { who: name }));
  }

  /** It comes back at once where nobody else fits: then the offer says so, or declining would look broken. */
  _declined(interaction) {
    this.store.set((state) => ({ ...state, declined: { ...state.declined, [interaction]: true } }));
  }

  _ended({ interaction, reason, wrap_up }) {
    const name = this.called?.[interaction];
    const key = `told.ended.${reason}`;
    const byMe = this.state.busy[`complete ${interaction}`] || this.state.busy[`transfer ${interaction}`];
    if (name && !wrap_up && !byMe && t(key) !== key) this.tell(t(key, { who: name }));
    else if (name && wrap_up && reason === "customer-left") this.tell(t(key, { who: name }));
    if (wrap_up) return;
    this._leave(interaction);
    if (OVER.has(reason)) drafts.drop(interaction);
  }

  _given({ interaction, offer }) {
    if (!this.state.busy[`accept ${offer}`]) this.tell(t("told.assigned", { who: who(interaction) }));
  }

  /** It is no longer here: go on with the next one. */
  _leave(id) {
    this.store.set((state) => {
      if (state.selected !== id) return state;
      const next = Object.keys(state.view.interactions)[0] || "";
      return read({ ...state, selected: next, pane: next ? state.pane : "list" });
    });
  }

  _keep() {
    const { me, selected, since, seen, view, page, announced } = this.state;
    this.called = Object.fromEntries(Object.values(view.interactions).map((known) => [known.id, who(known)]));
    if (!me) return;
    const mine = (table) => Object.fromEntries(Object.entries(table).filter(([id]) => id in view.interactions));
    session.save({ me, token: this.token, page, selected, announced, since: mine(since), seen: mine(seen) });
  }

  /** A mail comes as the file that it is; the server reads it for us. */
  async _readMail() {
    const { view, mails } = this.state;
    for (const known of Object.values(view.interactions)) {
      if (known.channel !== "email") continue;
      const count = known.messages.length;
      if (mails[known.id] && mails[known.id].count >= count) continue;
      this._mail(known.id, { ...mails[known.id], count });
      try {
        const { messages } = await this.api.get(`/v1/interactions/${known.consult?.of || known.id}/content`);
        this._mail(known.id, { count, messages, problem: "" });
      } catch (problem) {
        this._mail(known.id, { ...this.state.mails[known.id], count, problem: refusal(problem) });
      }
    }
  }

  _mail(id, found) {
    this.store.set((state) => (id in state.view.interactions ? { ...state, mails: { ...state.mails, [id]: found } } : state));
  }

  retryMail(id) {
    this.store.set((state) => ({ ...state, mails: { ...state.mails, [id]: undefined } }));
    this._readMail();
  }

  _ring(state) {
    const offers = state.phase === "live" ? Object.values(state.view.offers) : [];
    const shown = offers.map(({ offer, interaction }) => ({
      id: offer,
      title: t("offer.new", { who: who(interaction) }),
      text: t("offer.of", { channel: named("channel", interaction.channel), queue: interaction.queue }),
    }));
    const unread = Object.keys(state.view.interactions).reduce((sum, id) => sum + unreadOf(state, id), 0);
    this.alert.show(shown, unread, state.me ? `${state.me.shown} · ${t("app")}` : t("app"));
  }

  // --- remarks -----------------------------------------------------------------------------------------------------

  tell(text, tone = "plain") {
    if (!this.state.me) return; // an answer that came after the end: nobody is there to read it
    const id = randomId();
    const others = (told) => told.filter((one) => one.text !== text); // said once more, it is one remark
    this.store.set((state) => ({ ...state, told: [...others(state.told), { id, text, tone }].slice(-TOLD_MAX) }));
    setTimeout(() => this.dismiss(id), TOLD_MS);
  }

  dismiss(id) {
    this.store.set((state) => ({ ...state, told: state.told.filter((one) => one.id !== id) }));
  }

  // --- what the agent does -----------------------------------------------------------------------------------------

  /** Ask the server; `key` marks it as under way. A refusal is told, unless `told` is false. */
  async ask(key, type, fields, told = true) {
    if (this.state.busy[key]) return null;
    this.store.set((state) => ({ ...state, busy: { ...state.busy, [key]: true } }));
    const answer = await this.link.ask(type, fields);
    this.store.set((state) => {
      const { [key]: _, ...busy } = state.busy;
      return { ...state, busy };
    });
    if (answer.type === "error" && told) this.tell(refusal(answer), "bad");
    return answer;
  }

  setState(state, reason = "") {
    return this.ask("state", "set_state", { state, reason });
  }

  async accept(offer) {
    this.mine = (this.mine || new Set()).add(offer.offer);
    const answer = await this.ask(`accept ${offer.offer}`, "accept", { offer: offer.offer }, false);
    if (!answer) return;
    const id = offer.interaction.id;
    if (answer.type === "ok") this.select(answer.interaction || id);
    else if (answer.code === "offer-gone" && this.state.view.interactions[id]) this.tell(t("told.elsewhere"));
    else this.tell(refusal(answer), "bad");
  }

  decline(offer) {
    return this.ask(`decline ${offer.offer}`, "decline", { offer: offer.offer });
  }

  select(id, pane = "talk") {
    this.store.set((state) => read({ ...state, selected: id, pane: id ? pane : "list" }));
    this._keep();
    this._tellSeen();
  }

  /** Work, the floor, the house, or the audit. */
  turn(page) {
    this.store.set({ page });
    if (page === "work") this.watch?.show("");
    this._keep();
  }

  /** An interaction on the floor, wherever it is named. */
  open(id) {
    this.turn("floor");
    this.watch.choose({ item: id });
  }

  showPane(pane) {
    this.store.set({ pane });
  }

  /** The next or the previous one of the list. */
  move(by) {
    const ids = Object.keys(this.state.view.interactions);
    if (!ids.length) return;
    const at = ids.indexOf(this.state.selected);
    this.select(ids[(at + by + ids.length) % ids.length]);
  }

  /** `ident` may be that of a consult: then only the colleague hears it. Null where it must stay in the composer;
      otherwise a promise, true once it is recorded. */
  say(id, ident, text, attachments) {
    const fields = { interaction: ident, text, attachments };
    if (new TextEncoder().encode(JSON.stringify(fields)).length > FRAME_MAX) {
      this.tell(t("no.too-long", { n: FRAME_MAX }), "bad");
      return null;
    }
    return this._deliver(id, { key: randomId(), fields, problem: "" });
  }

  /** What stands in the composer, once its files are all there. Null and promise as of `say`. */
  reply(one) {
    const [text, files] = [drafts.get(one.id, "say") || "", drafts.get(one.id, "files") || []];
    if ((!text.trim() && !files.length) || this.state.uploading[one.id]) return null;
    const going = this.say(one.id, addressed(one), text, files);
    if (!going) return null;
    drafts.set(one.id, "say", "");
    drafts.set(one.id, "files", "");
    if (one.channel === "chat") this.writes(addressed(one), "");
    return going;
  }

  async _deliver(id, letter) {
    this._letters(id, (list) => [...list.filter((one) => one.key !== letter.key), letter]);
    const answer = await this.link.ask("say", letter.fields);
    const failed = answer.type === "error" ? [{ ...letter, problem: refusal(answer) }] : [];
    this._letters(id, (list) => [...list.filter((one) => one.key !== letter.key), ...failed]);
    return !failed.length;
  }

  /** Files for the reply. They go up one after the other and stay with their interaction, whatever is shown meanwhile. */
  async attach(id, files) {
    for (const file of files) {
      this._uploading(id, file.name);
      try {
        const found = await this.api.upload(file);
        drafts.set(id, "files", [...(drafts.get(id, "files") || []), found]);
      } catch (problem) {
        this.tell(t("attach.failed", { name: file.name, why: refusal(problem) }), "bad");
      }
    }
    this._uploading(id, "");
  }

  _uploading(id, name) {
    this.store.set((state) => {
      const { [id]: _, ...others } = state.uploading;
      return { ...state, uploading: name ? { ...others, [id]: name } : others };
    });
  }

  // --- what was begun and not sent (unsent.js) ---------------------------------------------------------------------

  /** `go()` gives the interaction out of hand. Where that would lose something, it is asked first. */
  parting(one, act, go) {
    if (unsent(this.state, one).length) this.dialog({ kind: "unsent", id: one.id, of: one.state, act, go });
    else go();
  }

  /** Send it, and go only if all of it is recorded; what was refused stands in the conversation and says why. */
  async sendAndGo(one, go) {
    this.dialog(null);
    if ((await this._sendAll(one)) && this.state.view.interactions[one.id]) go();
  }

  async _sendAll(one) {
    const refused = (this.state.sending[one.id] || []).filter((letter) => letter.problem);
    for (const letter of refused) if (!(await this._deliver(one.id, { ...letter, problem: "" }))) return false;
    const kinds = unsent(this.state, one);
    if (kinds.includes("reply") && !(await this.reply(one))) return false;
    if (kinds.includes("note") && !(await this.addNote(one))) return false;
    return true;
  }

  /** What was let go with open eyes is not asked for again at the end of wrap-up; a refusal keeps it. */
  async letGo(one, go) {
    this.dialog(null);
    await go();
    const over = this.state.view.interactions[one.id]?.state === "wrap-up";
    if (over) for (const kind of ["say", "files", "note"]) drafts.set(one.id, kind, "");
  }

  /** What was refused goes back to be written anew. */
  takeBack(id, letter) {
    this._letters(id, (list) => list.filter((one) => one !== letter));
    return letter.fields.text;
  }

  _letters(id, change) {
    this.store.set((state) => {
      const { [id]: before = [], ...others } = state.sending;
      const list = change(before);
      return { ...state, sending: list.length ? { ...others, [id]: list } : others };
    });
  }

  /** The note that was written; true when it is recorded. */
  async addNote(one) {
    const [id, text] = [addressed(one), drafts.get(one.id, "note") || ""];
    if (!text.trim()) return false;
    const answer = await this.ask(`note ${id}`, "note", { interaction: id, text });
    if (answer?.type === "ok") drafts.set(one.id, "note", "");
    return answer?.type === "ok";
  }

  /** A refusal over HTTP, in words. */
  refused(problem) {
    this.tell(problem.code === "bad-message" ? problem.message : refusal(problem), "bad");
  }

  /** A call to a customer; true when it is recorded. */
  async promise(body) {
    try {
      const { to } = await this.api.post("/v1/desk/callbacks", body);
      this.tell(t("callback.done", { to }));
      return true;
    } catch (problem) {
      this.refused(problem);
      return false;
    }
  }

  hold(id, on) {
    return this.ask(`hold ${id}`, on ? "hold" : "resume", { interaction: id });
  }

  recall(id) {
    return this.ask(`recall ${id}`, "recall", { interaction: id });
  }

  arrived(id) {
    return this.ask(`arrived ${id}`, "arrived", { interaction: id });
  }

  async complete(id) {
    const { disposition = "", notes = "" } = drafts.get(id, "closing") || {};
    const answer = await this.ask(`complete ${id}`, "complete", { interaction: id, disposition, notes });
    // In wrap-up the note can be written on, but must not be kept twice.
    if (answer?.type === "ok" && notes && id in this.state.view.interactions) drafts.set(id, "closing", { disposition, notes: "" });
  }

  async finish(id) {
    const { disposition = "", notes = "" } = drafts.get(id, "closing") || {};
    const fields = { interaction: id, disposition, notes };
    const answer = await this.ask(`complete ${id}`, "finish_wrap_up", fields, false);
    if (answer?.type === "error") this.tell(answer.code === "illegal-move" ? t("no.wrapup") : refusal(answer), "bad");
  }

  async extend(id) {
    const answer = await this.ask(`extend ${id}`, "extend_wrap_up", { interaction: id, by_ms: MINUTE_MS }, false);
    if (answer?.type === "error") this.tell(answer.code === "illegal-move" ? t("no.wrapup") : refusal(answer), "bad");
  }

  async transfer(id, to, mode, reason) {
    const answer = await this.ask(`transfer ${id}`, "transfer", { interaction: id, to, mode, reason });
    if (answer?.type === "ok") this.store.set({ dialog: null });
  }

  consult(id, what) {
    return this.ask(`consult ${id}`, what, { interaction: id });
  }

  async pick(id) {
    const answer = await this.ask(`pick ${id}`, "pick", { interaction: id });
    if (answer?.type === "ok") this.select(id);
    await this.askWaiting();
  }

  async askWaiting() {
    await this._ask("waiting", "/v1/desk/waiting");
  }

  async askFloor() {
    await this._ask("floor", "/v1/desk/floor");
  }

  async _ask(name, path) {
    try {
      this.store.set({ [name]: await this.api.get(path) });
    } catch (problem) {
      this.tell(refusal(problem), "bad");
    }
  }

  dialog(dialog) {
    this.store.set({ dialog });
    if (dialog?.kind === "transfer") this.askFloor();
  }

  /** Save a file of the conversation where the browser saves files. */
  download(attachment) {
    return this.save(`/v1/blobs/${attachment.digest}`, attachment.name || attachment.digest.slice(0, 16));
  }

  async save(path, name) {
    try {
      const url = URL.createObjectURL(await this.api.blob(path));
      const link = document.createElement("a");
      Object.assign(link, { href: url, download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), MINUTE_MS);
    } catch (problem) {
      this.tell(refusal(problem), "bad");
    }
  }

  // --- taste -------------------------------------------------------------------------------------------------------

  prefer(name, value) {
    this.taste = { ...this.taste, [name]: value };
    taste.set(name, value);
    this._apply();
    if (name === "sound") this.alert.sound = value;
    this.store.set({ taste: this.taste });
    if (name === "language") this.watch?.look(); // explanations come in it from the server
  }

  _apply() {
    speak(this.taste.language);
    document.documentElement.lang = this.taste.language;
    document.documentElement.dataset.look = this.taste.look;
  }
}

/** What is asked of an interaction, for as long as it is here and as it was: who has left cannot be transferred. */
function stillAsked(dialog, view) {
  return !dialog?.id || view.interactions[dialog.id]?.state === dialog.of ? dialog : null;
}

function read(state) {
  const known = state.view.interactions[state.selected];
  if (!known) return state;
  return { ...state, seen: { ...state.seen, [known.id]: known.messages.length } };
}

/** Whom an interaction is with, as well as is known: ids that only machines read are no names. */
export function who(interaction) {
  const { name, sender, customer, attributes } = interaction;
  const record = customer.replace(/^(tel|mailto):/, "");
  const known = [name, sender, record].find((word) => word && !/^(chat|visitor|ref):/.test(word));
  const shown = known || attributes.file || t("somebody");
  return attributes.ticket ? `${attributes.ticket} · ${shown}` : shown;
}

/** Messages of the customer that were not looked at. */
export function unreadOf(state, id) {
  const { messages } = state.view.interactions[id];
  const seen = state.seen[id] ?? messages.length;
  return messages.slice(seen).filter((message) => message.author === "customer").length;
}

/** Another session of the same agent is told as well, and turns nothing. */
function turned(agent, { state, reason, pending }) {
  return !agent || agent.state !== state || agent.reason !== reason || agent.pending !== pending;
}
