"""QCodes of the G2 standards: `alias:code` to the URI that a catalog gives the alias.

A remote catalog is never fetched: the aliases of the IPTC's own catalog are built in.
"""

from collections.abc import Mapping

from service.formats.xml_document import XmlElement, children

_NEWSCODES = "http://cv.iptc.org/newscodes/"
IPTC_ALIASES: Mapping[str, str] = {
    alias: f"{_NEWSCODES}{scheme}/"
    for alias, scheme in (
        ("stat", "pubstatusg2"),
        ("ninat", "ninature"),
        ("medtop", "mediatopic"),
        ("subj", "subjectcode"),
        ("drol", "descrole"),
        ("hrol", "headlinerole"),
        ("rnd", "rendition"),
        ("sig", "signal"),
        ("irel", "itemrelation"),
        ("genre", "genre"),
        ("cpnat", "cpnature"),
        ("nprov", "newsprovider"),
        ("group", "group"),
    )
}


class Catalog:
    """The aliases in force at an element: its own over those above it and those of the IPTC."""

    def __init__(self, aliases: Mapping[str, str], above: "Catalog | None" = None) -> None:
        self._aliases = aliases
        self._above = above

    def scheme_and_code(self, qcode: str) -> tuple[str, str]:
        """Split a QCode into the URI of its scheme, or its alias where that is unknown, and code.

        A colon inside the code stays (`geo:a:b`); a text without one has no scheme.
        """
        alias, colon, code = qcode.strip().partition(":")
        if not colon:
            return "", alias
        return self.uri_of(alias), code

    def uri_of(self, alias: str) -> str:
        """Return the URI that an alias stands for; the alias where it stands for none."""
        uri = self._aliases.get(alias)
        if uri is None and self._above is not None:
            return self._above.uri_of(alias)
        return IPTC_ALIASES.get(alias, alias) if uri is None else uri

    def code_of(self, element: XmlElement | None) -> str:
        """Return the bare code of an element's `qcode`, `uri` or `literal`, in lower case."""
        if element is None:
            return ""
        qcode = element.get("qcode", "")
        if qcode:
            return self.scheme_and_code(qcode)[1].lower()
        return (element.get("uri", "").rstrip("/#").rpartition("/")[2]).lower()

    def identify(self, element: XmlElement) -> tuple[str, str]:
        """Return scheme and code of an element's `qcode`; a `uri` or `literal` is code alone."""
        qcode = element.get("qcode", "")
        if qcode:
            return self.scheme_and_code(qcode)
        return "", element.get("uri", "") or element.get("literal", "")


def catalog_of(*elements: XmlElement, above: Catalog | None = None) -> Catalog:
    """Return the catalog that elements define within themselves, the later ones winning."""
    aliases: dict[str, str] = {}
    for element in elements:
        for catalog in children(element, "catalog"):
            for scheme in children(catalog, "scheme"):
                aliases[scheme.get("alias", "")] = scheme.get("uri", "")
    return Catalog({alias: uri for alias, uri in aliases.items() if alias and uri}, above)
