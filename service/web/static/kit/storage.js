// What this browser remembers. Storage may be blocked or empty again at the next visit: then what is
// remembered lasts as long as the page.
const memory = new Map();

export function recall(name) {
  try {
    const text = localStorage.getItem(`newszop.${name}`);
    return text === null ? memory.get(name) ?? null : parse(text);
  } catch (error) {
    return memory.get(name) ?? null;
  }
}

// Our first pages kept plain words.
function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    return text;
  }
}

export function remember(name, value) {
  memory.set(name, value);
  try {
    localStorage.setItem(`newszop.${name}`, JSON.stringify(value));
  } catch (error) { /* kept in memory */ }
}

export function forget(name) {
  memory.delete(name);
  try {
    localStorage.removeItem(`newszop.${name}`);
  } catch (error) { /* there is nothing to remove */ }
}

// The worker cannot read localStorage: what it needs stands in IndexedDB. `newszop-sw.js` reads it.
export function tellWorker(values) {
  return new Promise((resolve) => {
    try {
      const opening = indexedDB.open("newszop", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("settings");
      opening.onerror = () => resolve(false);
      opening.onsuccess = () => {
        const writing = opening.result.transaction("settings", "readwrite");
        writing.objectStore("settings").put(values, "settings");
        writing.oncomplete = () => resolve(true);
        writing.onerror = writing.onabort = () => resolve(false);
      };
    } catch (error) {
      resolve(false);
    }
  });
}
