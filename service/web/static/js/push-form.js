// Send Push: updates audience and previews while the editor types, and guards the sending of loud alerts.
import { enhanceForms, showToast } from "./forms.js";
import { guardForm, send, signIn } from "./session.js";
import { localTimes, whenWords } from "./times.js";

const LOUD_DEVICES = 10000;
const HOLD_MS = 1200;
const POLL_MS = 700;
const MAX_POLLS = 120;
const CUTS = [[65, "Most screens cut the title after about 65 characters."], [50, "Narrow phones cut the title after about 50 characters."]];
const form = document.querySelector("[data-push-form]");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const number = new Intl.NumberFormat("en");
const encoder = new TextEncoder();
let whenBefore = "";

localTimes(document);
enhanceForms(document);
form.querySelector("[data-zone]").value = zone;
form.querySelector("#send_at-hint .hint").textContent = `If empty, now. In your time zone (${zone}).`;
form.addEventListener("input", scheduleRefresh);
form.addEventListener("change", scheduleRefresh);
form.addEventListener("submit", guardSending);
guardForm(form);
form.addEventListener("stay", () => { holdDone = false; });
form.addEventListener("submit", disableButton);
enableHolding(form.querySelector("[data-send]"));
form.querySelector("[data-test]").addEventListener("click", sendTest);
updateForm();

let timer = 0;
let refreshes = 0;

function scheduleRefresh() {
  updateForm();
  clearTimeout(timer);
  timer = setTimeout(refreshPreview, 300);
}

async function refreshPreview() {
  const turn = ++refreshes;
  const fields = new FormData(form);
  fields.delete("confirm");
  const response = await send(form.dataset.previewUrl, new URLSearchParams(fields)).catch(() => null);
  if (response?.status === 401 && (await signIn())) return refreshPreview();
  if (!response?.ok || turn !== refreshes) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of page.querySelectorAll("[data-part]")) form.querySelector(`[data-part="${part.dataset.part}"]`)?.replaceWith(part);
  localTimes(form);
  updateForm();
}

// Shows what follows from the choices: the number to confirm, the fields that count, how to confirm.
function updateForm() {
  const audience = new FormData(form).get("audience");
  for (const chip of form.querySelectorAll("input[name=topic]")) chip.closest(".chips").hidden = audience !== "topics";
  const correcting = new FormData(form).get("mode") === "correct";
  form.querySelector("[data-audience-choice]").hidden = correcting;
  form.querySelector("[data-headlines]").hidden = leavesAtOnce();
  chooseWhen();
  form.querySelector("[data-spread-choice]").hidden = leavesAtOnce() || isLocal();
  form.querySelector("[data-number]").textContent = number.format(countDevices());
  form.querySelector("[data-typed]").hidden = !isLoud();
  const correction = form.querySelector("[data-correct-story]");
  if (correction) correction.hidden = !correcting;
  showTime();
  showCuts();
  form.querySelector("[data-send-label]").textContent = isLoud() ? "Hold to send" : form.send_at.value || isLocal() ? "Schedule" : "Send Push";
  const text = `${form.title.value}${form.body.value}`;
  form.querySelector("[data-meter]").textContent = `${[...form.title.value].length} + ${[...form.body.value].length} characters, ${encoder.encode(text).length} bytes`;
}

// When it leaves, in words; a time that has passed is refused here, and by the server.
function showTime() {
  const date = form.send_at.value ? new Date(form.send_at.value) : null;
  const past = date && date <= new Date();
  form.send_at.setCustomValidity(past ? "This time has passed. Choose a later one, or empty the field to send now." : "");
  const localWords = form.querySelector("[data-local-words]").dataset.localWords;
  form.querySelector("[data-when-words]").textContent = isLocal() ? localWords || `at ${form.local_time.value} where each reader is` : addSpread(date ? whenWords(date) : "now");
  const seconds = Number(form.dataset.undoSeconds);
  const note = form.querySelector("[data-undo-note]");
  const breaking = new FormData(form).get("urgency") === "breaking";
  if (!note.textContent.startsWith("Breaking: a second")) note.textContent = isLocal() && form.local_day.value ? "You can move or stop it until its day begins, in the first zone of the world." : date ? "You can move, edit or stop it until then." : breaking ? "Leaves at once. Afterwards you can only stop it." : seconds ? `You can undo it for ${seconds} seconds.` : "";
}

