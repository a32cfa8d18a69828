// A picture whose address leads nowhere goes, with the room that it took: no story leads with a gap.
export function dropBrokenPictures(root) {
  for (const picture of root.querySelectorAll(".lead-story img, .story-list img, .story-figure img")) {
    if (picture.complete && picture.currentSrc && !picture.naturalWidth) drop(picture);
    else picture.addEventListener("error", () => drop(picture), { once: true });
  }
}

function drop(picture) {
  (picture.closest(".story-figure, [aria-hidden]") ?? picture.closest("picture") ?? picture).remove();
}
