"use strict";
// Asks who is called, and says so when it cannot: an old screen must not look like a current one.
const at = (id) => document.getElementById(id);
const say = document.body.dataset;
let shown = "";

if (location.hash.startsWith("#token=")) {
  localStorage.setItem("kiosk-token", decodeURIComponent(location.hash.slice(7)));
  history.replaceState(null, "", location.pathname);
}

function row(call) {
  const line = document.createElement("tr");
  for (const text of [call.ticket, call.agent]) line.appendChild(document.createElement("td")).appendChild(document.createElement("bdi")).textContent = text;
  line.className = call.arrived ? "here" : call.calls > 1 ? "again" : call.calls ? "new" : "";
  if (call.calls > 1 && !call.arrived) {
    const mark = line.firstChild.appendChild(document.createElement("span"));
    mark.className = "mark";
    mark.textContent = say.again;
  }
  return line;
}

function show(serving) {
  at("nobody").hidden = serving.length > 0;
  if (JSON.stringify(serving) === shown) return; // a screen reader speaks of changes only
  shown = JSON.stringify(serving);
  at("serving").replaceChildren(...serving.map(row));
}

async function ask() {
  try {
    const token = localStorage.getItem("kiosk-token");
    const headers = token ? {Authorization: `Bearer ${token}`} : {};
    const response = await fetch(`/v1/kiosk/now-serving${say.site ? `?site=${encodeURIComponent(say.site)}` : ""}`, {headers, signal: AbortSignal.timeout(10000)});
    if (!response.ok) throw new Error(String(response.status));
    show((await response.json()).serving);
    at("problem").textContent = "";
  } catch {
    at("problem").textContent = say.stale;
  } finally {
    setTimeout(ask, Number(say.refreshMs));
  }
}

ask();
