// What forms do with a script: ask before an action, submit on change, show a sentence afterwards.
export function enhanceForms(root) {
  for (const form of root.querySelectorAll("form[data-confirm]")) {
    form.addEventListener("submit", (event) => {
      if (!window.confirm(form.dataset.confirm)) event.preventDefault();
    });
  }
  for (const form of root.querySelectorAll("form[data-autosubmit]")) {
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
