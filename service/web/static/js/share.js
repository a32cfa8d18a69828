// The button Share: the device's own sheet, or else the address in the clipboard.
import { showToast } from "./forms.js";
import { say } from "./words.js";

export function enhanceShare(button) {
  if (!button || !(navigator.share || navigator.clipboard)) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const { share: url, title } = button.dataset;
    try {
      if (navigator.share) await navigator.share({ title, url });
      else {
        await navigator.clipboard.writeText(url);
        showToast(say("The address is copied."));
      }
    } catch (error) {
      if (error.name !== "AbortError") showToast(`Copy this address: ${url}`);
    }
  });
}
