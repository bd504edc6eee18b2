"use strict";
// One visitor at a time. A check-in keeps its key until it is answered, so pressing again after a failure is the same visit.
// What an element says stands in its data-text (or data-topic), so all of the page can be said again in another language.
const at = (id) => document.getElementById(id);
const say = document.body.dataset;
const root = document.documentElement;
const buttons = (name) => [...document.querySelectorAll(`button[data-${name}]`)];
const REFUSALS = {"no-route": "closed", "turned-away": "closed", "not-found": "no_code", "illegal-move": "too_early"};
const WORDS = JSON.parse(say.words);
const HOME = root.lang; // the page's own language, which has a word for everything
const ASK_MS = 20000; // how long "are you still there" stands: what WCAG 2.2.1 asks for
let key = "", sent = "", language = "", spoken = HOME, timer = 0, asking = false;
let tried = ""; // the code that was checked in with last: one that is refused does not stand in a topic's way
let wanted = ""; // the topic that is asked about

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
  complain("");
  tell("idle", "");
  choose("");
  key = sent = tried = wanted = "";
  at("done").hidden = true;
  at("check-in").hidden = false;
  at("name").focus();
}

// What is wrong, and with which field; the visitor is there at once.
function complain(text, field = "") {
  tell("problem", text);
  at("without").hidden = text !== "code_left";
  for (const name of ["code", "phone"]) name === field ? at(name).setAttribute("aria-invalid", "true") : at(name).removeAttribute("aria-invalid");
  if (field) at(field).focus();
}

function refused({code, field}) {
  if (field === "phone") complain("no_phone", field);
  else complain(REFUSALS[code] ?? "failed", code === "not-found" ? "code" : "");
}

// The focus is on the ticket, not on the button that takes it away: who presses Enter twice, and a scanner that ends
// each line with two characters, keep it; a screen reader reads on from there.
function show(answer) {
  clearTimeout(timer);
  at("ticket").textContent = answer.ticket;
  tell("position", answer.position ? "position" : "now", answer.position);
  const minutes = Math.ceil((answer.expected_wait_s ?? 0) / 60);
  tell("wait", minutes ? "wait" : "", minutes);
  at("check-in").hidden = true;
  at("done").hidden = false;
  at("your-ticket").focus();
  if (Number(say.showTicketMs)) timer = setTimeout(start, Number(say.showTicketMs));
}

async function checkIn(about) {
  if (asking) return;
  const site = say.site ? {site: say.site} : {};
  const body = JSON.stringify({...about, ...site, language, name: at("name").value.trim(), phone: at("phone").value.trim()});
  if (body !== sent) key = newKey();
  sent = body;
  const pressed = document.activeElement;
  busy(true);
  complain("");
  try {
    const headers = {"Content-Type": "application/json", "Idempotency-Key": key};
    const token = localStorage.getItem("kiosk-token");
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetch("/v1/kiosk/checkins", {method: "POST", headers, body, signal: AbortSignal.timeout(10000)});
    const answer = await response.json();
    busy(false);
    pressed.focus(); // what is disabled loses it
    if (response.ok) show(answer);
    else refused(answer);
  } catch {
    busy(false);
    pressed.focus();
    complain("failed");
  } finally {
    touched();
  }
}

function busy(is) {
  asking = is;
  for (const button of [...buttons("topic"), ...buttons("language"), at("by-code"), at("without")]) button.disabled = is;
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

// A code that was typed and not checked in with is somebody's appointment: no topic passes it over in silence.
function byTopic(topic) {
  const code = at("code").value.trim();
  wanted = topic;
  if (code && code !== tried) complain("code_left");
  else checkIn({topic});
}

function byCode() {
  tried = at("code").value.trim();
  if (tried) checkIn({code: tried});
}

function withoutCode() {
  at("code").value = "";
  checkIn({topic: wanted});
}

for (const button of buttons("topic")) button.addEventListener("click", () => byTopic(button.dataset.topic));
for (const button of buttons("language")) button.addEventListener("click", () => choose(button.dataset.language));
at("by-code").addEventListener("click", byCode);
at("without").addEventListener("click", withoutCode);
at("check-in").addEventListener("submit", (event) => event.preventDefault());
at("code").addEventListener("keydown", (event) => event.key === "Enter" && byCode());
at("again").addEventListener("click", start);
for (const touch of ["click", "input", "keydown", "pointerdown", "wheel"]) document.addEventListener(touch, touched, {passive: true});
start();
