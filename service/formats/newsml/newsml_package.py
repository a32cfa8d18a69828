"""A package of NewsML-G2: what it refers to, and how it reads when it stands alone."""

import html

from service.formats.links import absolute_link
from service.formats.newsml.newsml_item import NewsItem
from service.formats.text import plain_line
from service.formats.xml_document import XmlElement, children, first_child, local_name, text_of

MAX_REFERENCES = 200


def references(element: XmlElement) -> list[str]:
    """Return the names of the items that an item refers to, in its groups and its links."""
    names: dict[str, None] = {}
    for node in element.iter():
        if local_name(node) in ("itemRef", "link", "conceptRef"):
            name = (node.get("residref", "") or node.get("guidref", "")).strip()
            names.update({name: None} if name else {})
        if len(names) >= MAX_REFERENCES:
            break
    return list(names)


def list_body(item: NewsItem) -> str:
    """Return a list of what a package refers to: titles, linked where an address is there."""
    entries = [
        _entry(reference, item.base)
        for group_set in children(item.element, "groupSet")
        for group in children(group_set, "group")
        for reference in children(group, "itemRef")
    ]
    lines = [f"<li>{entry}</li>" for entry in entries[:MAX_REFERENCES] if entry]
    return f"<ul>\n{chr(10).join(lines)}\n</ul>" if lines else ""


def _entry(reference: XmlElement, base: str | None) -> str:
    headline = first_child(reference, "headline", "title")
    title = html.escape(plain_line(text_of(headline)), quote=False)
    if not title:
        return ""
    words = html.escape(plain_line(text_of(first_child(reference, "description"))), quote=False)
    link = absolute_link(reference.get("href", ""), base)
    anchor = (
        f'<a href="{html.escape(link)}" rel="noopener noreferrer">{title}</a>' if link else title
    )
    return f"{anchor}<br>\n{words}" if words else anchor
