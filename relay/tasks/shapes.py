"""Secrets that are recognised by their shape, such as `ghp_…`: a table of them, and one pattern for all. Pure.

The sources are the rules of gitleaks (https://github.com/gitleaks/gitleaks, `config/gitleaks.toml`), the list of
GitHub secret scanning (https://docs.github.com/en/code-security/reference/secret-security), standards and manuals.
Only prefixes, alphabets and lengths are taken from there: the patterns are our own, and accept more than their
sources, because a secret of a new length must not be sent. The table in docs/reference/redaction.md is generated from
this one.

Rules of this file: a pattern takes a time in proportion to the text (each run of characters is tried from one place
only, or from each place over a bounded length); what a pattern matches, `signs` must find as well, also in the text's
JSON, which a property test checks: without a sign the patterns are never tried.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of secret that is recognised by its shape, wherever it stands in a text.

    Each pattern begins with one fixed character. If a pattern has a group, only the group is the secret, and the match
    ends with the group; otherwise the whole match is the secret.
    """

    of: str  # whose secret it is
    looks: str  # a description for people, in Markdown
    source: str  # where the shape is published
    patterns: tuple[str, ...]


def _word(prefix: str, rest: str) -> str:
    """Return a pattern for `prefix` and `rest` that matches only at the beginning of a word.

    A word also begins after an escape such as \\n, and after a code that sets the colour of a terminal.
    """
    first, more = prefix[0], prefix[1:]
    return (
        rf"{first}(?={more})(?:(?<![A-Za-z0-9_-]{first})|(?<=\\[nrt]{first})"
        rf"|(?<=\x1b\[[0-9]m{first})|(?<=\x1b\[[0-9]{{2}}m{first})){more}{rest}"
    )


# The rest of the word after a token counts as a part of the token, so that no other shape can begin where a match ends.
_REST = "[A-Za-z0-9_-]*"
_CHECKSUM = rf"(?:\.[0-9a-z]{{2}}\.[0-9a-z]{{7}}{_REST})?"  # the checksum at the end of GitLab's newer tokens
_USER = r"[^\x00-\x20/?#@:\"<>\\^`{|}\[\]\x7f]"  # what may stand before the @ of an address, unencoded
_USER_OR_PASSWORD = _USER.replace("@:", "")
_PARAMETERS = (
    "(?=[A-Za-z_-])(?ai:(?:access|auth|id|refresh|private|session)?[_-]?token|(?:api|access|secret)[_-]?key"
    "|client[_-]?secret|secret|password|passwd|sig|x-(?:amz|goog)-signature)="
)
_PARAMETER_VALUE = r"([^\s&#\"'<>\\]+)"
# A look-ahead for text that looks random: it is not a word of a natural language.
_LOOKS_RANDOM = "(?=[A-Za-z._~+/-]*(?:[0-9=]|[a-z][A-Z][A-Za-z]*[a-z][A-Z]))"
_CREDENTIALS = rf"[ \t]+{_LOOKS_RANDOM}([A-Za-z0-9._~+/-]{{8,}}=*)"
_AUTHORIZATION = (
    r"(?ai:uthorization)[\"']?[ \t]*[:=][ \t]*[\"']?(?ai:bearer|basic|token|digest|apikey|negotiate)[ \t]+"
    r"([^\s\"'\\,;\[]{4,})"
)
_IDENTIFIED = r"(?ai:dentified)[ \t]+(?ai:(?:with[ \t]+\S{1,40}[ \t]+)?by)[ \t]{1,8}'([^']+)"
# The text between the name of a command and an option of it, unless another command stands there.
_OPTIONS = r"[ \t](?:(?:(?!curl|login|mysql|redis-cli|sshpass)[^\n]){0,200}?[ \t])??"
_WORD = r"[\"']?([^\s\"'\\]+)"

