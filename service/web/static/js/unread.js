// On a page with stories in several languages: shows those that this reader reads, and says how many are not shown.
// It is loaded before the page is drawn, and only by such a page: nothing moves once it is visible.
(() => {
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

  document.addEventListener("DOMContentLoaded", () => {
    const stories = [...document.querySelectorAll("[data-story-language]")];
    const hidden = stories.filter((story) => !languages.includes(story.dataset.storyLanguage));
    const notice = document.querySelector("[data-unread-notice]");
    if (hidden.length === stories.length) style.replaceSync("");
    if (!hidden.length || hidden.length === stories.length || !notice) return;
    const words = JSON.parse(document.getElementById("words")?.textContent ?? "{}");
    const say = (sentence) => words[sentence] ?? sentence;
    notice.hidden = false;
    notice.querySelector("[data-unread-count]").textContent =
      hidden.length === 1 ? say("One story in another language is not shown.") : say("{n} stories in other languages are not shown.").replace("{n}", hidden.length);
    notice.querySelector("[data-show-unread]").addEventListener("click", () => {
      style.replaceSync("");
      notice.hidden = true;
      try {
        localStorage.setItem("newszop.unread", JSON.stringify("shown"));
      } catch (error) { /* shown until the next page */ }
    });
  });
})();
