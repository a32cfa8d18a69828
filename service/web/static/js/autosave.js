// No typed text is lost: this browser keeps a copy at once, the server gets one every few seconds, and the copy goes when it has.
import { checkSession, guardForm, send, signIn } from "./session.js";

const AUTOSAVE_MS = 3000;
const COPY_MS = 300;
const GUARDS = ["csrf", "version", "over"];
const SUBMITTED = "newszop.submitted";

// `showFields` puts fields back into the form; `agree` asks the writer before the form leaves.
export function enableAutosave(form, showFields, agree) {
  const saver = new Autosave(form);
  saver.dropSavedCopy();
  saver.offerCopy(showFields);
  form.addEventListener("input", () => saver.noteChange());
  form.addEventListener("change", () => saver.noteChange());
  guardForm(form, async (submitter) => (await agree(submitter)) && saver.prepareToSubmit());
  form.addEventListener("submit", (event) => { if (!event.defaultPrevented) saver.leave(); });
  document.querySelector("[data-throw-away]").addEventListener("submit", () => saver.forget());
  document.addEventListener("visibilitychange", () => { if (document.hidden) saver.save(); });
  window.addEventListener("online", () => saver.save());
  window.addEventListener("beforeunload", (event) => {
    if (!saver.dirty || saver.leaving) return;
    saver.keepCopy();
    saver.save();
    event.preventDefault();
  });
}

class Autosave {
  constructor(form) {
    this.form = form;
    this.status = form.querySelector("[data-autosave-state]");
    this.key = `newszop.text ${new URL(form.action).pathname}`;
    this.dirty = false;
    this.leaving = false;
    this.running = Promise.resolve();
  }

  noteChange() {
    this.dirty = true;
    this.leaving = false;
    this.copyTimer ||= setTimeout(() => this.keepCopy(), COPY_MS);
    this.timer ||= setTimeout(() => this.save(), AUTOSAVE_MS);
  }

  content() {
    return Object.fromEntries(new FormData(this.form));
  }

  keepCopy() {
    clearTimeout(this.copyTimer);
    this.copyTimer = 0;
    try {
      localStorage.setItem(this.key, JSON.stringify({ fields: this.content(), at: Date.now() }));
    } catch (error) { /* private windows may have no storage: the server's copy remains */ }
  }

  forget() {
    this.dirty = false;
    this.leaving = true;
    clearTimeout(this.timer);
    clearTimeout(this.copyTimer);
    localStorage.removeItem(this.key);
  }

  save() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (this.dirty) this.running = this.running.then(() => this.saveNow());
    return this.running;
  }

  async saveNow() {
    if (!this.dirty || this.leaving) return;
    this.dirty = false;
    const fields = new URLSearchParams(this.content());
    const response = await send(this.form.dataset.autosave, fields, { keepalive: fields.toString().length < 60000 }).catch(() => null);
    if (response?.ok) return this.noteSaved((await response.json()).version);
    this.dirty = true;
    this.keepCopy();
    if (response?.status === 401) return this.askToSignIn();
    this.show("Not autosaved: no connection. Your text is kept in this browser.", true);
    this.timer ||= setTimeout(() => this.save(), AUTOSAVE_MS);
  }

  noteSaved(version) {
    if (!this.dirty) localStorage.removeItem(this.key);
    const time = new Date().toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    if (version > Number(this.form.version.value)) this.show(`Somebody saved version ${version} meanwhile. Your text is kept; when you save you see what differs.`, true);
    else this.show(`Autosaved at ${time}, not saved yet.`);
  }

  show(sentence, lost = false) {
    if (this.status.textContent !== sentence) this.status.textContent = sentence;
    this.status.classList.toggle("lost", lost);
  }

  // Once by itself; after "Later" the writer decides when.
  async askToSignIn() {
    this.show("You are signed out. Your text is kept in this browser, not on the server. ", true);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link-button";
    button.textContent = "Sign in";
    const enter = async () => { if (await signIn()) this.save(); };
    button.addEventListener("click", enter);
    this.status.append(button);
    if (this.asked) return;
    this.asked = true;
    await enter();
    this.asked = (await checkSession()) !== "signed in";
  }

  async prepareToSubmit() {
    this.keepCopy();
    clearTimeout(this.timer);
    this.timer = 0;
    await this.running;
    return true;
  }

  // The copy stays until a page says that the server has the text.
  leave() {
    this.leaving = true;
    sessionStorage.setItem(SUBMITTED, this.key);
  }

  dropSavedCopy() {
    const key = sessionStorage.getItem(SUBMITTED);
    const refused = document.querySelector("[data-fault], [data-conflict]");
    if (key && !refused && document.querySelector("[data-flash]")) localStorage.removeItem(key);
    sessionStorage.removeItem(SUBMITTED);
  }

  // Text that never reached the server is put back, and the writer may discard it.
  offerCopy(showFields) {
    const copy = readCopy(this.key);
    const current = this.content();
    const differs = copy && Object.keys(current).some((name) => !GUARDS.includes(name) && name in copy.fields && copy.fields[name] !== current[name]);
    if (!differs) return localStorage.removeItem(this.key);
    if (document.querySelector("[data-fault], [data-conflict]")) return null;
    const notice = document.createElement("p");
    notice.className = "notice wait";
    notice.setAttribute("role", "status");
    notice.textContent = `Text that had not reached the server is restored, from ${new Date(copy.at).toLocaleString()}. `;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link-button";
    button.textContent = "Discard it";
    button.addEventListener("click", () => { this.forget(); window.location.reload(); });
    notice.append(button);
    document.querySelector("[data-notices]").append(notice);
    showFields(copy.fields);
    return this.noteChange();
  }
}

function readCopy(key) {
  try { return JSON.parse(localStorage.getItem(key)); } catch (error) { return null; }
}
