// Pasting into a story's text: formatting that stories have stays, and pictures that came along are uploaded.
import { upload } from "./picture-field.js";
import { cleanPasted } from "./pasted-text.js";

const MOST_PICTURES = 20;
// Shown while the picture itself is on its way; the server leaves it out.
const EMPTY = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";

// `toHtml` makes paragraphs of plain text; `announce` tells the writer what became of pictures.
export function enablePaste(area, toHtml, announce) {
  area.addEventListener("paste", (event) => {
    event.preventDefault();
    const html = event.clipboardData.getData("text/html");
    if (html.trim()) pasteHtml(area, html, announce);
    else insert(area, toHtml(event.clipboardData.getData("text/plain")));
  });
}

async function pasteHtml(area, html, announce) {
  const pasted = cleanPasted(html);
  insert(area, pasted.html);
  const places = pasted.pictures.map((_, n) => area.querySelector(`img[data-pasted="${n}"]`));
  for (const place of places) if (place) setUp(place);
  let { leftOut } = pasted;
  if (places.length) announce("Uploading the pictures of the pasted text ...");
  for (const [n, place] of places.entries()) {
    if (!place || !(await uploadInto(place, n < MOST_PICTURES ? pasted.pictures[n] : ""))) leftOut += 1;
  }
  area.dispatchEvent(new Event("input", { bubbles: true }));
  if (leftOut) announce(`${leftOut === 1 ? "A picture" : `${leftOut} pictures`} of the pasted text could not be taken over: save it as a file and add it here.`);
  else if (places.length) announce("The pictures of the pasted text are uploaded.");
}

function setUp(place) {
  place.removeAttribute("data-pasted");
  place.src = EMPTY;
}

async function uploadInto(place, source) {
  try {
    const file = source && fileOf(source);
    const picture = file && (await upload(file));
    if (!picture) throw new Error("too many");
    place.setAttribute("src", picture.path);
    return true;
  } catch (error) {
    place.remove();
    return false;
  }
}

function fileOf(source) {
  const [head, content] = source.split(",", 2);
  const bytes = Uint8Array.from(atob(decodeURIComponent(content).replace(/\s+/g, "")), (char) => char.charCodeAt(0));
  return new Blob([bytes], { type: head.slice("data:".length).split(";")[0].toLowerCase() });
}

// Chromium writes the styles of the place into what it inserts: they go again, and the caret stays where it is.
function insert(area, html) {
  if (!html) return;
  document.execCommand("insertHTML", false, html);
  for (const element of area.querySelectorAll("[style]")) element.removeAttribute("style");
  const spans = area.querySelectorAll("span:not([lang], [dir], [title])");
  if (spans.length) unwrap(spans);
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

function unwrap(spans) {
  const caret = window.getSelection().getRangeAt(0);
  const mark = document.createElement("wbr");
  caret.collapse(false);
  caret.insertNode(mark);
  for (const span of spans) span.replaceWith(...span.childNodes);
  caret.setStartAfter(mark);
  mark.remove();
}
