"""Contexts of a browser that tests use one after another: a new one costs several times as much as a page in one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page


class Contexts:
    """The contexts of a browser. One test at a time uses each, and finds it without pages, cookies and storage,
    but with the cache of HTTP."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._free: defaultdict[str, list[BrowserContext]] = defaultdict(list)

    @contextmanager
    def page(self, script: str = "", *, is_new: bool = False, **options: Any) -> Iterator[Page]:
        """An empty page, in a context of its own with these options. `script` runs first in each of its documents.

        The test may open more pages in the context. A context that `is_new` has nothing in its cache, and no other test
        uses it afterwards: the test may give it a clock or a further script, which cannot be taken away again.
        """
        free = [] if is_new else self._free[repr((script, sorted(options.items())))]
        context = free.pop() if free else self._made(script, options)
        page = context.new_page()
        # Here and not at the end, because a page may write until it is closed.
        session = context.new_cdp_session(page)
        session.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
        session.detach()
        yield page
        if is_new:
            context.close()
            return
        for each in context.pages:
            each.close()
        context.set_offline(False)
        context.clear_cookies()
        context.clear_permissions()
        context.unroute_all()
        free.append(context)

    def _made(self, script: str, options: dict[str, Any]) -> BrowserContext:
        context = self.browser.new_context(**options)
        if script:
            context.add_init_script(script)
        return context