// "At a time" has a moment and "now" has none: whoever types one has chosen the other.
function chooseWhen() {
  const local = form.querySelector("input[name=when][value=local]");
  local.closest(".choice").hidden = leavesAtOnce();
  const chosen = form.querySelector("input[name=when]:checked");
  if (local.checked && leavesAtOnce()) form.querySelector("input[name=when][value=now]").checked = true;
  if (chosen.value !== "at" && form.send_at.value && whenBefore === "at") form.send_at.value = "";
  whenBefore = form.querySelector("input[name=when]:checked").value;
  for (const part of form.querySelectorAll("[data-of-when]")) part.hidden = part.dataset.ofWhen !== whenBefore;
  form.local_time.required = isLocal();
}

function isLocal() {
  return new FormData(form).get("when") === "local";
}

function leavesAtOnce() {
  const fields = new FormData(form);
  return fields.get("urgency") === "breaking" || fields.get("mode") === "correct";
}

function addSpread(words) {
  const choice = form.querySelector("input[name=spread]:checked");
  return leavesAtOnce() || !Number(choice?.value) ? words : `${words.replace(/,$/, "")}, ${choice.dataset.label.toLowerCase()},`;
}

function showCuts() {
  const length = [...form.title.value].length;
  const [, sentence] = CUTS.find(([most]) => length > most) ?? [0, ""];
  const place = form.querySelector("[data-cuts]");
  if (place.textContent !== sentence) place.textContent = sentence;
  place.classList.toggle("over", Boolean(sentence));
}

function countDevices() {
  return Number(form.querySelector("[data-devices]")?.dataset.devices ?? 0);
}

function isLoud() {
  const fields = new FormData(form);
  if (fields.get("dry_run")) return false;
  return fields.get("urgency") === "breaking" || (fields.get("mode") !== "correct" && fields.get("audience") === "everyone") || countDevices() >= LOUD_DEVICES;
}

// A test to the editor's own devices: its state is polled until it is final.
let sending = false;
let tests = 0;

async function sendTest(event) {
  event.preventDefault();
  if (sending) return;
  sending = true;
  const turn = ++tests;
  let result = await showResult(event.currentTarget.formAction, new URLSearchParams(new FormData(form)));
  sending = false;
  for (let polls = 0; result?.dataset.live && polls < MAX_POLLS; polls++) {
    await new Promise((resume) => setTimeout(resume, POLL_MS));
    if (turn !== tests) return;
    result = await showResult(result.dataset.live);
  }
}

async function showResult(address, fields) {
  const response = await (fields ? send(address, fields) : fetch(address)).catch(() => null);
  if (response?.status === 401) return (await signIn()) ? showResult(address, fields) : null;
  const page = new DOMParser().parseFromString((await response?.text()) ?? "", "text/html");
  const part = page.querySelector("[data-part=test]");
  if (!part) return showToast("The connection is lost. Try again in a moment.");
  localTimes(part);
  const current = form.querySelector("[data-part=test]");
  if (current.innerHTML !== part.innerHTML) current.replaceWith(part);
  return part;
}

let buttonHeld = false;
let holdDone = false;

function disableButton(event) {
  if (!event.defaultPrevented) setTimeout(() => { form.querySelector("[data-send]").disabled = true; });
}

function isNumberTyped() {
  return form.querySelector("#typed").value.replaceAll(/\D/g, "") === String(countDevices());
}

function guardSending(event) {
  if (event.submitter?.matches("[data-test]")) return;
  if (!isLoud() || buttonHeld || holdDone || isNumberTyped()) {
    holdDone = true; // the form is submitted again once the session is checked
    return;
  }
  event.preventDefault();
  form.querySelector("#typed").focus();
  form.querySelector("[data-send-label]").textContent = "Hold the button, or type the number";
}

function enableHolding(button) {
  let timeout = 0;
  const begin = (event) => {
    if (!isLoud() || timeout || (event.type === "keydown" && !["Enter", " "].includes(event.key))) return;
    button.classList.add("holding");
    timeout = setTimeout(() => { buttonHeld = true; form.requestSubmit(button); }, HOLD_MS);
  };
  const end = () => {
    clearTimeout(timeout);
    timeout = 0;
    button.classList.remove("holding");
    setTimeout(() => { buttonHeld = false; });
  };
  for (const name of ["pointerdown", "keydown"]) button.addEventListener(name, begin);
  for (const name of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) button.addEventListener(name, end);
}
