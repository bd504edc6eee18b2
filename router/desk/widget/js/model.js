// What a visitor sees: the sum of the server's frames (docs/chat.md). Pure: a view and a frame in, the next view out.
//
//     welcome             the present state; unless `resumed`, `messages` are all there is
//     queued              waiting; another interaction than before is a new conversation
//     joined              somebody answers
//     message, delivered  one more thing said; `delivered` puts what this window sent in its place
//     ended               over
//     typing, read, idle  of the moment
//
// Unknown types change nothing: newer servers say more. `sending` is what this window sent and nobody confirmed yet,
// in order: {id, kind, text, files, problem}.

export const NOTHING = Object.freeze({
  lastSeq: 0,
  state: "none", // none, queued, active, ended
  interaction: "",
  name: "",
  position: 0,
  wait: null, // seconds; null: nobody knows
  reason: "",
  told: "",
  messages: [],
  sending: [],
  typing: null, // {name, at}
  readMs: 0,
  closesAt: 0,
  callback: null, // {text}: they may be called back
  letter: false,
  left: false, // a letter was recorded
  transcript: false,
  copied: false,
});

const STEPS = {
  welcome(view, m) {
    const next = {
      ...view,
      state: m.state,
      interaction: m.interaction || "",
      name: m.name || "",
      position: m.position || 0,
      wait: m.expected_wait_s ?? null,
      reason: m.reason || "",
      readMs: m.read_ms || 0,
      closesAt: m.closes_at_ms || 0,
      callback: m.callback_offered ? view.callback || { text: "" } : null,
      letter: !!m.letter,
      transcript: !!m.transcript,
      typing: null,
    };
    if (m.resumed) return next;
    const messages = (m.messages || []).map(said);
    const known = new Set(messages.map((one) => one.id).filter(Boolean));
    return { ...next, told: "", messages, sending: view.sending.filter((one) => !known.has(one.id)) };
  },

  queued(view, m) {
    const fresh = view.interaction !== m.interaction && view.interaction ? { ...NOTHING, sending: view.sending } : view;
    const waiting = { state: "queued", name: "", position: m.position, wait: m.expected_wait_s ?? null, typing: null };
    return { ...fresh, ...waiting, interaction: m.interaction, reason: m.reason || "", closesAt: 0, letter: false };
  },

  joined(view, m) {
    const notice = { author: "notice", name: m.name, text: "", at_ms: 0, files: [] };
    const messages = [...view.messages, notice];
    return { ...view, state: "active", name: m.name, callback: null, transcript: !!m.transcript, messages };
  },

  message(view, m) {
    const sending = view.sending.filter((one) => one.id !== m.id);
    const typing = m.author === "agent" ? null : view.typing;
    if (m.id && view.messages.some((one) => one.id === m.id)) return { ...view, sending };
    return { ...view, messages: [...view.messages, said(m)], sending, typing };
  },

  delivered(view, m) {
    const mine = view.sending.find((one) => one.id === m.re);
    if (!mine) return view;
    const sending = view.sending.filter((one) => one !== mine);
    if (mine.kind === "letter") return { ...view, sending, left: true };
    if (mine.kind === "transcript") return { ...view, sending, copied: true };
    if (m.duplicate) return { ...view, sending };
    const one = { author: "customer", name: "", text: mine.text, at_ms: m.at_ms, id: mine.id, files: mine.files };
    return { ...view, sending, messages: [...view.messages, one], closesAt: 0 };
  },

  ended(view, m) {
    const over = { state: "ended", name: "", typing: null, closesAt: 0, callback: null };
    return { ...view, ...over, reason: m.reason, told: m.text || "", letter: !!m.letter };
  },

  error(view, m) {
    if (!m.re || m.retry_after_s) return view;
    return { ...view, sending: view.sending.map((one) => (one.id === m.re ? { ...one, problem: m.code } : one)) };
  },

  typing(view, m) {
    return { ...view, typing: m.on ? { name: m.name } : null };
  },

  read(view, m) {
    return { ...view, readMs: Math.max(view.readMs, m.at_ms) };
  },

  idle(view, m) {
    return { ...view, closesAt: m.closes_at_ms };
  },

  callback_offered(view, m) {
    return { ...view, callback: { text: m.text || "" } };
  },
};

/** Whether somebody is there, or will be, to whom something can be said. */
export function isOpen(view) {
  return view.state === "queued" || view.state === "active";
}

/** The view after one frame. */
export function reduce(view, frame) {
  const step = STEPS[frame.type];
  const next = step ? step(view, frame) : view;
  return { ...next, lastSeq: Math.max(next.lastSeq, frame.seq || 0) };
}

function said(m) {
  return { author: m.author, name: m.name || "", text: m.text, at_ms: m.at_ms, id: m.id, files: m.attachments || [] };
}

/** How far what the visitor said has got. */
export function markOf(view, message) {
  return message.at_ms <= view.readMs ? "read" : "delivered";
}
