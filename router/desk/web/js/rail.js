// The left side: what is offered, what is mine, what I could take.

import { span } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { unreadOf, who } from "./desk.js";
import { Button, Channel, IconButton, Since, Until } from "./parts.js";
import { now } from "./time.js";
import { languagesOf } from "./requirement.js";
import { languageName, named, t } from "./words.js";

export function Rail({ desk, state }) {
  return html`<nav class="rail" aria-label=${t("work")}>
    <${Offers} desk=${desk} state=${state} />
    <${Work} desk=${desk} state=${state} />
    <${Pick} desk=${desk} state=${state} />
  </nav>`;
}

/** What the agent brings that was asked for, and the languages that play a part. */
export function Matches({ interaction }) {
  const words = [...interaction.matched_skills, ...spokenHere(interaction)];
  return words.map((word) => html`<span class="chip match">${word}</span>`);
}

function spokenHere({ requirement, language }) {
  const asked = languagesOf(requirement);
  return language && asked.includes(language) ? [languageName(language)] : [];
}

function Offers({ desk, state }) {
  const offers = Object.values(state.view.offers);
  return html`<section class="offers" aria-label=${t("offers")}>
    <div class="unseen" role="alert">${offers.map(({ interaction }) => t("offer.new", { who: who(interaction) })).join(". ")}</div>
    ${offers.map((offer, index) => html`<${Offer} key=${offer.offer} desk=${desk} state=${state} offer=${offer} first=${index === 0} />`)}
  </section>`;
}

function Offer({ desk, state, offer, first }) {
  const { interaction } = offer;
  const whole = useRef(offer.expires_at_ms - now());
  const id = `offer-${offer.offer}`;
  const asked = state.busy[`accept ${offer.offer}`] || state.busy[`decline ${offer.offer}`];
  const busy = asked || state.phase !== "live";
  const channel = named("channel", interaction.channel);
  return html`<article class="offer" aria-labelledby=${id}>
    <div class="offer-head">
      <${Channel} channel=${interaction.channel} size=${20} />
      <div class="grow">
        <h2 id=${id} dir="auto">${who(interaction)}</h2>
        <p class="quiet">${t("offer.of", { channel, queue: interaction.queue })} · <${Since}
          ms=${interaction.enqueued_at_ms} say=${(text) => t("waited", { t: text })} /></p>
      </div>
    </div>
    ${interaction.subject && interaction.subject !== interaction.queue && html`<p class="offer-subject" dir="auto">${interaction.subject}</p>`}
    ${state.declined[interaction.id] && html`<p class="quiet">${t("offer.again")}</p>`}
    <p class="chips"><span class="unseen">${t("why")}: </span><${Matches} interaction=${interaction} /></p>
    <${Until} ms=${offer.expires_at_ms} whole=${whole.current} />
    <div class="offer-acts">
      <${Button} kind="primary" keys=${first && "F8"} aria-keyshortcuts=${first ? "F8" : undefined} aria-describedby=${id} busy=${busy}
        onClick=${() => desk.accept(offer)}>${t("accept")}<//>
      <${Button} keys=${first && "F9"} aria-keyshortcuts=${first ? "F9" : undefined} aria-describedby=${id} busy=${busy}
        onClick=${() => desk.decline(offer)}>${t("decline")}<//>
    </div>
  </article>`;
}

function Work({ desk, state }) {
  const mine = Object.values(state.view.interactions);
  return html`<section class="work" aria-labelledby="work-title">
    <h2 class="label" id="work-title">${t("work")} <span class="count">${mine.length || ""}</span></h2>
    ${mine.length ? html`<ul>${mine.map((one) => html`<${Row} key=${one.id} desk=${desk} state=${state} one=${one} />`)}</ul>` : html`<p class="none">${t("work.none")}</p>`}
  </section>`;
}

function Row({ desk, state, one }) {
  const unread = unreadOf(state, one.id);
  const since = state.since[one.id];
  const flag = flagOf(one);
  const last = one.messages.at(-1);
  const line = one.subject || (one.channel === "chat" && last && (last.text || last.attachments?.at(-1)?.name)) || one.queue;
  return html`<li>
    <button type="button" class="row" aria-current=${state.selected === one.id ? "true" : undefined} onClick=${() => desk.select(one.id)}>
      <${Channel} channel=${one.channel} />
      <span class="row-text">
        <span class="row-first"><span class="row-name" dir="auto">${who(one)}</span>
          ${since && html`<span class="quiet"><${Since} ms=${since} /></span>`}</span>
        <span class="row-second"><span class="row-line quiet" dir="auto">${line}</span>
          ${flag && html`<span class=${`flag ${flag.tone}`}>${flag.text}</span>`}
          ${unread > 0 && html`<span class="badge"><span aria-hidden="true">${unread}</span><span class="unseen">${t("new", { n: unread })}</span></span>`}</span>
      </span>
    </button>
  </li>`;
}

export function flagOf(one) {
  if (one.state === "wrap-up") return { tone: "warn", text: t("wrapup") };
  if (one.suspended) return { tone: "warn", text: t("suspended") };
  if (one.on_hold) return { tone: "warn", text: t("held") };
  return null;
}

function Pick({ desk, state }) {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (open) desk.askWaiting();
  }, [open, state.phase]);
  const found = open ? state.waiting : null;
  const at = now();
  return html`<details class="pick" open=${open} onToggle=${(e) => setOpen(e.target.open)}>
    <summary class="label">${t("pick")}</summary>
    ${found && html`<div class="pick-head"><${IconButton} icon="again" label=${t("again")} onClick=${() => desk.askWaiting()} /></div>`}
    ${found && !found.interactions.length && html`<p class="none">${t("pick.none")}</p>`}
    ${found && html`<ul>${found.interactions.map((one) => html`<li class="pick-row" key=${one.id}>
      <${Channel} channel=${one.channel} />
      <span class="row-text"><span class="row-name" dir="auto" id=${`pick-${one.id}`}>${who(one)}</span>
        ${one.subject && html`<span class="row-line" dir="auto">${one.subject}</span>`}
        <span class="quiet row-line">${one.queue} · ${span(at - one.enqueued_at_ms)}</span></span>
      <${Button} busy=${state.busy[`pick ${one.id}`]} aria-describedby=${`pick-${one.id}`} onClick=${() => desk.pick(one.id)}>${t("pick.do")}<//>
    </li>`)}</ul>`}
    ${found?.more && html`<p class="none">${t("pick.more")}</p>`}
  </details>`;
}
