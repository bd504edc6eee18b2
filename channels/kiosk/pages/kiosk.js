"use strict";
// One visitor at a time. A check-in keeps its key until it is answered, so pressing again after a failure is the same visit.
const at = (id) => document.getElementById(id);
const say = document.body.dataset;
const buttons = (name) => [...document.querySelectorAll(`button[data-${name}]`)];
const REFUSALS = {"no-route": say.closed, "not-found": say.noCode, "illegal-move": say.tooEarly};
let key = "", sent = "", language = "", timer = 0;

// The token comes once, behind the "#", which browsers do not send; the kiosk remembers it.
if (location.hash.startsWith("#token=")) {
  localStorage.setItem("kiosk-token", decodeURIComponent(location.hash.slice(7)));
  history.replaceState(null, "", location.pathname);
}

function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function choose(code) {
  language = code;
  for (const button of buttons("language")) button.setAttribute("aria-pressed", String(button.dataset.language === code));
}

function start() {
  clearTimeout(timer);
  at("check-in").reset();
  at("problem").textContent = "";
  choose("");
  key = sent = "";
  at("done").hidden = true;
  at("check-in").hidden = false;
  at("name").focus();
}

function show(answer) {
  at("ticket").textContent = answer.ticket;
  at("position").textContent = answer.position ? say.position.replace("{n}", answer.position) : say.now;
  const minutes = Math.ceil((answer.expected_wait_s ?? 0) / 60);
  at("wait").textContent = minutes ? say.wait.replace("{n}", minutes) : "";
  at("check-in").hidden = true;
  at("done").hidden = false;
  at("again").focus();
  if (Number(say.showTicketMs)) timer = setTimeout(start, Number(say.showTicketMs));
}

async function checkIn(about) {
  const site = say.site ? {site: say.site} : {};
  const body = JSON.stringify({...about, ...site, language, name: at("name").value.trim(), phone: at("phone").value.trim()});
  if (body !== sent) key = newKey();
  sent = body;
  busy(true);
  at("problem").textContent = "";
  try {
    const headers = {"Content-Type": "application/json", "Idempotency-Key": key};
    const token = localStorage.getItem("kiosk-token");
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetch("/v1/kiosk/checkins", {method: "POST", headers, body, signal: AbortSignal.timeout(10000)});
    const answer = await response.json();
    if (response.ok) show(answer);
    else at("problem").textContent = REFUSALS[answer.code] ?? say.failed;
  } catch {
    at("problem").textContent = say.failed;
  } finally {
    busy(false);
  }
}

function busy(is) {
  for (const button of [...buttons("topic"), at("by-code")]) button.disabled = is;
}

for (const button of buttons("topic")) button.addEventListener("click", () => checkIn({topic: button.dataset.topic}));
for (const button of buttons("language")) button.addEventListener("click", () => choose(button.dataset.language));
const byCode = () => at("code").value.trim() && checkIn({code: at("code").value.trim()});
at("by-code").addEventListener("click", byCode);
at("check-in").addEventListener("submit", (event) => event.preventDefault());
at("code").addEventListener("keydown", (event) => event.key === "Enter" && byCode());
at("again").addEventListener("click", start);
start();
