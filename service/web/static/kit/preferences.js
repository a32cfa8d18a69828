// A ready list of topics with quiet hours, for the publisher's own page of settings.
import { build, openShadow } from "./elements.js";

const TEXTS = {
  on: "Alerts are on", off: "Alerts are off", turn_on: "Turn alerts on", turn_off: "Turn alerts off",
  topics: "Topics", quiet: "Quiet hours", from: "From", to: "To", clear: "No quiet hours",
  saved: "Saved.", failed: "That did not work. Try again.",
};

// Show the list in `element`, kept in step with `newszop`. Returns a promise that it stands.
export async function showPreferences(newszop, element, texts = {}) {
  const words = { ...TEXTS, ...texts };
  const root = openShadow(element);
  const status = build("p", { role: "status" });
  const run = async (work) => {
    try {
      await work();
      status.textContent = words.saved;
    } catch (error) {
      status.textContent = error.name === "Refused" ? error.message : words.failed;
    }
  };
  const [topics, me] = await Promise.all([newszop.topics(), newszop.me()]);
  root.append(buildSwitch(newszop, words, run), buildTopics(newszop, topics, words, run), buildQuietHours(newszop, me?.quiet_hours, words, run), status);
}

function buildSwitch(newszop, words, run) {
  const text = build("span");
  const button = build("button", { type: "button", onclick: () => run(() => (newszop.state.on ? newszop.unsubscribe() : newszop.subscribe())) });
  const show = ({ on, obstacle }) => {
    text.textContent = obstacle && !on ? obstacle.text : on ? words.on : words.off;
    button.textContent = on ? words.turn_off : words.turn_on;
    button.hidden = Boolean(obstacle) && !on;
  };
  show(newszop.state);
  newszop.on("change", show);
  return build("p", { class: "row" }, text, button);
}

function buildTopics(newszop, topics, words, run) {
  const boxes = topics.map(({ path, label, parent, followed }) => {
    const box = build("input", { type: "checkbox", value: path });
    box.checked = followed;
    box.addEventListener("change", () => run(() => (box.checked ? newszop.follow(path) : newszop.unfollow(path)).catch((error) => {
      box.checked = !box.checked;
      throw error;
    })));
    return build("label", { class: parent ? "below" : null }, box, label);
  });
  return build("fieldset", {}, build("legend", {}, words.topics), ...boxes);
}

function buildQuietHours(newszop, hours, words, run) {
  const from = build("input", { type: "time", value: hours?.from ?? "" });
  const to = build("input", { type: "time", value: hours?.to ?? "" });
  const save = () => from.value && to.value && run(() => newszop.quietHours({ from: from.value, to: to.value }));
  from.addEventListener("change", save);
  to.addEventListener("change", save);
  const clear = build("button", { type: "button", onclick: () => run(async () => {
    await newszop.quietHours(null);
    from.value = to.value = "";
  }) }, words.clear);
  return build("fieldset", {}, build("legend", {}, words.quiet), build("label", {}, words.from, from), build("label", {}, words.to, to), clear);
}
