// The server over HTTP, with the token of whoever signed in. Refusals are problem details (RFC 9457) with a stable code.
//
// All that is asked in a session goes through one Api. The first answer that its token is not known ends it: nothing is
// asked with that token again (a wrong one counts against the whole address), and whoever signed in is told.

import { spoken } from "./words.js";

const PATIENCE_MS = 15000;

export class Problem extends Error {
  constructor(code, detail, status = 0, retryMs = 0) {
    super(detail || code);
    Object.assign(this, { code, status, retryMs });
  }
}

export class Api {
  /** `ended()` is called once, where the server does not know the token any more. */
  constructor(token, ended = () => {}) {
    Object.assign(this, { token, ended, over: false });
  }

  /** Nothing is asked from now on, and what is still to be answered comes too late: it was for somebody who has left. */
  close() {
    this.over = true;
  }

  _demand() {
    if (this.over) throw new Problem("unauthenticated");
  }

  async _fetch(path, options = {}) {
    this._demand();
    const headers = { "Accept-Language": spoken(), ...(this.token && { Authorization: `Bearer ${this.token}` }), ...options.headers };
    let answer;
    try {
      answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store", ...options, headers });
    } catch {
      throw new Problem("unreachable");
    }
    this._demand();
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    if (answer.status === 401 && !this.over) {
      this.close();
      this.ended();
    }
    throw new Problem(said.code || "internal", said.detail, answer.status, 1000 * (Number(answer.headers.get("Retry-After")) || 0));
  }

  async get(path) {
    return (await this._fetch(path)).json();
  }

  async post(path, body) {
    const headers = { "Content-Type": "application/json" };
    return (await this._fetch(path, { method: "POST", headers, body: JSON.stringify(body ?? {}) })).json();
  }

  /** A configuration, as JSON or TOML: tried or applied. */
  async configure(text, dry) {
    const json = text.trimStart().startsWith("{");
    const headers = { "Content-Type": json ? "application/json" : "application/toml" };
    return (await this._fetch(`/v1/config${dry ? "?dry_run=1" : ""}`, { method: "POST", headers, body: text })).json();
  }

  async remove(path) {
    return (await this._fetch(path, { method: "DELETE" })).json();
  }

  /** Content as it is. */
  async blob(path) {
    return (await this._fetch(path)).blob();
  }

  async upload(file) {
    const headers = { "Content-Type": file.type || "application/octet-stream" };
    const path = `/v1/blobs?name=${encodeURIComponent(file.name.slice(0, 200))}`;
    return (await this._fetch(path, { method: "POST", headers, body: file })).json();
  }
}
