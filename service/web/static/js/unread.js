// On a page with stories in several languages: shows those that this reader reads, and says how many are not shown.
// It is loaded before the page is drawn, and only by such a page: nothing moves once it is visible. Where few stories are
// left, those of the next pages that this reader reads follow below.
(() => {
  const FEW = 12;
  const MOST_PAGES = 4;
  const read = (name) => {
    try {
      return JSON.parse(localStorage.getItem(`newszop.${name}`));
    } catch (error) {
      return null;
    }
  };
  const known = read("languages");
  const tags = Array.isArray(known) ? known : navigator.languages ?? [];
  const languages = [...new Set(tags.map((tag) => String(tag).split("-")[0].toLowerCase()))].filter((tag) => /^[a-z]{2,8}$/.test(tag));
  if (!languages.length || read("unread") === "shown") return;
  const style = new CSSStyleSheet();
  const others = languages.map((tag) => `:not([data-story-language="${tag}"])`).join("");
  style.replaceSync(`[data-story-language]${others} { display: none; }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, style];

  const isUnread = (story) => !languages.includes(story.dataset.storyLanguage);

  // The next pages are the same for everyone: what this reader does not read comes along, hidden, for "Show them".
  async function fillUp(say) {
    const list = document.querySelector(".story-list");
    for (let pages = 0; pages < MOST_PAGES; pages += 1) {
      const next = document.querySelector('.pager [rel="next"]');
      const visible = [...document.querySelectorAll("[data-story-language]")].filter((story) => !isUnread(story));
      if (!list || !next || visible.length >= FEW) return;
      const response = await fetch(next.href).catch(() => null);
      if (!response?.ok) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      list.append(...page.querySelectorAll(".story-list > [data-story-language]"));
      const later = page.querySelector('.pager [rel="next"]');
      if (later) next.href = new URL(later.getAttribute("href"), next.href).href;
      else next.closest(".pager").remove();
      say();
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const stories = [...document.querySelectorAll("[data-story-language]")];
    const hidden = stories.filter(isUnread);
    const notice = document.querySelector("[data-unread-notice]");
    if (hidden.length === stories.length) style.replaceSync("");
    if (!hidden.length || hidden.length === stories.length || !notice) return;
    const words = JSON.parse(document.getElementById("words")?.textContent ?? "{}");
    const say = (sentence) => words[sentence] ?? sentence;
    const sayHidden = () => {
      const count = [...document.querySelectorAll("[data-story-language]")].filter(isUnread).length;
      notice.querySelector("[data-unread-count]").textContent =
        count === 1 ? say("One story in another language is not shown.") : say("{n} stories in other languages are not shown.").replace("{n}", count);
    };
    notice.hidden = false;
    sayHidden();
    notice.querySelector("[data-show-unread]").addEventListener("click", () => {
      style.replaceSync("");
      notice.hidden = true;
      try {
        localStorage.setItem("newszop.unread", JSON.stringify("shown"));
      } catch (error) { /* shown until the next page */ }
    });
    fillUp(sayHidden);
  });
})();
