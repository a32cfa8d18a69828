// Send Push: whom it reaches and how it looks, anew while the editor types; a moment's pause before it leaves.
import { csrf, enhanceForms, say } from "./forms.js";
import { localTimes } from "./times.js";

const LOUD_FROM = 10000;
const HOLD_MS = 1200;
const LOOK_MS = 700;
const MOST_LOOKS = 120;
const form = document.querySelector("[data-push-form]");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const number = new Intl.NumberFormat("en");
const encoder = new TextEncoder();

localTimes(document);
enhanceForms(document);
form.querySelector("[data-zone]").value = zone;
form.querySelector("#send_at-hint .hint").textContent = `Empty: now. As your clock has it (${zone}).`;
form.addEventListener("input", later);
form.addEventListener("change", later);
form.addEventListener("submit", send);
prepareHold(form.querySelector("[data-send]"));
form.querySelector("[data-test]").addEventListener("click", test);
shape();

let timer = 0;
let asked = 0;

function later() {
  shape();
  clearTimeout(timer);
  timer = setTimeout(look, 300);
}

async function look() {
  const mine = ++asked;
  const fields = new FormData(form);
  fields.delete("confirm");
  const answer = await fetch(form.dataset.look, { method: "POST", headers: { "X-CSRF-Token": csrf() }, body: new URLSearchParams(fields) }).catch(() => null);
  if (!answer?.ok || mine !== asked) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of fresh.querySelectorAll("[data-part]")) form.querySelector(`[data-part="${part.dataset.part}"]`)?.replaceWith(part);
  localTimes(form);
  shape();
}

// What follows from the choices made: the number to confirm, which fields count, how to confirm.
function shape() {
  const audience = new FormData(form).get("audience");
  for (const chip of form.querySelectorAll("input[name=topic]")) chip.closest(".chips").hidden = audience !== "topics";
  const correcting = new FormData(form).get("mode") === "correct";
  form.querySelector("[data-audience-choice]").hidden = correcting;
  form.querySelector("[data-number]").textContent = number.format(devices());
  form.querySelector("[data-typed]").hidden = !loud();
  form.querySelector("[data-send-words]").textContent = loud() ? "Hold to send" : form.send_at.value ? "Schedule" : "Send Push";
  const words = `${form.title.value}${form.body.value}`;
  form.querySelector("[data-meter]").textContent = `${[...form.title.value].length} + ${[...form.body.value].length} characters, ${encoder.encode(words).length} bytes`;
}

function devices() {
  return Number(form.querySelector("[data-devices]")?.dataset.devices ?? 0);
}

function loud() {
  const fields = new FormData(form);
  if (fields.get("dry_run")) return false;
  return fields.get("urgency") === "breaking" || (fields.get("mode") !== "correct" && fields.get("audience") === "everyone") || devices() >= LOUD_FROM;
}

// A test to the editor's own devices: sent from here, and told of here until it has settled.
let sending = false;
let tests = 0;

async function test(event) {
  event.preventDefault();
  if (sending) return;
  sending = true;
  const mine = ++tests;
  const fields = { method: "POST", headers: { "X-CSRF-Token": csrf() }, body: new URLSearchParams(new FormData(form)) };
  let told = await tell(event.currentTarget.formAction, fields);
  sending = false;
  for (let looks = 0; told?.dataset.live && looks < MOST_LOOKS; looks++) {
    await new Promise((resume) => setTimeout(resume, LOOK_MS));
    if (mine !== tests) return;
    told = await tell(told.dataset.live);
  }
}

async function tell(address, options) {
  const answer = await fetch(address, options).catch(() => null);
  if (answer?.redirected) return window.location.reload();
  const fresh = new DOMParser().parseFromString((await answer?.text()) ?? "", "text/html");
  const part = fresh.querySelector("[data-part=test]");
  if (!part) return say("The connection is lost: look again in a moment.");
  localTimes(part);
  const shown = form.querySelector("[data-part=test]");
  if (shown.innerHTML !== part.innerHTML) shown.replaceWith(part);
  return part;
}

let held = false;

function typedRight() {
  return form.querySelector("#typed").value.replaceAll(/\D/g, "") === String(devices());
}

function send(event) {
  if (!loud() || held || typedRight()) {
    const button = form.querySelector("[data-send]");
    setTimeout(() => { button.disabled = true; });
    return;
  }
  event.preventDefault();
  form.querySelector("#typed").focus();
  form.querySelector("[data-send-words]").textContent = "Hold the button, or type the number";
}

function prepareHold(button) {
  let waiting = 0;
  const begin = (event) => {
    if (!loud() || waiting || (event.type === "keydown" && !["Enter", " "].includes(event.key))) return;
    button.classList.add("holding");
    waiting = setTimeout(() => { held = true; form.requestSubmit(button); }, HOLD_MS);
  };
  const end = () => {
    clearTimeout(waiting);
    waiting = 0;
    button.classList.remove("holding");
    setTimeout(() => { held = false; });
  };
  for (const name of ["pointerdown", "keydown"]) button.addEventListener(name, begin);
  for (const name of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) button.addEventListener(name, end);
}
