// An alert's page while pushes leave: totals from the event stream, drawn into what the server sent.
import { enhanceForms } from "./forms.js";
import { localTimes, milliseconds, span } from "./times.js";

const PARTS = ["accepted", "gone", "buried", "expired", "cancelled", "retrying"];
const STATES = {
  scheduled: ["Scheduled", "wait"], planning: ["Starting", "loud"], sending: ["Sending", "loud"],
  finished: ["Finished", "good"], stopped: ["Stopped", "bad"], expired: ["Expired", "bad"],
};
const FINAL = new Set(["finished", "stopped", "expired"]);
const number = new Intl.NumberFormat("en");

localTimes(document);
enhanceForms(document);
const holder = document.querySelector("[data-live]");
if (holder) watch(holder.dataset.live);

function watch(url) {
  const asOf = document.querySelector("[data-as-of]");
  let at = Date.now();
  let past = [];
  const source = new EventSource(url);
  source.addEventListener("totals", (event) => {
    at = Date.now();
    const report = JSON.parse(event.data);
    past = [...past, [at, report.totals.accepted]].filter(([when]) => at - when <= 5000);
    draw(report, past);
    if (!FINAL.has(report.state) || report.totals.pending || report.totals.retrying) return;
    source.close();
    clearInterval(clock);
    asOf.textContent = "";
    settle(report);
  });
  const clock = setInterval(() => {
    const seconds = (Date.now() - at) / 1000;
    const lost = seconds > 4;
    asOf.textContent = lost ? `Connection lost. As of ${span(seconds)} ago` : "Live";
    asOf.classList.toggle("lost", lost);
  }, 1000);
}

function draw(report, past) {
  const { totals } = report;
  for (const shown of document.querySelectorAll("[data-total]")) shown.textContent = number.format(totals[shown.dataset.total]);
  for (const shown of document.querySelectorAll("[data-timing]")) shown.textContent = milliseconds(report.timing[shown.dataset.timing]);
  for (const shown of document.querySelectorAll("[data-receipt]")) shown.textContent = number.format(report.receipts[shown.dataset.receipt]);
  bar(totals);
  const [words, kind] = STATES[report.state] ?? [report.state, ""];
  const state = document.querySelector("[data-state]");
  if (state.textContent !== words) state.textContent = words;
  state.className = `tag ${kind}`;
  rate(past, report);
  providers(report.by_provider);
  for (const form of document.querySelectorAll('[data-when="running"]')) form.hidden = FINAL.has(report.state);
}

function bar(totals) {
  const whole = totals.planned || 1;
  let x = 0;
  for (const name of PARTS) {
    const rect = document.querySelector(`[data-bar] [data-part="${name}"]`);
    const width = (1000 * totals[name]) / whole;
    rect.setAttribute("x", x.toFixed(2));
    rect.setAttribute("width", width.toFixed(2));
    x += width;
  }
  document.querySelector("[data-bar]").setAttribute("aria-label", `${number.format(totals.accepted)} of ${number.format(totals.planned)} accepted`);
  document.querySelector("[data-share]").textContent = share(totals.accepted, totals.planned);
  const progress = document.querySelector("[data-progress]");
  progress.max = whole;
  progress.value = totals.planned - totals.pending - totals.retrying;
}

function share(part, whole) {
  if (!whole) return "0 %";
  const percent = (100 * part) / whole;
  if (percent > 0 && percent < 1) return "< 1 %";
  return `${Math.round(part < whole ? Math.min(percent, 99) : percent)} %`;
}

// While it runs, the rate of the last seconds; at its end, the average from the first to the last.
function rate(past, report) {
  const shown = document.querySelector("[data-rate]");
  const { first_ms: first, last_ms: last } = report.timing;
  if (FINAL.has(report.state)) {
    shown.textContent = first === null ? "-" : number.format(Math.round(report.totals.accepted / Math.max((last - first) / 1000, 1)));
  } else if (past.length > 1) {
    const [[t0, n0], [t1, n1]] = [past[0], past[past.length - 1]];
    if (t1 - t0 > 400) shown.textContent = number.format(Math.max(0, Math.round(((n1 - n0) * 1000) / (t1 - t0))));
  }
}

function providers(byProvider) {
  const body = document.querySelector("[data-by-provider] tbody");
  for (const [name, t] of Object.entries(byProvider)) {
    const row = body.querySelector(`tr[data-provider="${CSS.escape(name)}"]`);
    if (!row) return refreshTable();
    const cells = [t.planned, t.accepted, t.pending + t.retrying, t.gone, t.buried, t.expired + t.cancelled];
    row.querySelectorAll("td").forEach((cell, n) => { cell.textContent = number.format(cells[n]); });
  }
}

// A provider that was not there when the page was made: its row comes from the server, too.
let asking = false;

async function refreshTable() {
  if (asking) return;
  asking = true;
  const answer = await fetch(window.location.href);
  if (answer.ok) {
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const body = fresh.querySelector("[data-by-provider] tbody");
    if (body) document.querySelector("[data-by-provider] tbody").replaceWith(body);
  }
  asking = false;
}

// Reasons and what can be done now are the server's to say: shown anew once it has ended.
function settle(report) {
  const { totals } = report;
  if (totals.buried || report.stop_reason) setTimeout(() => window.location.reload(), 800);
}
