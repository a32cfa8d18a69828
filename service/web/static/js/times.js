// Times are sent in UTC and shown in the visitor's time zone.
const formatter = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

export function localTimes(root) {
  for (const time of root.querySelectorAll("time[data-local]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.valueOf())) continue;
    time.title = time.textContent;
    time.textContent = formatter.format(date);
    time.removeAttribute("data-local");
  }
}

// "on Sunday at 23:30, in 21 h 4 min,": when something happens, as part of a sentence.
export function whenWords(date) {
  const near = date - Date.now() < 6 * 86400 * 1000;
  const day = date.toLocaleDateString("en", near ? { weekday: "long" } : { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  const time = date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  const seconds = (date - Date.now()) / 1000;
  return seconds > 0 ? `on ${day} at ${time}, in ${span(seconds)},` : `on ${day} at ${time}`;
}

export function span(seconds) {
  const total = Math.max(0, Math.floor(seconds));
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min`;
  return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
}

export function milliseconds(ms) {
  if (ms === null || ms === undefined) return "-";
  if (ms < 1000) return `${ms} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : span(ms / 1000);
}

// The form sends UTC; the field shows and takes the writer's local time.
export function showLocalField(form, field) {
  const localField = field.cloneNode();
  const label = form.querySelector(`label[for="${field.id}"]`);
  label.textContent = label.textContent.replace("UTC", Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
  localField.value = localValue(field.value);
  localField.removeAttribute("name");
  localField.addEventListener("input", () => { field.value = localField.value && new Date(localField.value).toISOString().slice(0, 16); });
  field.type = "hidden";
  field.removeAttribute("id");
  field.before(localField);
}

export function localValue(utc) {
  if (!utc) return "";
  const date = new Date(`${utc}Z`);
  return new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}
