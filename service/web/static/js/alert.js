// The page of a running alert: draws the totals from the event stream into the page.
import { enhanceForms } from "./forms.js";
import { guardForm } from "./session.js";
import { localTimes, milliseconds, showLocalField, span } from "./times.js";

const PARTS = ["accepted", "gone", "buried", "expired", "cancelled", "retrying"];
const STATES = {
  scheduled: ["Scheduled", "wait"], planning: ["Starting", "loud"], sending: ["Sending", "loud"],
  finished: ["Finished", "good"], stopped: ["Stopped", "bad"], expired: ["Expired", "bad"],
};
const FINAL = new Set(["finished", "stopped", "expired"]);
const number = new Intl.NumberFormat("en");
let undoing = !document.querySelector('[data-when="undoing"]')?.hidden;
let refreshing = false;

localTimes(document);
enhanceForms(document);
const container = document.querySelector("[data-live]");
if (container) watch(container.dataset.live);
countDown(document.querySelector("[data-undo-left]"));
editSchedule(document.querySelector("[data-schedule]"));
showTrouble();
const refreshTimer = container && setInterval(() => refreshParts(), 5000);

function watch(url) {
  const asOf = document.querySelector("[data-as-of]");
  let updatedAt = Date.now();
  let samples = [];
  const source = new EventSource(url);
  source.addEventListener("totals", (event) => {
    updatedAt = Date.now();
    const report = JSON.parse(event.data);
    samples = [...samples, [updatedAt, report.totals.accepted]].filter(([time]) => updatedAt - time <= 5000);
    draw(report, samples);
    if (!FINAL.has(report.state) || report.totals.pending || report.totals.retrying) return;
    source.close();
    clearInterval(timer);
    clearInterval(refreshTimer);
    asOf.textContent = "";
    reloadIfNeeded(report);
  });
  const timer = setInterval(() => {
    const seconds = (Date.now() - updatedAt) / 1000;
    const disconnected = seconds > 4;
    asOf.textContent = disconnected ? `Connection lost. As of ${span(seconds)} ago` : "Live";
    asOf.classList.toggle("lost", disconnected);
  }, 1000);
}

function draw(report, samples) {
  const { totals } = report;
  for (const figure of document.querySelectorAll("[data-total]")) figure.textContent = number.format(totals[figure.dataset.total]);
  for (const figure of document.querySelectorAll("[data-timing]")) {
    const short = 100 * totals.accepted < totals.planned * Number(figure.dataset.percent ?? 0);
    figure.textContent = milliseconds(short ? null : report.timing[figure.dataset.timing]);
  }
  for (const figure of document.querySelectorAll("[data-receipt-share]")) figure.textContent = report.results_known || !totals.planned ? formatShare(report.receipts[figure.dataset.receiptShare], report.results_known) : "not known";
  for (const figure of document.querySelectorAll("[data-receipt]")) figure.textContent = number.format(report.receipts[figure.dataset.receipt]);
  drawBar(totals);
  const [label, tone] = describeState(report);
  const state = document.querySelector("[data-state]");
  if (state.textContent !== label) state.textContent = label;
  state.className = `tag ${tone}`;
  drawRate(samples, report);
  drawProviders(report.by_app);
  showButtons(report.state);
}

function showButtons(state) {
  if (state !== "scheduled") undoing = false;
  const visible = { running: !FINAL.has(state) && !undoing, undoing, "not undoing": !undoing };
  for (const part of document.querySelectorAll("[data-when]")) part.hidden = !visible[part.dataset.when];
}

// The seconds in which the alert can still be undone. The server decides; this only shows them.
function countDown(figure) {
  if (!figure || !undoing) return;
  const end = Date.now() + 1000 * Number(figure.dataset.undoLeft);
  const timer = setInterval(() => {
    const seconds = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    figure.textContent = seconds;
    if (!seconds) clearInterval(timer);
  }, 200);
}

function editSchedule(form) {
  if (!form) return;
  const field = form.querySelector("[data-utc]");
  if (field) showLocalField(form, field);
  guardForm(form);
}

