// Pieces that several screens are made of.

import { bytes, clock, pieces, span } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { now, useNow, useRunning } from "./time.js";
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
  const shown = useRunning(() => (exact ? clock : span)(now() - ms), ms, exact);
  return html`<time class="figures">${say(shown)}</time>`;
}

const LONG_MS = 120_000; // beyond that nobody counts seconds

/** A running time until then, and what part of `whole` is left. */
export function Until({ ms, whole }) {
  const left = Math.max(0, ms - useNow());
  const share = whole ? Math.min(1, left / whole) : 0;
  return html`<span class=${`until ${left < 6000 ? "soon" : ""}`}>
    <span class="figures" role="timer">${left > LONG_MS ? t("wrapup.left", { t: clock(left) }) : t("offer.left", { n: Math.ceil(left / 1000) })}</span>
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
  return html`<span class="file-line"><button type="button" class="file" onClick=${() => desk.download(file)} aria-label=${t("download", { name })}>
    <${Icon} name="file" /><span class="file-name">${name}</span></button>
    ${file.size > 0 && html`<span class="quiet figures">${bytes(file.size)}</span>`}</span>`;
}

// What every browser draws and what cannot run anything.
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const PICTURE_MAX = 20971520; // bytes; beyond that it is downloaded only

export function isPicture(file) {
  return PICTURES.has(file.media_type) && file.size <= PICTURE_MAX;
}

/** A picture in a frame that has its shape as it is turned: nothing is cut, and enlarged it is scrolled. */
export function Framed({ url, alt, turn, large, name }) {
  const [shape, setShape] = useState({ width: 0, height: 0 });
  const lies = turn % 180 !== 0;
  const [across, down] = lies ? [shape.height, shape.width] : [shape.width, shape.height];
  const measured = ({ currentTarget: { naturalWidth: width, naturalHeight: height } }) => setShape({ width, height });
  const box = across ? { "--across": String(across), "--ratio": String(across / down) } : {};
  return html`<div class="picture-box" style=${box} tabindex=${large ? 0 : undefined} role=${large ? "group" : undefined} aria-label=${large ? name : undefined}>
    <div class="picture-frame"><img src=${url} alt=${alt} class=${`turn-${turn}`} onLoad=${measured} /></div></div>`;
}

/** A scan or a photograph, to be looked at where it stands: turned and at full size where wanted. */
export function Picture({ desk, file }) {
  const [url, setUrl] = useState("");
  const [turn, setTurn] = useState(0);
  const [large, setLarge] = useState(false);
  useEffect(() => {
    let made = "";
    let gone = false;
    desk.api.blob(`/v1/blobs/${file.digest}`).then(
      (blob) => {
        if (gone) return;
        made = URL.createObjectURL(blob.slice(0, blob.size, file.media_type));
        setUrl(made);
      },
      () => setUrl(""), // the file below it can be asked for again, and says what is wrong
    );
    return () => {
      gone = true;
      if (made) URL.revokeObjectURL(made);
    };
  }, [file.digest]);
  if (!url) return null;
  return html`<figure class=${large ? "picture large" : "picture"}>
    <${Framed} url=${url} alt=${file.name || file.media_type} name=${file.name || file.media_type} turn=${turn} large=${large} />
    <figcaption><${IconButton} icon="again" label=${t("picture.turn")} onClick=${() => setTurn((turn + 90) % 360)} />
      <${IconButton} icon=${large ? "less" : "more"} label=${t(large ? "picture.smaller" : "picture.larger")} onClick=${() => setLarge(!large)} /></figcaption>
  </figure>`;
}

export function Banner({ tone = "plain", children }) {
  return html`<div class=${`banner ${tone}`}>${children}</div>`;
}
