// Pieces that several screens are made of.

import { bytes, clock, pieces, span } from "./format.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { useNow } from "./time.js";
import { named, t } from "./words.js";

export function Button({ kind = "plain", icon, keys, busy, children, ...more }) {
  return html`<button type="button" class=${`button ${kind}`} aria-busy=${busy ? "true" : undefined} disabled=${busy} ...${more}>
    ${icon && html`<${Icon} name=${icon} />`}<span>${children}</span>${keys && html`<kbd aria-hidden="true">${keys}</kbd>`}
  </button>`;
}

export function IconButton({ icon, label, ...more }) {
  return html`<button type="button" class="icon-button" aria-label=${label} title=${label} ...${more}>
    <${Icon} name=${icon} />
  </button>`;
}

export function Channel({ channel, size = 18 }) {
  return html`<span class=${`channel ${channel}`}><${Icon} name=${channel} size=${size} />
    <span class="unseen">${named("channel", channel)}</span></span>`;
}

/** A running time since then. */
export function Since({ ms, exact = false, say = (text) => text }) {
  const at = useNow();
  return html`<time class="figures">${say(exact ? clock(at - ms) : span(at - ms))}</time>`;
}

/** A running time until then, and what part of `whole` is left. */
export function Until({ ms, whole }) {
  const left = Math.max(0, ms - useNow());
  const share = whole ? Math.min(1, left / whole) : 0;
  return html`<span class=${`until ${left < 6000 ? "soon" : ""}`}>
    <span class="figures" role="timer">${t("offer.left", { n: Math.ceil(left / 1000) })}</span>
    <span class="until-line" aria-hidden="true"><span style=${{ inlineSize: `${share * 100}%` }}></span></span>
  </span>`;
}

/** Text as it was written. Addresses can be opened; nothing else in it means anything. */
export function Words({ text }) {
  return pieces(text).map((piece) =>
    piece.href
      ? html`<a href=${piece.href} target="_blank" rel="noopener noreferrer">${piece.text}</a>`
      : piece.text,
  );
}

export function File({ desk, file }) {
  const name = file.name || file.media_type;
  return html`<button type="button" class="file" onClick=${() => desk.download(file)} aria-label=${t("download", { name })}>
    <${Icon} name="file" /><span class="file-name">${name}</span>
    <span class="quiet figures">${file.size ? bytes(file.size) : ""}</span>
  </button>`;
}

export function Banner({ tone = "plain", children }) {
  return html`<div class=${`banner ${tone}`}>${children}</div>`;
}
