// Building what the kit shows: in a shadow root, so that a page's styles and ours never meet. A page
// changes the look by the custom properties named in STYLE.
const STYLE = `
  :host { all: initial; --accent: var(--newszop-accent, #9a1b1b); --text: var(--newszop-text, #1c1b19); --paper: var(--newszop-paper, #fff); }
  @media (prefers-color-scheme: dark) { :host { --accent: var(--newszop-accent, #f0a29b); --text: var(--newszop-text, #f3f0ea); --paper: var(--newszop-paper, #211f1c); } }
  * { box-sizing: border-box; font: var(--newszop-font, 16px/1.45 system-ui, sans-serif); color: var(--text); }
  h2 { margin: 0 0 .4em; font-size: 1.15em; font-weight: 650; }
  p { margin: 0 0 .8em; }
  button { cursor: pointer; min-height: 44px; padding: 0 1.1em; border-radius: 6px; border: 1px solid currentColor; background: none; }
  button.yes { background: var(--accent); border-color: var(--accent); color: var(--paper); font-weight: 650; }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
  .sheet { position: fixed; z-index: 2147483000; inset-inline: 0; inset-block-end: 0; margin: auto; max-inline-size: 30rem; padding: 1.2em; background: var(--paper); border-radius: 12px 12px 0 0; box-shadow: 0 0 30px #0005; }
  .row { display: flex; flex-wrap: wrap; gap: .6em; justify-content: flex-end; }
  fieldset { border: 0; margin: 0 0 1em; padding: 0; }
  legend { font-weight: 650; padding: 0; margin-bottom: .3em; }
  label { display: flex; gap: .6em; align-items: center; min-height: 44px; }
  input[type=checkbox] { inline-size: 22px; block-size: 22px; accent-color: var(--accent); }
  input[type=time] { background: var(--paper); border: 1px solid currentColor; border-radius: 6px; padding: .4em; min-height: 44px; color-scheme: light dark; }
  .below { padding-inline-start: 1.6em; }
`;

export function build(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

// A sheet of styles that was constructed needs no inline style, which a page's policy may forbid.
export function openShadow(host) {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  root.replaceChildren();
  return root;
}
