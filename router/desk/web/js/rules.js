// The configuration for operators: what is in force, another one tried without effect, and then, if it is meant, applied.

import { html, useEffect, useState } from "./html.js";
import { Button } from "./parts.js";
import { refusal, t } from "./words.js";

export function Rules({ desk }) {
  const [text, setText] = useState("");
  const [kept, setKept] = useState("");
  const [version, setVersion] = useState(0);
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const load = async () => {
    try {
      const shown = await desk.watch.api.get("/v1/config");
      const written = JSON.stringify(shown.document, null, 2);
      setVersion(shown.version);
      setText(written);
      setKept(written);
    } catch (error) {
      setProblem(refusal(error));
    }
  };
  useEffect(() => {
    load();
  }, [desk]);
  const change = (value) => {
    setText(value);
    setFound(null);
    setProblem("");
  };
  const send = async (dry) => {
    setBusy(true);
    setProblem("");
    try {
      const answer = await desk.watch.api.configure(text, dry);
      setFound({ ...answer, dry });
      if (!dry) await load();
    } catch (error) {
      setFound(null);
      setProblem(error.message || refusal(error));
    }
    setBusy(false);
  };
  const open = async (event) => {
    const [file] = event.target.files;
    if (file) change(await file.text());
    event.target.value = "";
  };
  return html`<section class="panel rules" aria-labelledby="rules-title">
    <div class="panel-head"><h2 id="rules-title">${t("rules.title")}</h2><span class="quiet">${t("rules.version", { n: version })}</span></div>
    <p class="quiet">${t("rules.hint")}</p>
    <label class="field"><span class="unseen">${t("rules.title")}</span>
      <textarea class="code" rows="18" spellcheck=${false} dir="ltr" value=${text} onInput=${(e) => change(e.target.value)}></textarea></label>
    <p class="problem" role="alert">${problem}</p>
    ${found && html`<${Found} found=${found} />`}
    <div class="act"><label class="button plain file-pick"><span>${t("rules.open")}</span><input type="file" accept=".toml,.json" onChange=${open} /></label>
      <span class="grow"></span>
      <${Button} busy=${busy || text === kept} onClick=${() => change(kept)}>${t("rules.back")}<//>
      <${Button} kind="primary" busy=${busy || !text.trim()} onClick=${() => send(true)}>${t("rules.try")}<//>
      <${Button} kind="bad" busy=${busy || !found?.dry || !found.changed} onClick=${() => send(false)}>${t("rules.apply")}<//></div>
  </section>`;
}

function Found({ found }) {
  const word = !found.changed ? "rules.same" : found.dry ? "rules.good" : "rules.applied";
  return html`<div role="status"><p><strong>${t(word, { n: found.version })}</strong> ${found.restart_needed ? t("rules.restart") : ""}</p>
    ${found.dry && found.changed && found.changes && html`<${Touched} changes=${found.changes} />`}</div>`;
}

/** What the rehearsal found, without what it did not find. */
function Touched({ changes: { queues = {}, agents, ...rest } }) {
  const some = (value) => (Array.isArray(value) ? value.length > 0 : Boolean(value));
  const said = (value) => (Array.isArray(value) ? value.join(", ") : String(value));
  const counts = (fields) => Object.entries(fields).filter(([, n]) => typeof n === "number" && n).map(([name, n]) => `${name.replaceAll("_", " ")} ${n}`).join(", ");
  const rows = [
    ...Object.entries(queues).map(([name, change]) => [t("rules.queue", { name }), counts(change)]),
    ...Object.entries(rest).filter(([, value]) => some(value)).map(([name, value]) => [t(`rules.${name}`), said(value)]),
  ].filter(([, value]) => value);
  if (!rows.length) return html`<p class="quiet">${t("rules.nobody")}</p>`;
  return html`<h3 class="label">${t("rules.touches")}</h3>
    <dl class="table">${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${value}</dd></div>`)}</dl>`;
}