SHAPES = (
    Shape(
        "GitHub",
        "`ghp_…`, `gho_…`, `ghu_…`, `ghs_…`, `ghr_…`",
        "gitleaks: github-pat, github-oauth, github-app-token, github-refresh-token",
        (rf"gh[pousr]_[A-Za-z0-9]{{30}}{_REST}",),
    ),
    Shape(
        "GitHub, fine-grained",
        "`github_pat_…`",
        "gitleaks: github-fine-grained-pat",
        (rf"github_pat_[A-Za-z0-9_]{{22}}{_REST}",),
    ),
    Shape(
        "GitLab",
        "`glpat-…`, and those of deployments, runners, jobs, triggers, feeds and agents",
        "gitleaks: gitlab-pat, gitlab-deploy-token, gitlab-cicd-job-token, gitlab-ptt and further gitlab rules",
        (rf"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[A-Za-z0-9_-]{{20}}{_REST}{_CHECKSUM}",),
    ),
    Shape(
        "Slack",
        "`xoxb-…`, `xoxp-…` and the like, `xapp-…`",
        "gitleaks: slack-bot-token, slack-user-token, slack-app-token and further slack rules",
        (rf"x(?:ox[a-z]|app)-[0-9]{_REST}",),
    ),
    Shape(
        "Slack, webhooks",
        "what follows `hooks.slack.com/services/`",
        "gitleaks: slack-webhook-url",
        (r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/-]{8,})",),
    ),
    Shape("AWS", "`AKIA…`, `ASIA…`", "gitleaks: aws-access-token", (rf"A(?:KIA|SIA)[A-Z0-9]{{16}}{_REST}",)),
    Shape(
        "Google, keys", "`AIza…`", "gitleaks: gcp-api-key", (_word("AIza", rf"[A-Za-z0-9_-]{{35}}{_REST}"),)
    ),
    Shape(
        "Google, OAuth",
        "`GOCSPX-…`, `ya29.…`",
        "GitHub secret scanning",
        (rf"GOCSPX-[A-Za-z0-9_-]{{20}}{_REST}", rf"ya29\.[A-Za-z0-9_-]{{20}}{_REST}"),
    ),
    Shape(
        "Stripe",
        "`sk_live_…`, `rk_live_…`, the same with `test`",
        "gitleaks: stripe-access-token",
        tuple(_word(prefix, rf"(?:live|test)_[A-Za-z0-9]{{16}}{_REST}") for prefix in ("sk_", "rk_")),
    ),
    Shape(
        "Stripe, webhooks",
        "`whsec_…`",
        "GitHub secret scanning",
        ("whsec_[A-Za-z0-9+/=]{16}[A-Za-z0-9+/=_-]*",),
    ),
    Shape(
        "Anthropic, OpenAI and others",
        "`sk-ant-…`, `sk-proj-…`, `sk-svcacct-…`, `sk-admin-…`, `sk-or-…`, `sk-…` without more hyphens",
        "gitleaks: anthropic-api-key, openai-api-key",
        (
            _word("sk-", rf"(?:ant|proj|svcacct|admin|or)-[A-Za-z0-9_-]{{20}}{_REST}"),
            _word("sk-", rf"[A-Za-z0-9]{{20}}{_REST}"),
        ),
    ),
    Shape("Groq", "`gsk_…`", "GitHub secret scanning", (rf"gsk_[A-Za-z0-9]{{40}}{_REST}",)),
    Shape("Hugging Face", "`hf_…`", "gitleaks: huggingface-access-token", (rf"hf_[A-Za-z0-9]{{30}}{_REST}",)),
    Shape("npm", "`npm_…`", "gitleaks: npm-access-token", (rf"npm_[A-Za-z0-9]{{36}}{_REST}",)),
    Shape("PyPI", "`pypi-AgE…`", "gitleaks: pypi-upload-token", (rf"pypi-AgE[A-Za-z0-9_-]{{20}}{_REST}",)),
    Shape("Docker", "`dckr_pat_…`", "GitHub secret scanning", (rf"dckr_pat_[A-Za-z0-9_-]{{20}}{_REST}",)),
    Shape(
        "DigitalOcean",
        "`dop_v1_…`, `doo_v1_…`, `dor_v1_…`",
        "gitleaks: digitalocean-pat, digitalocean-access-token, digitalocean-refresh-token",
        (rf"do[por]_v1_[a-f0-9]{{32}}{_REST}",),
    ),
    Shape(
        "SendGrid",
        "`SG.….…`",
        "gitleaks: sendgrid-api-token",
        (_word(r"SG\.", rf"[A-Za-z0-9_-]{{16,}}\.[A-Za-z0-9_-]{{16}}{_REST}"),),
    ),
    Shape(
        "Shopify",
        "`shpat_…`, `shpca_…`, `shppa_…`, `shpss_…`",
        "gitleaks: shopify-access-token and further shopify rules",
        (rf"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{{32}}{_REST}",),
    ),
    Shape("Atlassian", "`ATATT3…`", "gitleaks: atlassian-api-token", ("ATATT3[A-Za-z0-9_=-]{40,}",)),
    Shape(
        "Vault",
        "`hvs.…`, `hvb.…`",
        "gitleaks: vault-service-token, vault-batch-token",
        (_word(r"hv[sb]\.", rf"[A-Za-z0-9_-]{{24}}{_REST}"),),
    ),
    Shape(
        "JSON Web Tokens",
        "`eyJ….….…`",
        "RFC 7515, section 7.1; gitleaks: jwt",
        (_word("eyJ", r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,3}"),),
    ),
    Shape(
        "private keys",
        "`-----BEGIN … PRIVATE KEY-----` to its end, or to the end of the text",
        "RFC 7468; gitleaks: private-key",
        (
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            rf"(?s:.*?)(?:-----END [A-Z0-9 ]{{0,60}}-----{_REST}|\Z)",
        ),
    ),
    Shape(
        "addresses",
        "what stands before the `@` in `https://…@`, `scheme://user:password@` and `//user:password@`",
        "RFC 3986, section 3.2.1",
        (
            rf"://({_USER}*:{_USER_OR_PASSWORD}*|(?:(?<=http://)|(?<=https://)){_USER}+)(?=@)",
            rf"/(?<!:/)/({_USER}*:{_USER_OR_PASSWORD}*)(?=@)",
        ),
    ),
    Shape(
        "parameters of addresses",
        "what follows `?token=`, `&access_token=`, `&api_key=`, `&client_secret=`, `&password=` and the like",
        "RFC 6750, section 2.3, and what services call theirs",
        (rf"\?{_PARAMETERS}{_PARAMETER_VALUE}", rf"&{_PARAMETERS}{_PARAMETER_VALUE}"),
    ),
    Shape(
        "headers",
        "what follows `Bearer` and `Basic` where it looks random, and any scheme after `Authorization:`",
        "RFC 6750, RFC 7617 and RFC 9110, section 11; gitleaks: curl-auth-header",
        (
            rf"B(?:earer|EARER|asic|ASIC){_CREDENTIALS}",
            rf"b(?:earer|asic){_CREDENTIALS}",
            rf"A{_AUTHORIZATION}",
            rf"a{_AUTHORIZATION}",
        ),
    ),
    Shape(
        "SQL",
        "the text in quotes after `IDENTIFIED BY`",
        "the manuals of MySQL and Oracle",
        (rf"I{_IDENTIFIED}", rf"i{_IDENTIFIED}"),
    ),
    Shape(
        "commands",
        "what follows `curl -u user:`, `sshpass -p`, `mysql -p`, `docker login -p`, `redis-cli -a`, "
        "and a password in `.netrc`",
        "the manuals of the commands; gitleaks: curl-auth-user",
        (
            rf"curl{_OPTIONS}(?:-[uU]|--(?:proxy-)?user)[ \t=]*[\"']?[^\s:\"'\[]{{1,100}}:{_WORD}",
            rf"sshpass[ \t]+-p[ \t]*{_WORD}",
            rf"mysql[a-z]{{0,10}}{_OPTIONS}-p{_WORD}",
            rf"login{_OPTIONS}-p[ \t]+{_WORD}",
            rf"redis-cli{_OPTIONS}-a[ \t]+{_WORD}",
            rf"machine\s+\S{{1,100}}\s+login\s+\S{{1,100}}\s+password\s+{_WORD}",
        ),
    ),
)


def _combined(shapes: Sequence[Shape]) -> re.Pattern[str]:
    """Return one pattern that matches whatever any pattern of these shapes matches.

    The patterns are grouped by their first character, so that the search skips every other character at once.
    """
    by_first: dict[str, list[str]] = {}
    for shape in shapes:
        for pattern in shape.patterns:
            first = pattern[:2] if pattern[0] == "\\" else pattern[0]
            by_first.setdefault(first, []).append(pattern.removeprefix(first))
    return re.compile("|".join(f"{first}(?:{'|'.join(rests)})" for first, rests in by_first.items()))


SHAPES_PATTERN = _combined(SHAPES)