function showTrouble() {
  const wrong = document.querySelector("[data-trouble]");
  document.title = `${wrong ? "⚠ " : ""}${document.title.replace(/^⚠ /, "")}`;
}

// As `report_state` of the server: who finished without reaching anybody is not well.
function describeState({ state, totals }) {
  if (state === "finished" && totals.planned && !totals.accepted) return ["Reached nobody", "bad"];
  if (state === "finished" && totals.expired + totals.cancelled) return ["Finished, not all reached", "wait"];
  return STATES[state] ?? [state, ""];
}

function drawBar(totals) {
  const planned = totals.planned || 1;
  let x = 0;
  for (const name of PARTS) {
    const rect = document.querySelector(`[data-bar] [data-part="${name}"]`);
    const width = (1000 * totals[name]) / planned;
    rect.setAttribute("x", x.toFixed(2));
    rect.setAttribute("width", width.toFixed(2));
    x += width;
  }
  document.querySelector("[data-bar]").setAttribute("aria-label", `${number.format(totals.accepted)} of ${number.format(totals.planned)} accepted`);
  document.querySelector("[data-share]").textContent = formatShare(totals.accepted, totals.planned);
  const progress = document.querySelector("[data-progress]");
  progress.max = planned;
  progress.value = totals.planned - totals.pending - totals.retrying;
}

function formatShare(part, total) {
  if (!total) return "0 %";
  const percent = (100 * part) / total;
  if (percent > 0 && percent < 1) return "< 1 %";
  return `${Math.round(part < total ? Math.min(percent, 99) : percent)} %`;
}

// While the alert runs, the rate of the last seconds; at its end, the average from the first push to the last.
function drawRate(samples, report) {
  const figure = document.querySelector("[data-rate]");
  const { first_ms: first, last_ms: last } = report.timing;
  if (FINAL.has(report.state)) {
    figure.textContent = first === null ? "-" : number.format(Math.round(report.totals.accepted / Math.max((last - first) / 1000, 1)));
  } else if (samples.length > 1) {
    const [[t0, n0], [t1, n1]] = [samples[0], samples[samples.length - 1]];
    if (t1 - t0 > 400) figure.textContent = number.format(Math.max(0, Math.round(((n1 - n0) * 1000) / (t1 - t0))));
  }
}

function drawProviders(byProvider) {
  const body = document.querySelector("[data-by-provider] tbody");
  for (const [name, totals] of Object.entries(byProvider)) {
    const row = body.querySelector(`tr[data-provider="${CSS.escape(name)}"]`);
    if (!row) return refreshParts();
    const cells = [totals.planned, totals.accepted, totals.pending + totals.retrying, totals.gone, totals.buried, totals.expired + totals.cancelled];
    row.querySelectorAll("td").forEach((cell, n) => { cell.textContent = number.format(cells[n]); });
  }
}

// What the events do not carry comes from the server: rows of providers, and what is wrong with them.
// At the end it is asked for until it has come: nothing asks again after that.
async function refreshParts({ last = false } = {}) {
  if (last && (refreshing || document.hidden)) return void setTimeout(refreshParts, 1000, { last });
  if (refreshing || document.hidden) return;
  refreshing = true;
  const response = await fetch(window.location.href).catch(() => null);
  if (response?.ok) {
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of page.querySelectorAll("[data-part]")) {
      const current = document.querySelector(`[data-part="${part.dataset.part}"]`);
      if (current && current.innerHTML !== part.innerHTML) current.replaceWith(part);
    }
    showActions(page);
    localTimes(document);
    showTrouble();
  }
  refreshing = false;
  if (last && !response?.ok) setTimeout(refreshParts, 5000, { last });
}

// An alert that has left can be corrected and withdrawn. Only then: what is being typed there stays.
function showActions(page) {
  const [actions, current] = [document, page].map((root) => root.querySelector("[data-actions]"));
  if (current && actions?.dataset.actions !== current.dataset.actions) actions?.replaceWith(current);
}

// The server renders the reasons and the actions that are left: the page is loaded again at the end.
function reloadIfNeeded(report) {
  const { totals } = report;
  if (totals.buried || report.stop_reason || report.causes) setTimeout(() => window.location.reload(), 800);
  else refreshParts({ last: true });
}
