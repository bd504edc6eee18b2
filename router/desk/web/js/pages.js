// Pages of a document, drawn by the server: a stranger's file is never opened here.

import { html, useEffect, useState } from "./html.js";
import { Banner, Framed, IconButton } from "./parts.js";
import { refusal, t } from "./words.js";

const PAGED = new Set(["application/pdf", "image/tiff"]);
const WIDTHS = { usual: 1200, large: 2000 };

export function hasPages(file) {
  return PAGED.has(file.media_type);
}

export function Pages({ desk, file }) {
  const [about, setAbout] = useState(null);
  const [number, setNumber] = useState(1);
  const [turn, setTurn] = useState(0);
  const [large, setLarge] = useState(false);
  const name = file.name || file.media_type;
  const at = `/v1/blobs/${file.digest}/pages`;
  useEffect(() => {
    let gone = false;
    desk.api.get(at).then(
      (found) => gone || setAbout(found),
      (problem) => gone || setAbout({ pages: 0, condition: "failed", detail: refusal(problem) }),
    );
    return () => {
      gone = true;
    };
  }, [file.digest]);
  const width = large ? WIDTHS.large : WIDTHS.usual;
  const url = useDrawn(desk, about?.pages ? `${at}/${number}?width=${width}` : "");
  if (!about) return null;
  const wrong = about.condition !== "ok" && html`<${Banner} tone="warn">${t(about.pages ? "pages.damaged" : "pages.none", { why: about.detail || about.condition })}<//>`;
  if (!about.pages) return wrong;
  return html`<figure class=${large ? "picture large" : "picture"}>
    ${wrong}
    ${url ? html`<${Framed} url=${url} alt=${t("pages.page", { name, n: number })} name=${name} turn=${turn} large=${large} />` : html`<p class="none">${t("loading")}</p>`}
    <figcaption>
      <${IconButton} icon="back" label=${t("pages.before")} disabled=${number === 1} onClick=${() => setNumber(number - 1)} />
      <span class="quiet figures pages-at" role="status">${t("pages.at", { n: number, of: about.pages })}</span>
      <${IconButton} icon="forth" label=${t("pages.next")} disabled=${number === about.pages} onClick=${() => setNumber(number + 1)} />
      <${IconButton} icon="again" label=${t("picture.turn")} onClick=${() => setTurn((turn + 90) % 360)} />
      <${IconButton} icon=${large ? "less" : "more"} label=${t(large ? "picture.smaller" : "picture.larger")} onClick=${() => setLarge(!large)} />
    </figcaption>
  </figure>`;
}

/** An address of the picture at that path; the one before stays until it is there. */
function useDrawn(desk, path) {
  const [url, setUrl] = useState("");
  useEffect(() => {
    let gone = false;
    if (path) {
      desk.api.blob(path).then(
        (blob) => gone || setUrl(URL.createObjectURL(blob.slice(0, blob.size, "image/png"))),
        () => gone || setUrl(""),
      );
    }
    return () => {
      gone = true;
    };
  }, [path]);
  useEffect(() => () => url && URL.revokeObjectURL(url), [url]);
  return url;
}
