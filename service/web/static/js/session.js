// The newsroom's session, from within a page: a session that has ended is renewed in a dialog, and the page stays as it is.
import { csrfToken, showToast } from "./forms.js";

const JSON_ONLY = { Accept: "application/json" };

// Send a form's fields by script. A token that has changed is renewed once; 401 is the caller's to handle.
export async function send(address, fields, options = {}) {
  const attempt = () => fetch(address, { method: "POST", headers: { "X-CSRF-Token": csrfToken() }, body: withToken(fields), ...options });
  const response = await attempt();
  if (response.status !== 403 || (await checkSession()) !== "signed in") return response;
  return attempt();
}

function withToken(fields) {
  const body = new URLSearchParams(fields);
  body.set("csrf", csrfToken());
  return body;
}

// "signed in", "signed out" or "no connection"; this page's forms get the session's token.
export async function checkSession() {
  const response = await fetch("/login/session", { headers: JSON_ONLY }).catch(() => null);
  if (!response) return "no connection";
  if (response.status === 401) return "signed out";
  if (!response.ok) return "no connection";
  takeToken((await response.json()).csrf);
  return "signed in";
}

function takeToken(csrf) {
  const meta = document.querySelector('meta[name="csrf-token"]');
  if (meta) meta.content = csrf;
  for (const field of document.querySelectorAll('input[name="csrf"]')) field.value = csrf;
}

// Before a form leaves the page, be sure that the server will take it; resolves to whether it will.
export async function ensureSession() {
  const state = await checkSession();
  if (state === "signed out") return signIn();
  if (state === "no connection") showToast("No connection: nothing was sent, and your text is kept here. Try again in a moment.");
  return state === "signed in";
}

// The form leaves only with a session, or stays and says so by the event "stay". `prepare` comes first; the form stays if it resolves to false.
export function guardForm(form, prepare = async () => {}) {
  let checked = false;
  form.addEventListener("submit", async (event) => {
    if (event.defaultPrevented || checked) return null;
    event.preventDefault();
    const { submitter } = event;
    if ((await prepare(submitter)) === false) return null;
    if (!(await ensureSession())) return form.dispatchEvent(new CustomEvent("stay"));
    checked = true;
    form.requestSubmit(submitter);
    return setTimeout(() => { checked = false; }, 2000);
  });
}

let dialogResult = null;

// Sign in within a dialog; resolves to whether somebody is signed in. One dialog at a time.
export function signIn() {
  dialogResult ??= openDialog().finally(() => { dialogResult = null; });
  return dialogResult;
}

function openDialog() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "sign-in-title");
  dialog.innerHTML = `<form class="dialog-inner" method="dialog">
    <h2 id="sign-in-title">You are signed out</h2>
    <p>Your text is safe in this page. Sign in to go on.</p>
    <p class="fault" role="alert" data-fault></p>
    <div data-step="password">
      <div class="field"><label for="sign-in-email">E-mail</label><input id="sign-in-email" name="email" type="email" required autocomplete="username"></div>
      <div class="field"><label for="sign-in-password">Password</label><input id="sign-in-password" name="password" type="password" required autocomplete="current-password"></div>
    </div>
    <div data-step="code" hidden><div class="field"><label for="sign-in-code">One-time code</label><input id="sign-in-code" name="code" inputmode="numeric" maxlength="7" autocomplete="one-time-code"></div></div>
    <div class="dialog-foot"><button type="button" class="button quiet" data-later>Later</button><button class="button strong">Sign in</button></div>
  </form>`;
  const email = document.querySelector(".staffbar a.clip")?.textContent ?? "";
  dialog.querySelector("#sign-in-email").value = email;
  document.body.append(dialog);
  dialog.showModal();
  if (email) dialog.querySelector("#sign-in-password").focus();
  return new Promise((resolve) => {
    let signedIn = false;
    dialog.querySelector("[data-later]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => { dialog.remove(); resolve(signedIn); });
    dialog.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      signedIn = await takeStep(dialog);
      if (signedIn) dialog.close();
    });
  });
}

async function takeStep(dialog) {
  const form = dialog.querySelector("form");
  const { ticket } = form.dataset;
  const fields = ticket ? { ticket, code: form.code.value } : { email: form.email.value, password: form.password.value };
  const response = await fetch(ticket ? "/login/code" : "/login", { method: "POST", headers: JSON_ONLY, body: new URLSearchParams(fields) }).catch(() => null);
  const answer = response ? await response.json().catch(() => ({})) : { detail: "No connection. Try again." };
  if (response?.ok && answer.csrf) {
    takeToken(answer.csrf);
    const name = document.querySelector(".staffbar a.clip");
    if (name) name.textContent = answer.email;
    return true;
  }
  if (answer.ticket) showCodeStep(form, answer.ticket);
  else if (ticket) delete form.dataset.ticket;
  form.querySelector("[data-fault]").textContent = answer.fault ?? answer.detail ?? "That did not work. Try again.";
  return false;
}

function showCodeStep(form, ticket) {
  form.dataset.ticket = ticket;
  for (const step of form.querySelectorAll("[data-step]")) step.hidden = step.dataset.step !== "code";
  for (const field of form.querySelectorAll("[data-step=password] input")) field.required = false;
  form.code.focus();
}
