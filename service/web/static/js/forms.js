// What forms do with a script: ask before an action, submit on change, show a sentence afterwards.
const enhanced = new WeakSet();

function* findNew(root, selector) {
  for (const element of root.querySelectorAll(selector)) {
    if (enhanced.has(element)) continue;
    enhanced.add(element);
    yield element;
  }
}

export function enhanceForms(root) {
  for (const form of findNew(root, "form[data-confirm]")) {
    form.addEventListener("submit", (event) => {
      if (!event.submitter?.dataset.confirm && !window.confirm(form.dataset.confirm)) event.preventDefault();
    });
  }
  for (const button of findNew(root, "button[data-confirm]")) {
    button.addEventListener("click", (event) => {
      if (!window.confirm(button.dataset.confirm)) event.preventDefault();
    });
  }
  for (const form of findNew(root, "form[data-autosubmit]")) {
    form.querySelector("button")?.classList.add("unseen");
    form.addEventListener("change", () => form.requestSubmit());
  }
}

export function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}

let toast;

export function showToast(sentence) {
  if (!toast) {
    toast = document.createElement("p");
    toast.className = "toast";
    toast.setAttribute("role", "status");
    document.body.append(toast);
  }
  toast.textContent = sentence;
  toast.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { toast.hidden = true; }, 5000);
}
