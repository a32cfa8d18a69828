// Writes what `pasted-text.js` has read: blocks of runs, as the HTML that stories have.
const FRENCH_SPACE = /(?<=[«‹])\u00a0|\u00a0(?=[»›!?:;%€])/g;

export function writeBlocks(blocks, isInline) {
  const root = document.createElement("div");
  if (isInline) writeRuns(root, blocks[0].runs);
  else new Writer(root).write(blocks);
  return root.innerHTML;
}

class Writer {
  constructor(root) {
    this.root = root;
  }

  write(blocks) {
    let quote = null;
    for (const block of blocks) {
      if (Boolean(quote) !== Boolean(block.quote)) {
        quote = block.quote ? append(this.root, "blockquote") : null;
        this.lists = [];
      }
      const parent = quote ?? this.root;
      if (block.tag === "li") this.writeItem(parent, block);
      else {
        this.lists = [];
        this.writeBlock(parent, block);
      }
    }
  }

  writeBlock(parent, block) {
    if (block.tag === "table") return writeTable(parent, block.rows);
    const element = append(parent, block.tag);
    if (block.tag === "pre") element.textContent = block.runs[0].text;
    else writeRuns(element, block.runs, /^h/.test(block.tag));
    return null;
  }

  // Items carry their depth; the lists around them are opened and closed as it changes.
  writeItem(parent, block) {
    this.lists = (this.lists ?? []).slice(0, block.level);
    if (block.more && this.lists.length) return this.continueItem(block);
    const current = this.lists.at(-1);
    if (current && this.lists.length === block.level && (current.tagName === "OL") !== block.ordered) this.lists.pop();
    while (this.lists.length < block.level) {
      const above = this.lists.at(-1);
      const home = above ? above.lastElementChild ?? append(above, "li") : parent;
      this.lists.push(append(home, block.ordered ? "ol" : "ul"));
    }
    return writeRuns(append(this.lists.at(-1), "li"), block.runs);
  }

  continueItem(block) {
    const item = this.lists.at(-1).lastElementChild ?? append(this.lists.at(-1), "li");
    append(item, "br");
    writeRuns(item, block.runs);
  }
}

function writeTable(parent, rows) {
  const body = append(append(parent, "table"), "tbody");
  for (const row of rows) {
    const line = append(body, "tr");
    for (const cell of row) {
      const element = append(line, cell.isHead ? "th" : "td");
      if (cell.colspan > 1) element.colSpan = cell.colspan;
      if (cell.rowspan > 1) element.rowSpan = cell.rowspan;
      cell.blocks.forEach((block, n) => {
        if (n) append(element, "br");
        writeRuns(element, block.runs);
      });
    }
  }
}

function append(parent, tag) {
  return parent.appendChild(document.createElement(tag));
}

// Neighbours with the same marks are one element; a heading is not bold twice.
function writeRuns(parent, runs, isHeading = false) {
  const pieces = joinRuns(trimRuns(runs));
  for (const piece of pieces) {
    if (piece.br) append(parent, "br");
    else if (piece.picture !== undefined) writePicture(parent, piece);
    else writeText(parent, isHeading ? { ...piece, strong: false } : piece);
  }
}

function writePicture(parent, piece) {
  const image = append(parent, "img");
  if (typeof piece.picture === "string") image.setAttribute("src", piece.picture);
  else image.dataset.pasted = piece.picture;
  image.alt = piece.alt;
}

function writeText(parent, piece) {
  let home = parent;
  const isSpace = !piece.text.trim();
  if (piece.href && !isSpace) {
    home = append(home, "a");
    home.setAttribute("href", piece.href);
  }
  for (const tag of isSpace ? [] : [piece.strong && "strong", piece.em && "em", piece.shift]) if (tag) home = append(home, tag);
  home.append(piece.text);
}

const isSame = (one, other) => ["strong", "em", "href", "shift"].every((mark) => one[mark] === other[mark]);

function joinRuns(runs) {
  const pieces = [];
  for (const run of runs) {
    const last = pieces.at(-1);
    if (last?.text !== undefined && run.text !== undefined && (isSame(last, run) || !run.text.trim())) last.text += run.text;
    else pieces.push({ ...run });
  }
  return pieces;
}

// Spaces are single, and none stands at an end; a space that holds French punctuation is kept.
function trimRuns(runs) {
  const pieces = [];
  let isAfterSpace = true;
  for (const run of runs) {
    if (run.text === undefined) {
      trimEnd(pieces);
      pieces.push(run);
      isAfterSpace = true;
      continue;
    }
    let text = run.text.replace(FRENCH_SPACE, "\u202f").replace(/[ \u00a0]+/g, " ").replaceAll("\u202f", "\u00a0");
    if (isAfterSpace) text = text.replace(/^ /, "");
    if (!text) continue;
    isAfterSpace = text.endsWith(" ");
    pieces.push({ ...run, text });
  }
  trimEnd(pieces);
  while (pieces.length && (pieces.at(-1).br || pieces.at(-1).text === "")) pieces.pop();
  while (pieces[0]?.br) pieces.shift();
  return pieces;
}

function trimEnd(pieces) {
  const last = pieces.at(-1);
  if (last?.text) last.text = last.text.replace(/ $/, "");
}
