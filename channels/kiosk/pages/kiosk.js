"use strict";
// One visitor at a time. A check-in keeps its key until it is answered, so pressing again after a failure is the same visit.
// What an element says stands in its data-text (or data-topic), so all of the page can be said again in another language.
const at = (id) => document.getElementById(id);
const say = document.body.dataset;
const root = document.documentElement;
const buttons = (name) => [...document.querySelectorAll(`button[data-${name}]`)];
const REFUSALS = {"no-route": "closed", "not-found": "no_code", "illegal-move": "too_early"};
const WORDS = JSON.parse(say.words);
const HOME = root.lang; // the page's own language, which has a word for everything
const ASK_MS = 20000; // how long "are you still there" stands: what WCAG 2.2.1 asks for
let key = "", sent = "", language = "", spoken = HOME, timer = 0, asking = false;

// The token comes once, behind the "#", which browsers do not send; the kiosk remembers it.
if (location.hash.startsWith("#token=")) {
  localStorage.setItem("kiosk-token", decodeURIComponent(location.hash.slice(7)));
  history.replaceState(null, "", location.pathname);
}

function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Say in the visitor's language what an element is to say; in the page's, and marked as such, where there is no word. */
function utter(node) {
  const {text, topic, n} = node.dataset;
  const [kind, name] = topic === undefined ? ["texts", text] : ["topics", topic];
  const has = (code) => Object.hasOwn(WORDS[code][kind], name);
  const code = has(spoken) ? spoken : HOME;
  node.textContent = has(code) ? (WORDS[code][kind][name] || (kind === "topics" ? name : "")).replace("{n}", n) : "";
  if (code === spoken) for (const mark of ["lang", "dir"]) node.removeAttribute(mark);
  else [node.lang, node.dir] = [code, WORDS[code].dir];
}

function tell(id, text, n = "") {
  Object.assign(at(id).dataset, {text, n});
  utter(at(id));
}

function choose(code) {
  language = code;
  for (const button of buttons("language")) button.setAttribute("aria-pressed", String(button.dataset.language === code));
  spoken = Object.hasOwn(WORDS, code) ? code : HOME;
  [root.lang, root.dir] = [spoken, WORDS[spoken].dir];
  document.querySelectorAll("[data-text], [data-topic]").forEach(utter);
}

function start() {
  clearTimeout(timer);
  at("check-in").reset();
  tell("problem", "");
  tell("idle", "");
  choose("");
  key = sent = "";
  at("done").hidden = true;
  at("check-in").hidden = false;
  at("name").focus();
}

function show(answer) {
  clearTimeout(timer);
  at("ticket").textContent = answer.ticket;
  tell("position", answer.position ? "position" : "now", answer.position);
  const minutes = Math.ceil((answer.expected_wait_s ?? 0) / 60);
  tell("wait", minutes ? "wait" : "", minutes);
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
  tell("problem", "");
  try {
    const headers = {"Content-Type": "application/json", "Idempotency-Key": key};
    const token = localStorage.getItem("kiosk-token");
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetch("/v1/kiosk/checkins", {method: "POST", headers, body, signal: AbortSignal.timeout(10000)});
    const answer = await response.json();
    if (response.ok) show(answer);
    else tell("problem", REFUSALS[answer.code] ?? "failed");
  } catch {
    tell("problem", "failed");
  } finally {
    busy(false);
    touched();
  }
}

function busy(is) {
  asking = is;
  for (const button of [...buttons("topic"), ...buttons("language"), at("by-code")]) button.disabled = is;
}

// Whoever leaves without a ticket leaves a page in their language, with their name on it: not for the next one to see.
function touched() {
  if (!at("done").hidden) return; // the ticket has a time of its own
  clearTimeout(timer);
  if (at("idle").textContent) tell("idle", "");
  const left = language || at("problem").textContent || ["code", "name", "phone"].some((id) => at(id).value);
  if (Number(say.idleMs) && left && !asking) timer = setTimeout(stillThere, Number(say.idleMs));
}

function stillThere() {
  tell("idle", "idle", ASK_MS / 1000);
  timer = setTimeout(start, ASK_MS);
}

for (const button of buttons("topic")) button.addEventListener("click", () => checkIn({topic: button.dataset.topic}));
for (const button of buttons("language")) button.addEventListener("click", () => choose(button.dataset.language));
const byCode = () => at("code").value.trim() && checkIn({code: at("code").value.trim()});
at("by-code").addEventListener("click", byCode);
at("check-in").addEventListener("submit", (event) => event.preventDefault());
at("code").addEventListener("keydown", (event) => event.key === "Enter" && byCode());
at("again").addEventListener("click", start);
for (const touch of ["click", "input", "keydown", "pointerdown", "wheel"]) document.addEventListener(touch, touched, {passive: true});
start();
