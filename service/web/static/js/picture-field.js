// The story's picture: chosen, dropped on the page or pasted, uploaded at once, and shown.
import { csrfToken } from "./forms.js";
import { checkSession, signIn } from "./session.js";

const MOST_BYTES = 20 * 1024 * 1024;
const SHRINK_ABOVE = 3 * 1024 * 1024;
const LONGEST_SIDE = 3200;

export function enablePictureField(form) {
  const field = new PictureField(form);
  field.show();
  return field;
}

class PictureField {
  constructor(form) {
    this.form = form;
    this.root = form.querySelector("[data-picture-field]");
    this.root.querySelector("[data-picture-upload]").hidden = false;
    const file = this.part("file");
    this.part("choose").addEventListener("click", () => file.click());
    this.part("remove").addEventListener("click", () => this.remove());
    file.addEventListener("change", () => { this.running = this.take(file.files[0]); });
    form.image_url.addEventListener("change", () => this.show());
    document.addEventListener("paste", (event) => this.takeFrom(event, event.clipboardData), true);
    document.addEventListener("dragover", (event) => this.welcome(event));
    document.addEventListener("dragleave", () => this.root.classList.remove("over"));
    document.addEventListener("drop", (event) => this.takeFrom(event, event.dataTransfer), true);
  }

  part(name) {
    return this.root.querySelector(`[data-picture-${name}]`);
  }

  welcome(event) {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    this.root.classList.add("over");
  }

  // A clipboard that has words too is text, with a picture of it.
  takeFrom(event, data) {
    this.root.classList.remove("over");
    const file = [...(data?.files ?? [])].find((one) => one.type.startsWith("image/")) ?? (event.type === "drop" ? data?.files[0] : null);
    if (!file || (event.type === "paste" && data.getData("text/plain").trim())) return;
    event.preventDefault();
    event.stopPropagation();
    this.running = this.take(file);
  }

  async take(file) {
    if (!file) return;
    this.say("Uploading ...");
    this.part("file").value = "";
    try {
      const picture = await upload(await shrink(file));
      this.form.image_url.value = picture.path;
      this.form.image_alt.value = "";
      this.changed();
      this.say("Uploaded. Now say what it shows.");
      this.form.image_alt.focus();
    } catch (error) {
      this.say(error.message, true);
    }
  }

  remove() {
    this.form.image_url.value = "";
    this.form.image_alt.value = "";
    this.changed();
    this.say("The story has no picture now.");
    this.part("choose").focus();
  }

  changed() {
    this.show();
    this.form.image_url.dispatchEvent(new Event("input", { bubbles: true }));
  }

  show() {
    const address = this.form.image_url.value.trim();
    const shown = this.part("shown");
    shown.hidden = !address;
    if (address) shown.src = address;
    else shown.removeAttribute("src");
    this.part("remove").hidden = !address;
    this.part("choose").textContent = address ? "Another picture" : "Add a picture";
    this.part("address").open = Boolean(address && !address.startsWith("/media/")) || this.root.querySelector("#image_url[aria-invalid]") !== null;
  }

  say(sentence, isFault = false) {
    this.part("status").textContent = sentence;
    this.part("status").classList.toggle("fault", isFault);
  }

  // A form waits for its picture. One that nobody has described is asked about: some readers get the description only.
  async agree(submitter) {
    await this.running;
    const silent = submitter?.value === "draft" || !this.form.image_url.value.trim() || this.form.image_alt.value.trim();
    if (silent || window.confirm("Nobody has said what the picture shows, for readers who do not see it. Save it all the same?")) return true;
    this.form.image_alt.focus();
    return false;
  }
}

export async function upload(file) {
  if (file.size > MOST_BYTES) throw new Error("The picture is larger than 20 MB. Make it smaller and try again.");
  const headers = () => ({ "X-CSRF-Token": csrfToken(), "Content-Type": file.type || "application/octet-stream", Accept: "application/json" });
  const attempt = () => fetch("/desk/pictures", { method: "POST", headers: headers(), body: file }).catch(() => null);
  let response = await attempt();
  const isRenewed = response?.status === 401 ? await signIn() : response?.status === 403 && (await checkSession()) === "signed in";
  if (isRenewed) response = await attempt();
  if (!response) throw new Error("No connection: the picture was not uploaded. Try again in a moment.");
  if (response.ok) return response.json();
  const answer = await response.json().catch(() => ({}));
  throw new Error(answer.detail ?? "The picture was not uploaded. Try again.");
}

// A large photograph is made smaller before it travels; what the browser cannot read travels as it is.
async function shrink(file) {
  if (file.type !== "image/jpeg" || file.size < SHRINK_ABOVE) return file;
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  if (!bitmap) return file;
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const smaller = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.92); });
  return smaller && smaller.size < file.size ? smaller : file;
}
