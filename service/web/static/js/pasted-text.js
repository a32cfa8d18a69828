// Pasted HTML, as Word, Google Docs, LibreOffice, Pages and web pages write it, becomes plain paragraphs, headings, lists,
// quotes, tables and links. It is read as runs of text with marks and written again: nothing else of it gets through.
import { writeBlocks } from "./pasted-blocks.js";

const LEFT_OUT = "script, style, meta, link, title, head, template, noscript, iframe, object, embed, svg, math, canvas, video, audio, button, input, select, textarea, nav, del, [hidden], .msoDel, .MsoCommentReference, .MsoCommentText, [style*='mso-element:comment']";
const BLOCKS = new Set("ADDRESS ARTICLE ASIDE BLOCKQUOTE CENTER DD DETAILS DIV DL DT FIGCAPTION FIGURE FOOTER H1 H2 H3 H4 H5 H6 HEADER HR LI MAIN OL P PRE SECTION TABLE UL".split(" "));
const NO_MARKS = { strong: false, em: false, href: "", shift: "" };
const MOST_DEPTH = 200;
const REDIRECTS = [
  [/^(www\.)?google\.[a-z.]+$/, "/url", ["q", "url"]],
  [/\.safelinks\.protection\.outlook\.com$/, "/", ["url"]],
  [/^lm?\.facebook\.com$/, "/l.php", ["u"]],
];

// Returns { html, isInline, pictures, leftOut }: `pictures` are data: addresses, each with an <img data-pasted="n"> in the HTML;
// `leftOut` counts those that cannot be had.
export function cleanPasted(html) {
  const page = new DOMParser().parseFromString(html.replace(/<!\[(?:if|endif)[^\]]*\]>/gi, ""), "text/html");
  const reader = new Reader(page.querySelector("h1") !== null);
  reader.readChildren(page.body, NO_MARKS);
  reader.endBlock();
  const { blocks, pictures, leftOut } = reader;
  const isInline = blocks.length === 1 && blocks[0].tag === "p" && !reader.hasBlocks;
  return { html: writeBlocks(blocks, isInline), isInline, pictures, leftOut };
}

class Reader {
  constructor(hasFirstHeading) {
    this.headingStep = hasFirstHeading ? 1 : 0;
    this.blocks = [];
    this.pictures = [];
    this.leftOut = 0;
    this.hasBlocks = false;
    this.quotes = 0;
    this.lists = [];
    this.depth = 0;
    this.block = null;
  }

  // Text belongs to the block that is open; without one it begins a paragraph.
  openBlock(kind = {}) {
    this.endBlock();
    this.block = { tag: "p", runs: [], quote: this.quotes > 0, ...kind };
  }

  endBlock() {
    const { block } = this;
    this.block = null;
    if (block && (block.runs.some((run) => run.picture !== undefined || run.text?.trim()) || block.tag === "hr")) this.blocks.push(block);
  }

  readChildren(node, marks) {
    if (this.depth > MOST_DEPTH) return;
    this.depth += 1;
    for (const child of node.childNodes) {
      if (child.nodeType === Node.TEXT_NODE) this.addText(child.data, marks);
      else if (child.nodeType === Node.ELEMENT_NODE) this.readElement(child, marks);
    }
    this.depth -= 1;
  }

  addText(text, marks) {
    const line = text.replace(/[\t\n\r\f ]+/g, " ").replace(/[\u200b\ufeff]/g, "");
    if (!line || (!line.trim() && !this.block)) return;
    if (!this.block) this.openBlock(this.lists.length ? this.listItem() : {});
    this.block.runs.push({ text: line, ...marks });
  }

  readElement(element, marks) {
    if (element.matches(LEFT_OUT) || isInvisible(element)) return null;
    const name = element.tagName;
    if (name === "BR") return this.addBreak();
    if (name === "IMG") return isEmoji(element) ? this.addText(element.alt, marks) : this.addPicture(element);
    if (isListMarker(element)) return null;
    if (BLOCKS.has(name)) return this.readBlock(element, marks);
    return this.readChildren(element, marksOf(element, marks));
  }

  // One break stays in its paragraph; two begin another.
  addBreak() {
    if (!this.block) return;
    const last = this.block.runs.findLast((run) => run.br || run.text?.trim());
    if (!last?.br) this.block.runs.push({ br: true });
    else if (this.block.tag === "p") this.endBlock();
  }

  addPicture(image) {
    const source = image.getAttribute("src") ?? "";
    const isPixel = [image.getAttribute("width"), image.getAttribute("height")].some((size) => /^[01](px)?$/.test(size ?? ""));
    if (isPixel) return null;
    const own = ownPicture(source);
    if (own) return this.readWhole(image, NO_MARKS, { runs: [{ picture: own, alt: image.alt }] });
    if (!/^data:image\/(jpeg|png|webp|avif);base64,/i.test(source)) return this.leaveOut();
    this.pictures.push(source);
    return this.readWhole(image, NO_MARKS, { runs: [{ picture: this.pictures.length - 1, alt: image.alt }] });
  }

  leaveOut() {
    this.leftOut += 1;
  }

