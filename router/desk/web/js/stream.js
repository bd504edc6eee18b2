// What an agent's client knows: the sum of the numbered messages it was given (docs/agents.md). Pure: a view and a
// message in, the next view out; nothing is changed in place, so whoever holds an old view keeps an old view.
//
//     welcome               forget everything and take this, unless `resumed`
//     offer                 one more offer; `offer_withdrawn` and `assigned` end it
//     assigned              one more interaction, in place of the `consult` that it names
//     message               appended to its interaction, to what is said in a consult, or to what the consult is about
//     interaction_updated   laid over what is known of it, `consult` with its messages; a `note` is appended
//     interaction_ended     gone, unless `wrap_up`: then it waits for its documentation
//     state                 laid over the agent's own
//     announcement          nothing: it is said once
//
// Unknown types change nothing: newer servers say more.

export const NOTHING = Object.freeze({ lastSeq: null, agent: null, offers: {}, interactions: {} });

const STEPS = {
  welcome(view, m) {
    if (m.resumed) return view;
    const agent = { agent: m.agent, name: m.name, state: m.state, reason: m.reason, pending: m.pending };
    return { ...view, agent, offers: byKey(m.offers, "offer"), interactions: byKey(m.interactions, "id") };
  },

  offer(view, m) {
    const offer = { offer: m.offer, interaction: m.interaction, expires_at_ms: m.expires_at_ms };
    return { ...view, offers: { ...view.offers, [m.offer]: offer } };
  },

  offer_withdrawn(view, m) {
    return { ...view, offers: without(view.offers, m.offer) };
  },

  assigned(view, m) {
    const interactions = without(view.interactions, m.consult);
    return {
      ...view,
      offers: without(view.offers, m.offer),
      interactions: { ...interactions, [m.interaction.id]: m.interaction },
    };
  },

  message(view, m) {
    const said = { author: m.author, at_ms: m.at_ms };
    if (m.text) said.text = m.text;
    if (m.agent) said.agent = m.agent;
    if (m.attachments && m.attachments.length) said.attachments = m.attachments;
    if (m.sender) said.sender = m.sender;
    for (const known of Object.values(view.interactions)) {
      const consult = known.consult;
      if (consult && consult.id === m.interaction) {
        const messages = [...(consult.messages || []), said];
        return withInteraction(view, { ...known, consult: { ...consult, messages } });
      }
      if (known.id === m.interaction || (consult && consult.of === m.interaction))
        return withInteraction(view, { ...known, messages: [...known.messages, said] });
    }
    return view;
  },

  interaction_updated(view, m) {
    const known = about(view, m.interaction.id);
    if (!known) return view;
    // A note on what a consult is about: the consult's other fields are its own.
    if (known.id !== m.interaction.id) return withInteraction(view, { ...known, notes: [...known.notes, m.note] });
    const next = { ...without(known, "consult"), ...m.interaction };
    if (next.consult) {
      const between = known.consult && known.consult.messages;
      next.consult = { ...next.consult, messages: between || [] };
    }
    if (m.note) next.notes = [...known.notes, m.note];
    return withInteraction(view, next);
  },

  interaction_ended(view, m) {
    const known = view.interactions[m.interaction];
    if (!known) return view;
    if (!m.wrap_up) return { ...view, interactions: without(view.interactions, m.interaction) };
    return withInteraction(view, {
      ...without(known, "consult"),
      reason: m.reason,
      disposition: m.disposition || "",
      wrap_up_until_ms: m.wrap_up_until_ms || 0,
      state: "wrap-up",
      on_hold: false,
      connected: false,
    });
  },

  state(view, m) {
    return { ...view, agent: { ...view.agent, state: m.state, reason: m.reason, pending: m.pending } };
  },

  announcement(view) {
    return view; // it is said once and is part of no state
  },

  goodbye(view) {
    return view;
  },
};

/** The view after one message of the server. Answers (`ok`, `error`) are none of its business. */
export function reduce(view, message) {
  const step = STEPS[message.type];
  return step ? { ...step(view, message), lastSeq: message.seq } : view;
}

/** By channel: open offers, work and wrap-up, without what is suspended. */
export function load(view) {
  const counts = {};
  const busy = [...Object.values(view.offers).map((o) => o.interaction), ...Object.values(view.interactions)];
  for (const one of busy) if (!one.suspended) counts[one.channel] = (counts[one.channel] || 0) + 1;
  return counts;
}

function byKey(list, key) {
  return Object.fromEntries(list.map((one) => [one[key], one]));
}

function without(table, key) {
  if (!key || !(key in table)) return table;
  const { [key]: _, ...rest } = table;
  return rest;
}

function withInteraction(view, interaction) {
  return { ...view, interactions: { ...view.interactions, [interaction.id]: interaction } };
}

function about(view, ident) {
  if (view.interactions[ident]) return view.interactions[ident];
  return Object.values(view.interactions).find((known) => known.consult && known.consult.of === ident);
}
