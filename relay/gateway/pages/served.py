"""The files of `relay/web` that this process serves."""

from __future__ import annotations

from pathlib import Path

from relay.gateway.pages.dashboard_page import DashboardPage
from relay.gateway.pages.web_files import WebFiles

WEB = Path(__file__).parents[2] / "web"
FILES = WebFiles(WEB, ("admin", "client", "dashboard", "inspector", "react", "view"))
DASHBOARD = DashboardPage(FILES)