  readBlock(element, marks) {
    this.hasBlocks = true;
    const name = element.tagName;
    if (name === "TABLE") return this.readTable(element);
    if (name === "UL" || name === "OL") return this.readList(element, marks);
    if (name === "PRE") return this.readWhole(element, marks, { tag: "pre", runs: [{ text: element.textContent, ...NO_MARKS }] });
    if (name === "HR") return this.readWhole(element, marks, { tag: "hr" });
    const listLevel = wordListLevel(element);
    if (listLevel) return this.readWhole(element, marks, { tag: "li", level: listLevel, ordered: hasNumber(element) });
    const heading = headingLevel(element);
    if (heading) return this.readWhole(element, NO_MARKS, { tag: `h${Math.min(4, Math.max(2, heading + this.headingStep))}` });
    const isQuote = name === "BLOCKQUOTE" || /Mso(Intense)?Quote/.test(element.className);
    this.quotes += isQuote ? 1 : 0;
    if (this.isFirstInItem()) this.readChildren(element, marksOf(element, marks));
    else this.readWhole(element, marksOf(element, marks), this.lists.length ? this.listItem(true) : {});
    this.quotes -= isQuote ? 1 : 0;
    return null;
  }

  // A paragraph that begins a list item is the item.
  isFirstInItem() {
    return this.block?.tag === "li" && !this.block.runs.some((run) => run.text?.trim());
  }

  readWhole(element, marks, kind) {
    this.openBlock(kind);
    if (kind.tag === "hr" || kind.tag === "pre") this.endBlock();
    else this.readChildren(element, marks);
    this.endBlock();
  }

  readList(list, marks) {
    this.endBlock();
    this.lists.push(list.tagName === "OL");
    for (const child of list.childNodes) {
      if (child.nodeType !== Node.ELEMENT_NODE) continue;
      if (child.tagName === "LI") this.readWhole(child, marks, this.listItem());
      else this.readElement(child, marks);
    }
    this.lists.pop();
    this.endBlock();
  }

  // `more`: what follows the first paragraph of an item stays with it.
  listItem(more = false) {
    return { tag: "li", level: this.lists.length, ordered: this.lists.at(-1), more };
  }

  readTable(table) {
    this.endBlock();
    const rows = [...table.rows].map((row) => [...row.cells].map((cell) => this.readCell(cell)));
    if (rows.length === 1 && rows[0].length === 1) return this.readChildren(table.rows[0].cells[0], NO_MARKS);
    const hasWords = rows.flat().some((cell) => cell.blocks.length);
    if (hasWords) this.blocks.push({ tag: "table", rows, quote: this.quotes > 0 });
    return null;
  }

  readCell(cell) {
    const reader = new Reader(false);
    reader.readChildren(cell, NO_MARKS);
    reader.endBlock();
    this.leftOut += reader.leftOut + reader.pictures.length;
    const size = (name) => (cell[name] > 1 && cell[name] < 100 ? cell[name] : 1);
    const words = reader.blocks.filter((block) => block.tag !== "table" && !block.runs.some((run) => run.picture !== undefined));
    return { isHead: cell.tagName === "TH", blocks: words, colspan: size("colSpan"), rowspan: size("rowSpan") };
  }
}

const styleOf = (element) => (element.getAttribute("style") ?? "").toLowerCase().replace(/\s+/g, "");

const isInvisible = (element) => /(^|;)(display:none|visibility:hidden|mso-hide:all)/.test(styleOf(element));

// What Word puts before a list item: the bullet or the number, as text.
const isListMarker = (element) => /mso-list:ignore/.test(styleOf(element));

// A picture of this site, copied from one of its own stories.
function ownPicture(source) {
  const url = URL.parse?.(source, window.location.href);
  return url?.origin === window.location.origin && /^\/media\/[0-9a-f]{32}-[0-9]+\.jpg$/.test(url.pathname) ? url.pathname : "";
}

const isEmoji = (image) => image.alt.length <= 12 && /^\p{Extended_Pictographic}/u.test(image.alt);

function wordListLevel(element) {
  const [, level] = styleOf(element).match(/mso-list:(?!ignore)[^;]*level(\d)/) ?? [];
  return Number(level ?? 0);
}

function hasNumber(element) {
  const marker = [...element.querySelectorAll("[style]")].find(isListMarker)?.textContent.trim() ?? "";
  return /^\(?([0-9]+|[a-z]|[ivxlc]+)[.)]/i.test(marker);
}

function headingLevel(element) {
  const [, level] = element.tagName.match(/^H([1-6])$/) ?? [];
  if (level) return Number(level);
  if (/MsoTitle/.test(element.className)) return 1;
  return element.getAttribute("role") === "heading" ? Number(element.getAttribute("aria-level")) || 2 : 0;
}

// Google Docs wraps everything into <b style="font-weight:normal">: a style counts before the tag.
function marksOf(element, marks) {
  const style = styleOf(element);
  const name = element.tagName;
  const [, weight] = style.match(/(?:^|;)font-weight:(\w+)/) ?? [];
  const [, slope] = style.match(/(?:^|;)font-style:(\w+)/) ?? [];
  const [, shift] = style.match(/(?:^|;)vertical-align:(super|sub)/) ?? [];
  return {
    strong: weight ? weight === "bold" || weight === "bolder" || Number(weight) >= 600 : marks.strong || name === "B" || name === "STRONG",
    em: slope ? slope !== "normal" : marks.em || ["I", "EM", "CITE", "DFN"].includes(name),
    shift: { super: "sup", sub: "sub" }[shift] ?? { SUP: "sup", SUB: "sub" }[name] ?? marks.shift,
    href: name === "A" ? linkOf(element.getAttribute("href") ?? "") : marks.href,
  };
}

// Only links that lead somewhere; a redirect that counts clicks is replaced by where it leads.
export function linkOf(address) {
  let url;
  try { url = new URL(address); } catch (error) { return ""; }
  if (!["http:", "https:", "mailto:", "tel:"].includes(url.protocol)) return "";
  for (const [host, path, names] of REDIRECTS) {
    const target = host.test(url.hostname) && url.pathname === path && names.map((name) => url.searchParams.get(name)).find(Boolean);
    if (target && /^https?:/.test(target)) return linkOf(target);
  }
  return url.href;
}
