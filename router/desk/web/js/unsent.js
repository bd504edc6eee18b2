// What an agent has begun on an interaction and nobody has got. An act that gives the interaction out of hand (complete,
// transfer, hand over, leave, the end of wrap-up) would lose it without a word, so it asks first: desk.parting().
//
//     reply   a text, files, files still on their way up, a reply that was refused
//     note    for colleagues
//     card    changes to what is known of the customer: only saved where they are written
//
// The outcome and the closing note are no drafts: they go with the act.

import { drafts } from "./keep.js";

/** To which interaction words and notes of this agent go: of a consult, the colleague's. */
export function addressed(one) {
  return one.consult?.role === "consulted" ? one.consult.of : one.id;
}

/** A reply can reach nobody any more in wrap-up; a note and the card can still be written. */
export function unsent(state, one) {
  const text = (kind) => (drafts.get(one.id, kind) || "").trim();
  const refused = (state.sending[one.id] || []).some((letter) => letter.problem);
  const found = {
    reply: one.state !== "wrap-up" && Boolean(text("say") || drafts.get(one.id, "files")?.length || state.uploading[one.id] || refused),
    note: Boolean(text("note")),
    card: Object.keys(drafts.get(one.id, "card") || {}).length > 0,
  };
  return Object.keys(found).filter((kind) => found[kind]);
}
