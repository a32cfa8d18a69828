// Follow buttons: without a script they are forms; with one they say how things stand, and change it.
import { Refused, isReader, send, state } from "./browser.js";
import { say } from "./forms.js";

export function enhanceFollow(root) {
  const forms = [...root.querySelectorAll("form[data-follow]")];
  for (const form of forms) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      toggle(form);
    });
  }
  if (forms.length && isReader()) state().then(({ follows }) => showFollows(follows));
}

export function showFollows(follows) {
  const held = new Set(follows);
  for (const form of document.querySelectorAll("form[data-follow]")) show(form, held.has(form.dataset.follow));
}

function show(form, following) {
  const button = form.querySelector("button");
  const words = following ? "Following" : "Follow";
  form.dataset.following = following ? "yes" : "";
  button.classList.toggle("following", following);
  button.setAttribute("aria-pressed", String(following));
  button.setAttribute("aria-label", `${words} ${form.dataset.label}`);
  form.querySelector("[data-follow-text]").textContent = words;
}

async function toggle(form) {
  const following = form.dataset.following === "yes";
  const topic = form.dataset.follow;
  show(form, !following);
  try {
    await send(following ? "/me/unfollow" : "/me/follow", { topic });
    for (const other of document.querySelectorAll("form[data-follow]")) if (other.dataset.follow === topic) show(other, !following);
    say(following ? `You no longer follow ${form.dataset.label}.` : `You follow ${form.dataset.label} now.`);
  } catch (error) {
    show(form, following);
    say(error instanceof Refused ? error.message : "No connection. Try again.");
  }
}
