// What supervisors and operators see, asked again and again for as long as somebody looks: the operators' API, and nothing
// that it has not (docs/operators.md). What is asked last counts; an answer that comes late is dropped.

import { midnight, setServerTime } from "./time.js";
import { refusal, t } from "./words.js";

const EVERY_MS = 2000;
const SHOWN = 200;

export const UNSEEN = {
  at: 0, // when the floor was last told; 0: not yet
  failing: "",
  queues: [],
  agents: [],
  items: [], // of the chosen queue and state
  more: false,
  queue: "",
  state: "queued",
  item: "",
  story: null, // the explanation of the chosen item
  gone: "", // why there is none
  content: null, // what was said in it, for those who may read that
  parts: null,
  quarantine: null,
  dead: null,
};

function same(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
  let more = 0; // names that only one of them has
  for (const name in a) {
    if (!same(a[name], b[name])) return false;
    more += 1;
  }
  for (const _ in b) more -= 1;
  return more === 0;
}

/** The rows of an answer, each the very object that was there before where it says the same: that is not drawn again. */
export function settled(before, after, key) {
  let known = null; // rows hardly ever change places: then nothing has to be looked up
  const found = (name) => {
    known ??= new Map(before.map((row) => [row[key], row]));
    return known.get(name);
  };
  return after.map((row, n) => {
    const old = before[n]?.[key] === row[key] ? before[n] : found(row[key]);
    return old && same(old, row) ? old : row;
  });
}

export function may(state, what) {
  return Boolean(state.me?.may?.includes(what));
}

/** What is seen with these answers over it. */
export function overlaid(seen, fields) {
  const next = { ...seen, ...fields };
  if (fields.queues) next.queues = settled(seen.queues, fields.queues, "queue");
  if (fields.agents) next.agents = settled(seen.agents, fields.agents, "agent");
  if (fields.items) next.items = settled(seen.items, fields.items, "id");
  return next;
}

export class Watch {
  constructor(desk) {
    this.desk = desk;
    this.api = desk.api;
    this.page = "";
    this.asking = 0;
    this.timer = setInterval(() => document.hidden || this.look(), EVERY_MS);
    this._seen = () => document.hidden || this.look();
    document.addEventListener("visibilitychange", this._seen);
  }

  close() {
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this._seen);
    this.page = "";
  }

  show(page) {
    this.page = page;
    this.look();
  }

  _set(fields) {
    this.desk.store.set((state) => ({ ...state, watch: overlaid(state.watch, fields) }));
  }

  get seen() {
    return this.desk.state.watch;
  }

  choose(fields) {
    this._set({ ...fields, ...("item" in fields ? {} : { item: "" }), story: null, gone: "", content: null });
    this.look();
  }

  async look() {
    const asked = (this.asking += 1);
    const look = { floor: () => this._floor(), house: () => this._house(), audit: () => this._standing() }[this.page];
    if (!look) return;
    try {
      const fields = await look();
      if (fields && asked === this.asking && this.page) this._set({ ...fields, failing: "" });
    } catch (problem) {
      if (asked === this.asking && this.page) this._set({ failing: refusal(problem) });
    }
  }

  async _floor() {
    const { queue, state, item } = this.seen;
    const list = `/v1/interactions?state=${state}&queue=${encodeURIComponent(queue)}&limit=${SHOWN}`;
    let gone = "";
    const untold = (problem) => {
      gone = refusal(problem);
      return null;
    };
    const [queues, agents, page, story, content] = await Promise.all([
      this.api.get(`/v1/queues?since_ms=${midnight()}`),
      this._agents(),
      this.may("contacts") ? this.api.get(list) : { interactions: [] },
      item ? this.api.get(`/v1/interactions/${item}/explain?decisions=no`).catch(untold) : null,
      item && this.may("words") ? this.api.get(`/v1/interactions/${item}/content`).catch(() => null) : null,
    ]);
    return { at: Date.now(), queues: queues.queues, agents, items: page.interactions, more: Boolean(page.next), story, gone, content };
  }

  /** Whether the server lets this person; what it refuses is not even shown. */
  may(what) {
    return may(this.desk.state, what);
  }

  async _agents() {
    const all = [];
    let after = "";
    do {
      const page = await this.api.get(`/v1/agents?limit=1000&after=${encodeURIComponent(after)}`);
      all.push(...page.agents);
      after = page.next;
    } while (after);
    return all;
  }

  async _house() {
    const [parts, quarantine, dead] = await Promise.all([
      fetch("/readyz", { cache: "no-store" }).then((answer) => answer.json()),
      this.api.get(`/v1/quarantine?limit=${SHOWN}`),
      this.api.get(`/v1/outbound?dead=1&limit=${SHOWN}`),
    ]);
    return { parts, quarantine: quarantine.entries, dead: dead.outbound };
  }

  /** The audit is read at leisure, and asks nothing by itself. That somebody may read it no more is noticed all the same. */
  async _standing() {
    await this.api.get("/v1/session");
    return null;
  }

  /** Do something; true when it is done. What was done is seen at once. */
  async act(path, body = {}) {
    try {
      await this.api.post(path, body);
      this.desk.tell(t("watch.done"));
      return true;
    } catch (problem) {
      this.desk.tell(problem.message && problem.code !== problem.message ? problem.message : refusal(problem), "bad");
      return false;
    } finally {
      this.look();
    }
  }

  /** The server's clock, as near as an answer tells it: the wallboard has no stream. */
  async setClock() {
    const answer = await fetch("/livez", { cache: "no-store" });
    const date = Date.parse(answer.headers.get("Date") || "");
    if (date) setServerTime(date + 500);
  }
}
