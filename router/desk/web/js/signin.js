// The first screen: a name with its password or token, and the company's own sign-in where there is one.

import { html, useEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";
import { Look, Language } from "./menu.js";
import { t } from "./words.js";

const SAID = {
  wrong: "signin.wrong",
  unreachable: "signin.unreachable",
  expired: "signin.expired",
  "not-found": "signin.gone",
  "too-many": "signin.many",
  "too-many-attempts": "signin.many",
  "too-many-sessions": "signin.many",
  "signed-out": "signin.out",
  // Words of router/http/oidc.py.
  "provider-unreachable": "signin.provider.away",
  "provider-declined": "signin.provider.declined",
  "provider-expired": "signin.provider.old",
  "provider-refused": "signin.provider.unfit",
  "no-role": "signin.no-role",
  locked: "signin.locked",
  "own-password": "signin.own-password",
};

export function SignIn({ desk, state }) {
  const [name, setName] = useState("");
  const [token, setToken] = useState("");
  const first = useRef(null);
  const [provider, setProvider] = useState("");
  useEffect(() => {
    first.current.focus();
    desk.ways().then((ways) => setProvider(ways.provider));
  }, [desk]);
  const waiting = state.phase === "signing";
  const submit = (event) => {
    event.preventDefault();
    if (!waiting) desk.signIn(name, token);
  };
  // The address may name anything as a problem.
  const key = state.problem && (Object.hasOwn(SAID, state.problem) ? SAID[state.problem] : "signin.failed");
  return html`<main class="signin">
    <form class="card" onSubmit=${submit} aria-labelledby="signin-title">
      <div class="brand"><${Icon} name="move" size=${22} /><span>${t("app")}</span></div>
      <h1 id="signin-title">${t("signin.title")}</h1>
      <label class="field">${t("signin.name")}
        <input ref=${first} name="username" autocomplete="username" autocapitalize="none" spellcheck=${false} required
          maxlength="64" value=${name} onInput=${(e) => setName(e.target.value)} />
      </label>
      <label class="field">${t("signin.token")}
        <input type="password" name="password" autocomplete="current-password" required maxlength="512" value=${token}
          onInput=${(e) => setToken(e.target.value)} aria-invalid=${state.problem === "wrong" ? "true" : undefined} />
      </label>
      <p class="problem" role="alert">${key ? t(key, { code: state.problem }) : ""}</p>
      <button class="button primary wide" aria-busy=${waiting ? "true" : undefined}>
        <span>${t(waiting ? "signin.wait" : "signin.do")}</span>
      </button>
      ${provider && html`<a class="button plain wide" href="/v1/session/oidc/start"><span>${t("signin.provider", { name: provider })}</span></a>`}
      ${isHere() && html`<p class="hint">${t("signin.demo", { names: "ana, ben, chen, dora" })}</p>`}
    </form>
    <div class="signin-foot"><${Language} desk=${desk} state=${state} /><${Look} desk=${desk} state=${state} /></div>
  </main>`;
}

// The demo's tokens work on the machine of the daemon only.
function isHere() {
  return ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
}
