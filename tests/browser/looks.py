"""What every page must hold in every look: accessible, without complaint of the browser, without side-scrolling."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page

_AXE_OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}
_LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (320, 1280)]


class Console:
    """What the browser complained about on a page since this object was made."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        # The rest is advice, which a browser shows on request only.
        is_complaint = message.type in {"error", "warning"}
        is_status_of_page = message.text.startswith("Failed to load resource") and (
            message.page is not None and message.location["url"] == message.page.url
        )
        if is_complaint and not is_status_of_page:
            self.complaints.append(f"{message.type}: {message.text}")


def assert_sound(page: Page, console: Console) -> None:
    """Check the loaded page in light and dark, on a phone and on a desk."""
    page.wait_for_load_state("networkidle")
    assert console.complaints == []
    for scheme, width in _LOOKS:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 800})
        results = Axe().run(page, options=_AXE_OPTIONS)
        assert results.violations_count == 0, f"{scheme} at {width} px: {results.generate_report()}"
        scroll_width = page.evaluate("document.scrollingElement.scrollWidth")
        assert scroll_width <= width, f"{scheme} at {width} px scrolls sideways: {scroll_width} px wide"
    assert console.complaints == []
