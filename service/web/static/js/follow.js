// Follow buttons: without a script they are forms; with one they show whether the reader follows, and toggle it.
import { Refused, fetchState, isReader, sendForm } from "./browser.js";
import { showToast } from "./forms.js";
import { say } from "./words.js";

export function enhanceFollow(root) {
  const forms = [...root.querySelectorAll("form[data-follow]")];
  for (const form of forms) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      toggle(form);
    });
  }
  if (forms.length && isReader()) fetchState().then(({ follows }) => showFollows(follows));
}

export function showFollows(follows) {
  const topics = new Set(follows);
  for (const form of document.querySelectorAll("form[data-follow]")) showState(form, topics.has(form.dataset.follow));
}

function showState(form, following) {
  const button = form.querySelector("button");
  const label = following ? say("Following") : say("Follow");
  form.dataset.following = following ? "yes" : "";
  button.classList.toggle("following", following);
  button.setAttribute("aria-pressed", String(following));
  button.setAttribute("aria-label", `${label} ${form.dataset.label}`);
  form.querySelector("[data-follow-text]").textContent = label;
}

async function toggle(form) {
  const following = form.dataset.following === "yes";
  const topic = form.dataset.follow;
  showState(form, !following);
  try {
    await sendForm(following ? "/me/unfollow" : "/me/follow", { topic });
    for (const other of document.querySelectorAll("form[data-follow]")) if (other.dataset.follow === topic) showState(other, !following);
    const { label } = form.dataset;
    showToast(following ? say("You no longer follow {label}.", { label }) : say("You follow {label} now.", { label }));
  } catch (error) {
    showState(form, following);
    showToast(error instanceof Refused ? error.message : say("No connection. Try again."));
  }
}
